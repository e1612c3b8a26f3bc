"""The command line: `python -m service`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from service import checkup, logs
from service.accounts import usernames
from service.accounts.account import Account
from service.audit.entry import COMMAND_LINE, printable
from service.commands.audit import audit
from service.configuration import config
from service.errors import CoatcheckError, NoSuchAccount, StartupError
from service.extension import build_app
from service.throttling import counters
from service.web.messages import sentence
from service.web.services import Services, services_of
from service.web.shapes import device_name

OURS = "service:create_app()"


class _Commands(click.Group):
    """Reports expected errors in one line, without a traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except CoatcheckError as error:
            raise click.ClickException(sentence(error)) from error
        except (StartupError, config.ConfigurationError) as problem:
            raise click.ClickException(str(problem)) from problem


@click.group(cls=_Commands)
def main() -> None:
    """Manage Coatcheck, its accounts and its sessions."""


main.add_command(audit)


@main.command()
def migrate() -> None:
    """Update the database to the newest schema."""
    from service.storage import migrations

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
    with _services() as services:
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
@click.option("--limit", default=50, show_default=True, help="How many to list.")
def list_accounts(limit: int) -> None:
    """List the newest active accounts."""
    with _services() as services:
        for member in services.accounts.newest_members(limit, None):
            name = printable(member.username)
            click.echo(f"{member.id}\t{name}\t{member.created_at:%Y-%m-%d %H:%M:%S%z}")


@accounts.command()
@click.argument("username")
def show(username: str) -> None:
    """Show an account."""
    with _services() as services:
        account, disabled_at = _find(services, username)
    click.echo(f"id\t{account.id}\nusername\t{printable(account.username)}")
    click.echo(f"created\t{account.created_at:%Y-%m-%d %H:%M:%S%z}")
    click.echo(f"disabled\t{disabled_at:%Y-%m-%d %H:%M:%S%z}" if disabled_at else "disabled\tno")


@accounts.command()
@click.argument("username")
def disable(username: str) -> None:
    """End an account's sessions and block new sign-ins."""
    with _services() as services:
        ended = services.revocation.disable(username, COMMAND_LINE)
    click.echo(f"Disabled {printable(username)} and ended {_counted(ended, 'session')}.")


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
    """Allow sign-ins from new devices again.

    A hundred wrong passwords in a row block them.
    """
    with _services() as services:
        account, _ = _find(services, username)
        name = usernames.parse(username).canonical
        services.throttle.empty(counters.attempts_on(name, account.id))
    click.echo(f"Unlocked {username}.")


@accounts.command()
@click.argument("username")
def delete(username: str) -> None:
    """Delete an account and its sessions.

    For a while, nobody can register its name, not even its owner.
    """
    with _services() as services:
        ended = services.revocation.delete(username, COMMAND_LINE)
    click.echo(f"Deleted {printable(username)} and ended {_counted(ended, 'session')}.")


@accounts.command()
def release_names() -> None:
    """Free the names of deleted accounts.

    Only names whose quarantine is over become free. Run this daily.
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
    with _services() as services:
        ended = services.revocation.revoke(username, COMMAND_LINE)
    click.echo(f"Ended {_counted(ended, 'session')} of {printable(username)}.")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _find(services: Services, username: str) -> tuple[Account, datetime | None]:
    found = services.accounts.find(usernames.parse(username))
    if found is None:
        raise NoSuchAccount
    return found


@contextmanager
def _services() -> Iterator[Services]:
    settings = config.load()
    services = services_of(build_app(settings))
    # Standard output is for the results.
    logs.configure(settings.log_format, settings.log_level, logs.STDERR)
    try:
        yield services
    finally:
        services.close()


if __name__ == "__main__":
    main(prog_name="coatcheck")
