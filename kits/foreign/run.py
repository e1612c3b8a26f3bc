"""Runs a suite in a copy of its own, and reads how each of its tests ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kits.foreign.suites import Suite

ROOT = Path(__file__).parents[2]
TEST_SECONDS = 60  # for one test
FINISHED = (0, 1)  # pytest's exit statuses after all tests have run
SEVERITY = {"passed": 0, "skipped": 1, "failed": 2}  # the worst phase of a test counts


@dataclass(frozen=True)
class Outcome:
    """How a test ended: passed, skipped or failed, and why it failed."""

    word: str
    why: str = ""


@dataclass(frozen=True)
class Run:
    """One run of a suite: the outcome of each test, and what stopped the run, if anything did."""

    outcomes: dict[str, Outcome]
    trouble: str = ""

    @property
    def passed(self) -> set[str]:
        """The tests that passed."""
        return {test for test, outcome in self.outcomes.items() if outcome.word == "passed"}


@dataclass(frozen=True)
class Place:
    """Where the runs of one suite find what they need."""

    python: Path  # the interpreter of an environment with all that the suite needs
    source: Path  # the unpacked source distribution
    redis_url: str  # of a Redis that may be filled
    scratch: Path  # a directory outside of the repository
    logs: Path  # a directory for what pytest prints


@contextmanager
def started(suite: Suite, sessions: str, place: Place) -> Iterator[Callable[[], Run]]:
    """Start the tests of a suite, with `stock` or `coatcheck` sessions. The context gets a function
    that waits for the end; when it is left, everything that was started has ended.
    """
    name = f"{suite.key}.{sessions}"
    copy, outcomes, log = place.scratch / name, place.scratch / f"{name}.jsonl", f"{name}.log"
    outcomes.touch()
    shutil.copytree(place.source, copy, symlinks=True)
    command = [str(place.python), "-m", "pytest", "-p", "kits.foreign.plugin", "--rootdir=."]
    command += ["-q", "--continue-on-collection-errors", f"--timeout={TEST_SECONDS}"]
    with (place.logs / log).open("wb") as file:
        process = subprocess.Popen(
            [*command, *suite.options, *suite.tests],
            cwd=copy / suite.folder,
            env=_environment(suite, sessions, place, copy) | {"FOREIGN_OUTCOMES": str(outcomes)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + suite.seconds

    def wait() -> Run:
        trouble = _wait(process, suite.seconds, deadline)
        # Some tests have a path in their names, which must be the same in both runs.
        notes = outcomes.read_text(encoding="utf-8").replace(f"{copy}{os.sep}", "")
        return Run(read_outcomes(notes.splitlines()), trouble)

    try:
        yield wait
    finally:
        with suppress(ProcessLookupError):  # everything has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(copy, ignore_errors=True)


def _environment(suite: Suite, sessions: str, place: Place, copy: Path) -> dict[str, str]:
    """The environment of a run, without anything that a developer has set."""
    return {
        "PATH": f"{place.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(place.scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{ROOT}" if suite.checkout else str(ROOT),
        "FOREIGN_REDIS": place.redis_url,
        "FOREIGN_SESSIONS": sessions,
        "FOREIGN_FACTORY": suite.factory,
    }


def _wait(process: subprocess.Popen[bytes], seconds: float, deadline: float) -> str:
    """Wait for the end of pytest; returns what went wrong, if anything did."""
    try:
        status = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return f"it did not finish within {seconds:.0f} s"
    return "" if status in FINISHED else f"pytest ended with status {status}"


def read_outcomes(lines: Iterable[str]) -> dict[str, Outcome]:
    """The outcome of each test from the plugin's lines: the worst of its phases. A test that never
    reached its last phase has none.
    """
    phases: dict[str, Outcome] = {}
    ended: dict[str, Outcome] = {}
    for line in lines:
        try:
            note = json.loads(line)
        except json.JSONDecodeError:  # the process ended while it wrote
            continue
        test, outcome = note["test"], Outcome(note["outcome"], note["why"])
        phases[test] = max(phases.get(test, outcome), outcome, key=lambda it: SEVERITY[it.word])
        if note["phase"] == "teardown":
            ended[test] = phases[test]
    return ended
