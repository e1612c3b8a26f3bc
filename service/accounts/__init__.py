"""Accounts: usernames, passwords, registration and login."""
