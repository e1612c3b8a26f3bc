from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from service.__main__ import main

Run = Callable[..., Result]


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    """Run a command of the service, with some variables changed."""

    def run(*arguments: str, **changed: str) -> Result:
        return CliRunner(env=environ | changed).invoke(main, arguments)

    return run
