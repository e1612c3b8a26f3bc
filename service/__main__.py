"""The command line: `python -m service`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

import config
from service import create_app
from service.errors import CoatcheckError
from service.web.services import EXTENSION, Services


class _Commands(click.Group):
    """What went wrong on purpose is told in one line, without a traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except (CoatcheckError, config.ConfigurationError) as problem:
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
    """Run it all here, with embedded engines where none are given."""
    try:
        from service.serve import serve as supervise
    except ModuleNotFoundError as missing:
        # The image for production holds neither the engines nor what they need.
        raise click.ClickException(
            "Embedded engines are for development; here, run gunicorn."
        ) from missing

    supervise(os.environ)


@main.group()
def accounts() -> None:
    """Accounts, by username."""


@accounts.command()
@click.argument("username")
def delete(username: str) -> None:
    """End an account and its sessions; its name stays taken for a quarantine."""
    with _services() as services:
        ended = services.deletion.delete(username)
    click.echo(f"Deleted {username}, and ended {ended} sessions.")


@accounts.command()
def release_names() -> None:
    """Give back the names whose quarantine is over. Safe at any time, in several places."""
    with _services() as services:
        released = services.deletion.release_names()
    click.echo(f"Released {released} names.")


@contextmanager
def _services() -> Iterator[Services]:
    services: Services = create_app().extensions[EXTENSION]
    try:
        yield services
    finally:
        services.postgres.close()


if __name__ == "__main__":
    main(prog_name="coatcheck")
