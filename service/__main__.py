"""The command line: `python -m service`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

import config
from service import create_app, logs
from service.accounts import usernames
from service.accounts.account import Account
from service.errors import CoatcheckError, NoSuchAccount, StartupError
from service.web.messages import sentence
from service.web.services import Services, services_of


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
    """Coatcheck: sessions and accounts."""


@main.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from service.storage import migrations

    applied = migrations.migrate(config.load().database_url)
    click.echo(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")


@main.command()
def serve() -> None:
    """Run everything here, with embedded engines unless the settings name others."""
    try:
        from service.embedded.supervisor import serve as supervise
    except ModuleNotFoundError as missing:
        # The production image contains neither the engines nor their libraries.
        raise click.ClickException(
            "Embedded engines are for development only; run gunicorn instead."
        ) from missing

    supervise(os.environ)


@main.group()
def accounts() -> None:
    """Accounts, by username."""


@accounts.command("list")
@click.option("--limit", default=50, show_default=True, help="How many, newest first.")
def list_accounts(limit: int) -> None:
    """The newest accounts that are neither disabled nor deleted."""
    with _services() as services:
        for member in services.accounts.newest_members(limit, None):
            click.echo(f"{member.id}\t{member.username}\t{member.created_at:%Y-%m-%d %H:%M:%S%z}")


@accounts.command()
@click.argument("username")
def show(username: str) -> None:
    """One account."""
    with _services() as services:
        account, disabled_at = _find(services, username)
    click.echo(f"id\t{account.id}\nusername\t{account.username}")
    click.echo(f"created\t{account.created_at:%Y-%m-%d %H:%M:%S%z}")
    click.echo(f"disabled\t{disabled_at:%Y-%m-%d %H:%M:%S%z}" if disabled_at else "disabled\tno")


@accounts.command()
@click.argument("username")
def disable(username: str) -> None:
    """End an account's sessions and block sign-ins."""
    with _services() as services:
        ended = services.revocation.disable(username)
    click.echo(f"Disabled {username}, and ended {ended} sessions.")


@accounts.command()
@click.argument("username")
def enable(username: str) -> None:
    """Undo disable."""
    with _services() as services:
        services.revocation.enable(username)
    click.echo(f"Enabled {username}.")


@accounts.command()
@click.argument("username")
def delete(username: str) -> None:
    """Delete an account and end its sessions; its name stays taken for a quarantine."""
    with _services() as services:
        ended = services.revocation.delete(username)
    click.echo(f"Deleted {username}, and ended {ended} sessions.")


@accounts.command()
def release_names() -> None:
    """Free the names whose quarantine is over. Safe at any time, in several places at once."""
    with _services() as services:
        released = services.accounts.release_retired()
    click.echo(f"Released {released} names.")


@main.group()
def sessions() -> None:
    """The sessions of an account, by username."""


@sessions.command("list")
@click.argument("username")
def list_sessions(username: str) -> None:
    """The account's current sessions."""
    with _services() as services:
        account, _ = _find(services, username)
        for device in services.session_store.devices(account.locator):
            seen = datetime.fromtimestamp(device.seen / 1000, UTC)
            about = device.metadata
            click.echo(
                f"{device.handle}\t{seen:%Y-%m-%d %H:%M:%S%z}\t{about.address}\t{about.user_agent}"
            )


@sessions.command()
@click.argument("username")
def revoke(username: str) -> None:
    """End every session of an account."""
    with _services() as services:
        ended = services.revocation.revoke(username)
    click.echo(f"Ended {ended} sessions of {username}.")


def _find(services: Services, username: str) -> tuple[Account, datetime | None]:
    found = services.accounts.find(usernames.parse(username))
    if found is None:
        raise NoSuchAccount
    return found


@contextmanager
def _services() -> Iterator[Services]:
    settings = config.load()
    services = services_of(create_app(settings))
    # Standard output is for what the command finds.
    logs.configure(settings.log_format, settings.log_level, logs.STDERR)
    try:
        yield services
    finally:
        services.close()


if __name__ == "__main__":
    main(prog_name="coatcheck")
