"""The command line: `python -m service`."""

import os

import click

import config
from service.errors import CoatcheckError


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
    # Not installed in production: what the embedded engines need.
    from service.serve import serve as supervise

    supervise(os.environ)


if __name__ == "__main__":
    main(prog_name="coatcheck")
