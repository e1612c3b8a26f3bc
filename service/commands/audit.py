"""`python -m service audit`: reads the audit trail as the owner of the database."""

from __future__ import annotations

import json
from itertools import islice

import click

from service.accounts import usernames
from service.audit import archive
from service.audit.chain import Row
from service.audit.entry import printable
from service.commands import options
from service.configuration import config
from service.errors import NoSuchAccount

MOST_BREAKS = 20  # that are shown


@click.group()
def audit() -> None:
    """List, export, verify and prune the audit trail.

    DATABASE_URL must be that of the owner of the database.
    """


@audit.command("list")
@click.option("--account", metavar="USERNAME", help="Only what happened to this account.")
@options.limit
def list_entries(account: str | None, limit: int) -> None:
    """List the newest entries."""
    with archive.opened(config.load().database_url) as opened:
        account_id = None
        if account is not None:
            account_id = opened.account_id(usernames.parse(account).canonical)
            if account_id is None:
                raise NoSuchAccount
        for row in opened.newest(limit, account_id):
            click.echo(_line(row))


@audit.command()
def export() -> None:
    """Write every entry as JSON, one a line, with all that is needed to verify it elsewhere."""
    with archive.opened(config.load().database_url) as opened:
        for row in opened.rows():
            click.echo(json.dumps(row))


@audit.command()
def verify() -> None:
    """Check that no entry has been changed or removed, other than by `prune`."""
    with archive.opened(config.load().database_url) as opened:
        found = list(islice(opened.broken(), MOST_BREAKS))
    for each in found:
        click.echo(str(each))
    if found:
        raise click.ClickException("The audit trail has been changed.")
    click.echo("The audit trail is complete.")


@audit.command()
def prune() -> None:
    """Remove the entries that are older than COATCHECK_AUDIT_RETENTION. Run this daily."""
    settings = config.load()
    with archive.opened(settings.database_url) as opened:
        removed = opened.prune(settings.audit_retention)
    click.echo(f"Removed {removed} {'entry' if removed == 1 else 'entries'}.")


def _line(row: Row) -> str:
    fields = (
        row["at"],
        row["account_id"] or "-",
        row["event"],
        row["particulars"],
        row["address"],
        row["device"],
    )
    return "\t".join(printable(str(each)) for each in fields)
