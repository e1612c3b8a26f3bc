"""Entries of the audit trail, for changes that tests make themselves, and accounts for them."""

import psycopg

from service.audit.entry import Entry, Event

REGISTERED, DELETED = Entry(Event.REGISTERED), Entry(Event.DELETED)


def add_accounts(database: psycopg.Connection, *ids: int) -> None:
    """Accounts with these ids: there are no entries about others."""
    database.cursor().executemany(
        "INSERT INTO accounts (id, username, canonical_username, password_hash, session_locator)"
        " OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, '', '')",
        [(number, f"account-{number}", f"account-{number}") for number in ids],
    )
