"""What tests and kits sign in with."""

PASSWORD = "correct horse battery"
