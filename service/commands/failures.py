"""How commands fail: one line with the reason on standard error, and 1 as exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg
from psycopg.errors import InsufficientPrivilege

from service.audit.entry import printable
from service.configuration import config
from service.errors import (
    CoatcheckError,
    DatabaseUnavailable,
    RevocationPending,
    SessionStoreUnavailable,
    StartupError,
)
from service.storage.postgres import reason_of
from service.web.messages import sentence

STORES: dict[type[CoatcheckError], str] = {
    DatabaseUnavailable: "Postgres at DATABASE_URL",
    SessionStoreUnavailable: "Redis at REDIS_URL",
}


class Commands(click.Group):
    """Reports expected errors in one line, without a traceback."""

    def invoke(self, context: click.Context) -> object:
        """Carry out the command."""
        try:
            return super().invoke(context)
        except click.BadParameter as error:
            raise _failure(error.format_message()) from error
        except CoatcheckError as error:
            raise _failure(_said(error)) from error
        except (StartupError, config.ConfigurationError) as problem:
            raise _failure(str(problem)) from problem
        except InsufficientPrivilege as error:
            raise _failure(
                "Only the owner of the database may do this: set DATABASE_URL to its URL."
            ) from error
        except psycopg.Error as error:
            raise _failure(f"Postgres refuses this: {reason_of(error)}") from error


@contextmanager
def completed_later(done: str) -> Iterator[None]:
    """Say that the account is `done`, if its sessions have yet to end."""
    try:
        yield
    except RevocationPending as error:
        raise _failure(
            f"{done}. Its sessions end as soon as Redis answers at REDIS_URL: the service sees to"
            " that, and nothing needs to be repeated."
        ) from error


def _said(error: CoatcheckError) -> str:
    store = STORES.get(type(error))
    if store is None or error.__cause__ is None:
        return sentence(error)
    return f"{store} cannot be used: {reason_of(error.__cause__)}"


def _failure(text: str) -> click.ClickException:
    return click.ClickException(printable(text))
