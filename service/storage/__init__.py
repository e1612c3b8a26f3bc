"""Connections to Postgres and Redis, with a time limit on every wait."""
