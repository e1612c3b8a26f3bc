"""Which versions are fetched, and from where a suite's tests come."""

from __future__ import annotations

from pathlib import Path

import pytest

from kits.foreign.sources import SourceError, Sources, locked, pinned
from kits.foreign.suites import SUITES, Suite

LOCK_FILE = r"""
flask==3.1.3 \
    --hash=sha256:00 \
    # via -r base.in
tzdata==2026.6 ; sys_platform == 'win32' \
    --hash=sha256:11
"""


def test_a_lock_file_is_read_without_its_hashes_but_with_its_conditions() -> None:
    assert locked(LOCK_FILE) == ["flask==3.1.3", "tzdata==2026.6 ; sys_platform == 'win32'"]


def test_a_version_of_its_own_goes_before_the_locked_one() -> None:
    assert pinned("flask", ["flask==3.1.3"]) == "flask==3.1.3"
    assert pinned("flask==1.0", ["flask==3.1.3"]) == "flask==1.0"
    with pytest.raises(SourceError, match="no version of quart is locked"):
        pinned("quart", ["flask==3.1.3"])


def test_every_suite_has_a_version_and_pins_what_it_needs(tmp_path: Path) -> None:
    sources = Sources(tmp_path, None)
    for suite in SUITES:
        assert suite.checkout or "==" in sources.version(suite)
        assert all("==" in requirement for requirement in suite.requirements)


def test_a_suite_without_tests_in_its_distribution_needs_a_checkout(tmp_path: Path) -> None:
    suite = Suite("some", "some", checkout=True)
    assert Sources(tmp_path / "cache", None).tests(suite) is None
    assert Sources(tmp_path / "cache", tmp_path).tests(suite) is None
    tmp_path.joinpath("some").mkdir()
    assert Sources(tmp_path / "cache", tmp_path).tests(suite) == tmp_path / "some"


def test_two_runs_cannot_share_a_cache(tmp_path: Path) -> None:
    with (
        Sources(tmp_path, None).locked(),
        pytest.raises(SourceError, match="another run"),
        Sources(tmp_path, None).locked(),
    ):
        pass
