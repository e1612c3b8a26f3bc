"""Accounts: their rows in Postgres, their usernames, and what ends their sessions."""
