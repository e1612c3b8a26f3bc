"""Accounts: the rows in Postgres, their usernames, and what ends their sessions."""
