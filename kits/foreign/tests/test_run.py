"""A run of a small suite, with the plugin in this interpreter, and how its outcomes are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kits.foreign.run import Outcome, Place, Run, read_outcomes, started
from kits.foreign.suites import Suite
from service.embedded import RedisEngine

TESTS = """
import flask, pytest

def application():
    app = flask.Flask(__name__)
    app.secret_key = "x"
    app.add_url_rule("/", view_func=lambda: flask.session.setdefault("a", "b"))
    return app

def test_the_cookie_is_signed():
    assert "." in application().test_client().get("/").headers["Set-Cookie"].partition(";")[0]

def test_an_interface_of_its_own_stays():
    class Application(flask.Flask):
        session_interface = flask.sessions.SecureCookieSessionInterface()
    assert Application("a").session_interface is Application.session_interface

@pytest.mark.parametrize("number", [1, 2])
def test_number(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert number == 1, "not one"

@pytest.mark.parametrize("path", [__file__])
def test_path(path):
    pass

@pytest.fixture
def broken():
    yield
    raise RuntimeError("at the end")

def test_teardown(broken):
    pass
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisEngine]:
    with RedisEngine(tmp_path_factory.mktemp("redis"), durable=False) as engine:
        yield engine


@pytest.fixture
def place(tmp_path: Path, redis: RedisEngine) -> Place:
    for name in ("source", "scratch", "logs"):
        tmp_path.joinpath(name).mkdir()
    tmp_path.joinpath("source/tests.py").write_text(TESTS)
    directories = (tmp_path / "scratch", tmp_path / "logs")
    return Place(Path(sys.executable), tmp_path / "source", redis.url, *directories)


SUITE = Suite("small", "small", tests=("tests.py",), options=("-p", "no:cacheprovider"))


def test_only_the_sessions_differ(place: Place) -> None:
    with started(SUITE, "stock", place) as stock, started(SUITE, "coatcheck", place) as ours:
        runs = stock(), ours()
    assert [run.trouble for run in runs] == ["", ""]
    assert runs[0].passed - runs[1].passed == {"tests.py::test_the_cookie_is_signed"}
    assert runs[0].passed >= {
        "tests.py::test_an_interface_of_its_own_stays",
        "tests.py::test_path[tests.py]",
    }
    for run in runs:
        assert "not one" in run.outcomes["tests.py::test_number[2]"].why
        assert "at the end" in run.outcomes["tests.py::test_teardown"].why
    assert not list(place.scratch.glob("small.*/"))
    assert "failed" in (place.logs / "small.stock.log").read_text()


def test_a_run_that_takes_too_long_is_ended_with_all_that_it_started(place: Place) -> None:
    (place.source / "tests.py").write_text(
        "import subprocess, time\n"
        "def test_first(): pass\n"
        "def test_endless(): subprocess.run(['sleep', '987.125'])\n"
    )
    suite = Suite("endless", "endless", tests=("tests.py",), seconds=3.0)
    with started(suite, "stock", place) as wait:
        run = wait()
    assert run.trouble == "it did not finish within 3 s"
    assert run.passed == {"tests.py::test_first"}
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "987.125"] not in commands


def test_a_run_that_pytest_gave_up_says_so(place: Place) -> None:
    suite = Suite("confused", "confused", options=("--no-such-option",))
    with started(suite, "stock", place) as wait:
        assert wait() == Run({}, "pytest ended with status 4")


def test_a_run_that_nobody_waits_for_is_ended(place: Place) -> None:
    (place.source / "tests.py").write_text("import time\ndef test_slow(): time.sleep(50)\n")
    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt), started(SUITE, "stock", place):
        (pytest_process,) = set(psutil.Process().children()) - before
        raise KeyboardInterrupt
    assert not pytest_process.is_running()


def test_a_file_that_cannot_be_imported_is_a_failed_test(place: Place) -> None:
    (place.source / "tests.py").write_text("raise RuntimeError('no import')")
    with started(SUITE, "stock", place) as wait:
        run = wait()
    assert "no import" in run.outcomes["tests.py"].why


def test_the_worst_phase_of_a_test_counts_if_all_of_them_were_reported() -> None:
    notes = [
        ("a", "call", "failed"),
        ("a", "teardown", "passed"),
        ("b", "setup", "skipped"),
        ("b", "teardown", "passed"),
        ("cut off", "setup", "passed"),
    ]
    lines = [
        json.dumps({"test": test, "phase": phase, "outcome": word, "why": phase})
        for test, phase, word in notes
    ]
    assert read_outcomes([*lines, '{"test": "d", "outc']) == {
        "a": Outcome("failed", "call"),
        "b": Outcome("skipped", "setup"),
    }
