from __future__ import annotations

import inspect

import pytest

from service import errors
from service.errors import CoatcheckError, MigrationFailed, Unavailable
from service.web.problems import ANSWERS

# These have answers of another kind: 503 each, and a line at start.
ELSEWHERE = (Unavailable, MigrationFailed)


@pytest.mark.parametrize(
    "error",
    [
        error
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, CoatcheckError)
        and error is not CoatcheckError
        and not issubclass(error, ELSEWHERE)
    ],
)
def test_every_error_of_the_domain_has_an_answer(error: type[CoatcheckError]) -> None:
    status, code = ANSWERS[error]
    assert 400 <= status < 500
    assert code
