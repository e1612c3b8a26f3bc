"""The rehearsal itself; it needs no Docker."""

from __future__ import annotations

from kits.compose.__main__ import perform
from kits.compose.checks import Check
from kits.compose.stack import Failure


def test_a_failed_check_fails_the_rehearsal_and_the_next_one_still_runs() -> None:
    def fail() -> str:
        raise Failure("web runs as root")

    checks = [
        Check("privileges", "no service runs as root", fail),
        Check("image", "no build tools", lambda: "app"),
        Check("log in", "works", lambda: None),
    ]
    failed, passed, silent = perform(checks)
    assert not failed.passed
    assert failed.measured.startswith("web runs as root (")
    assert passed.passed
    assert passed.measured.startswith("app (")
    assert silent.measured.startswith("yes (")
