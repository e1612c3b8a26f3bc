"""Options that several commands have."""

import click

MOST_LISTED = 100_000  # all of them are in memory at once

limit = click.option(
    "--limit",
    type=click.IntRange(1, MOST_LISTED),
    default=50,
    show_default=True,
    help="How many to list.",
)
