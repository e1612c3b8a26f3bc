"""Postgres and Redis: connections, with a time limit on every wait, and migrations."""
