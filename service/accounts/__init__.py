"""Accounts: usernames, passwords, sign-in and revocation."""
