from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from service.__main__ import main


class Done(NamedTuple):
    """How a command ended. Standard error begins with what it logged."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(environ: dict[str, str], capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command of the service, with some variables changed."""

    def run(*arguments: str, **changed: str) -> Done:
        capfd.readouterr()
        variables = environ | {"COATCHECK_LOG_FORMAT": "json"} | changed
        result = CliRunner(env=variables).invoke(main, arguments)
        logged = capfd.readouterr()
        assert logged.out == ""
        return Done(result.exit_code, result.stdout, logged.err + result.stderr)

    return run
