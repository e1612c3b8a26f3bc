"""What tests and kits sign in with."""

PASSWORD = "correct horse battery"
BOB = {"username": "Bob", "password": PASSWORD}
