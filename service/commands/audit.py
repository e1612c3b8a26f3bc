"""`python -m service audit`: reads the audit trail as the owner of the database."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TextIO

import click

from service.accounts import usernames
from service.audit import archive
from service.audit.archive import Archive
from service.audit.chain import Break, Chain, Row, breaks
from service.audit.entry import printable
from service.audit.export import chains_in, exported
from service.commands import options
from service.configuration import config
from service.errors import NoSuchAccount

MOST_BREAKS = 20  # that are shown
LONGEST_ID = 18  # digits, which fit into Postgres' bigint


@click.group()
def audit() -> None:
    """List, export, verify and prune the audit trail.

    DATABASE_URL must be that of the owner of the database.
    """


@audit.command("list")
@click.option(
    "--account",
    metavar="USERNAME|ID",
    help="Only what happened to this account. Digits alone are an id.",
)
@options.limit
def list_entries(account: str | None, limit: int) -> None:
    """List the newest entries."""
    with archive.opened(config.load().database_url) as opened:
        account_id = _account_id(opened, account) if account is not None else None
        for row in opened.newest(limit, account_id):
            click.echo(_line(row))


@audit.command()
def export() -> None:
    """Write every entry as JSON, one a line, with all that `verify FILE` needs elsewhere."""
    with archive.opened(config.load().database_url) as opened:
        for line in exported(opened.chains()):
            click.echo(line)


@audit.command()
@click.argument("file", required=False, type=click.File(encoding="utf-8"))
def verify(file: TextIO | None) -> None:
    """Check that no entry has been changed or removed, other than by `prune`.

    With FILE, which `export` has written, no database is needed.
    """
    if file:
        found = _breaks(chains_in(file))
    else:
        with archive.opened(config.load().database_url) as opened:
            found = _breaks(opened.chains())
    for each in found[:MOST_BREAKS]:
        click.echo(str(each))
    if len(found) > MOST_BREAKS:
        click.echo(f"There are more than these {MOST_BREAKS}.")
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


def _account_id(opened: Archive, account: str) -> int:
    if account.isascii() and account.isdigit():
        return int(account[:LONGEST_ID])
    account_id = opened.account_id(usernames.parse(account).canonical)
    if account_id is None:
        raise NoSuchAccount
    return account_id


def _breaks(chains: Iterable[Chain]) -> list[Break]:
    """Where chains are broken: one place more than is shown."""
    return list(islice((each for chain in chains for each in breaks(*chain)), MOST_BREAKS + 1))


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
