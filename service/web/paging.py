"""The query parameter `before`, with which lists go on."""

from __future__ import annotations

from flask import request

from service.errors import FieldError, InvalidInput

LARGEST_ID = 2**63 - 1  # of Postgres' bigint


def before() -> int | None:
    """The id of the entry or account before which the list goes on; None: from the newest.

    Raises:
        InvalidInput: it is no id.
    """
    given = request.args.get("before")
    if given is None:
        return None
    # Length first: converting a long number takes time.
    if len(given) > len(str(LARGEST_ID)) or not (given.isascii() and given.isdigit()):
        raise InvalidInput(FieldError("before", "invalid"))
    return min(int(given), LARGEST_ID)
