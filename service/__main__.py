"""The command line: `python -m service`."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from service import checkup, logs
from service.accounts import usernames
from service.accounts.account import Account
from service.audit.entry import COMMAND_LINE, Entry, Event, printable
from service.commands import options
from service.commands.audit import audit
from service.commands.failures import Commands, completed_later
from service.configuration import config
from service.errors import NoSuchAccount, SessionStoreUnavailable
from service.extension import build_app
from service.storage import migrations
from service.throttling import buckets
from service.web.services import Services, services_of
from service.web.shapes import device_name

OURS = "service:create_app()"
VERSION = "0.1.0"  # as in pyproject.toml, which an installation may lack


@click.group(cls=Commands)
@click.version_option(VERSION, prog_name="coatcheck")
def main() -> None:
    """Manage Coatcheck, its accounts and its sessions."""


main.add_command(audit)


@main.command()
def migrate() -> None:
    """Update the database to the newest schema."""
    applied = migrations.migrate(config.load().database_url)
    click.echo(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")


@main.command()
@click.option("--app", "application", default=OURS, help="Of yours, such as my_site:app.")
def serve(application: str) -> None:
    """Run the service, or an application of yours, for development.

    It starts its own Postgres and Redis, unless DATABASE_URL and REDIS_URL name others.
    """
    try:
        from service.embedded.supervisor import serve as supervise
    except ModuleNotFoundError as missing:
        # The production image contains neither the engines nor their libraries.
        raise click.ClickException(
            "This installation has no Postgres and Redis of its own. Run gunicorn instead."
        ) from missing

    supervise(os.environ, application)


@main.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Say what is unsafe, broken or doubtful about this deployment.

    Ends with 1 if anything is unsafe or broken.
    """
    settings = config.load()
    with _built(settings) as services:
        found = checkup.check_up(settings, services)
    for severity, text in found:
        click.echo(f"{severity.value}: {text}")
    if any(severity is not config.Severity.DOUBTFUL for severity, _ in found):
        context.exit(1)
    if not found:
        click.echo("Everything is as it should be.")


@main.group()
def accounts() -> None:
    """List, show and change accounts."""


@accounts.command("list")
@options.limit
@click.option("--disabled", is_flag=True, help="List disabled accounts instead.")
def list_accounts(limit: int, disabled: bool) -> None:
    """List the newest active accounts."""
    with _services() as services:
        repository = services.accounts
        listed = (
            repository.newest_disabled(limit)
            if disabled
            else repository.newest_members(limit, None)
        )
    for account in listed:
        name = printable(account.username)
        click.echo(f"{account.id}\t{name}\t{account.created_at:%Y-%m-%d %H:%M:%S%z}")


@accounts.command()
@click.argument("username")
def show(username: str) -> None:
    """Show an account."""
    with _services() as services:
        account, disabled_at = _find(services, username)
        name = usernames.parse(username).canonical
        sign_ins = _sign_ins_on_new_devices(services, name)
    click.echo(f"id\t{account.id}\nusername\t{printable(account.username)}")
    click.echo(f"created\t{account.created_at:%Y-%m-%d %H:%M:%S%z}")
    click.echo(f"disabled\t{disabled_at:%Y-%m-%d %H:%M:%S%z}" if disabled_at else "disabled\tno")
    click.echo(f"sign-ins on new devices\t{sign_ins}")


@accounts.command()
@click.argument("username")
def disable(username: str) -> None:
    """End an account's sessions and block new sign-ins."""
    name = printable(username)
    with _services() as services, completed_later(f"{name} is disabled"):
        ended = services.revocation.disable(username, COMMAND_LINE)
    click.echo(f"Disabled {name} and ended {_counted(ended, 'session')}.")


@accounts.command()
@click.argument("username")
def enable(username: str) -> None:
    """Allow sign-ins to an account again."""
    with _services() as services:
        services.revocation.enable(username, COMMAND_LINE)
    click.echo(f"Enabled {printable(username)}.")


@accounts.command()
@click.argument("username")
def unlock(username: str) -> None:
    """Forget the wrong passwords for an account.

    Fifty an hour from anywhere block new devices, and so do a hundred in a row. A hundred in a row
    on a known device block that device.
    """
    with _services() as services:
        if not services.throttle.rules.is_on:
            raise click.ClickException(
                "COATCHECK_THROTTLING is off, so nobody is blocked. Nothing was changed."
            )
        account, _ = _find(services, username)
        name = usernames.parse(username).canonical
        devices = [digest.hex() for digest in services.known_devices.digests(account.id)]
        blocked = services.throttle.empty(buckets.attempts_on(name, account.id, devices))
        services.audit.record(Entry(Event.UNLOCKED, account.id, COMMAND_LINE))
    shown = printable(username)
    click.echo(f"Unblocked {shown}." if blocked else f"{shown} was not blocked.")


@accounts.command()
@click.argument("username")
def delete(username: str) -> None:
    """Delete an account and its sessions.

    For a while, nobody can register its name, not even its owner.
    """
    name = printable(username)
    with _services() as services, completed_later(f"{name} is deleted"):
        ended = services.revocation.delete_by_name(username, COMMAND_LINE)
    click.echo(f"Deleted {name} and ended {_counted(ended, 'session')}.")


@accounts.command()
def release_names() -> None:
    """Free the names of deleted accounts.

    Only names whose quarantine is over become free. Run this daily.

    DATABASE_URL must be that of the owner of the database.
    """
    with _services() as services:
        released = services.accounts.release_retired()
    click.echo(f"Freed {_counted(released, 'name')}.")


@main.group()
def sessions() -> None:
    """List and end the sessions of an account."""


@sessions.command("list")
@click.argument("username")
def list_sessions(username: str) -> None:
    """List an account's sessions."""
    with _services() as services:
        account, _ = _find(services, username)
        for device in services.session_store.devices(account.locator):
            seen = datetime.fromtimestamp(device.seen / 1000, UTC)
            address = printable(device.metadata.address)
            name = printable(device_name(device.metadata.user_agent))
            click.echo(f"{device.handle}\t{seen:%Y-%m-%d %H:%M:%S%z}\t{address}\t{name}")


@sessions.command()
@click.argument("username")
def revoke(username: str) -> None:
    """End all sessions of an account."""
    name = printable(username)
    with _services() as services, completed_later(f"{name} is signed out of every session"):
        ended = services.revocation.revoke(username, COMMAND_LINE)
    click.echo(f"Ended {_counted(ended, 'session')} of {name}.")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _sign_ins_on_new_devices(services: Services, name: str) -> str:
    try:
        is_blocked = services.throttle.is_used_up(buckets.failures_on_new_devices(name))
    except SessionStoreUnavailable:
        return "unknown, because Redis does not answer"
    return "blocked" if is_blocked else "allowed"


def _find(services: Services, username: str) -> tuple[Account, datetime | None]:
    found = services.accounts.find(usernames.parse(username))
    if found is None:
        raise NoSuchAccount
    return found


@contextmanager
def _services() -> Iterator[Services]:
    """The services, on a database that is there and up to date."""
    settings = config.load()
    migrations.require_current(settings.database_url)
    with _built(settings) as services:
        yield services


@contextmanager
def _built(settings: config.Settings) -> Iterator[Services]:
    services = services_of(build_app(settings))
    # Standard output is for the results.
    logs.configure(settings.log_format, settings.log_level, logs.STDERR)
    # It warns of each attempt to connect, and the command says in one line what is wrong.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    try:
        yield services
    finally:
        services.close()


if __name__ == "__main__":
    main(prog_name="coatcheck")
