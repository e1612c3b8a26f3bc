"""What tests and kits sign in with."""

from service.credentials.policy import PasswordPolicy

PASSWORD = "correct horse battery"
ANOTHER_PASSWORD = "a new one entirely"
BOB = {"username": "Bob", "password": PASSWORD}
POLICY = PasswordPolicy(min_length=10)
