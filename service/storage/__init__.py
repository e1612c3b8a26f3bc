"""Connections to Postgres and Redis, with a bound on every wait."""
