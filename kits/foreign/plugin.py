"""A pytest plugin for foreign suites: notes how each test ended, and gives every Flask application
Coatcheck's sessions. It runs in the suite's environment, which has Coatcheck's libraries too.

FOREIGN_OUTCOMES: the file for the outcomes, a line of JSON for each phase of each test.
FOREIGN_REDIS: the address of a Redis that the sessions may fill.
FOREIGN_SESSIONS: `coatcheck`, or `stock` to leave the applications as they are.
FOREIGN_FACTORY: `module:function` that makes the application, if it gets all of Coatcheck.
"""

from __future__ import annotations

import importlib
import json
import os
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from config import SessionSettings

# Read at once, because some tests empty the environment.
OUTCOMES = Path(os.environ["FOREIGN_OUTCOMES"])
REDIS = os.environ["FOREIGN_REDIS"]
SESSIONS = os.environ["FOREIGN_SESSIONS"]
FACTORY = os.environ.get("FOREIGN_FACTORY", "")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a phase of a test ended."""
    _note(report, report.when)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a file that cannot be imported, as if it were a test."""
    if report.failed:
        _note(report, "teardown")


def _note(report: pytest.TestReport | pytest.CollectReport, phase: str) -> None:
    crash = getattr(report.longrepr, "reprcrash", None)
    why = (crash.message if crash else str(report.longrepr)) if report.failed else ""
    note = {"test": report.nodeid, "phase": phase, "outcome": report.outcome, "why": why[:2000]}
    with OUTCOMES.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(note)}\n")


def install(app: Flask) -> None:
    """Give one application Coatcheck's sessions. Nothing else here knows how that is done."""
    from service import Coatcheck

    Coatcheck(app, _settings(), parts="sessions")


@cache
def _settings() -> SessionSettings:
    import config

    return config.load_for_sessions({"COATCHECK_ENV": "testing", "REDIS_URL": REDIS})


def install_in_factory(name: str) -> None:
    """Let the function that makes a suite's application end with one more line: Coatcheck(app),
    with all parts. No test of the suite needs their database."""
    from service import Coatcheck

    module, function = name.split(":")
    made_in = importlib.import_module(module)
    create = getattr(made_in, function)

    @wraps(create)
    def create_with_coatcheck(*arguments: Any, **options: Any) -> Flask:
        app = create(*arguments, **options)
        Coatcheck(app)
        return app

    setattr(made_in, function, create_with_coatcheck)
    here = {"DATABASE_URL": "postgresql:///nowhere", "REDIS_URL": REDIS}
    os.environ |= {"COATCHECK_ENV": "testing", **here}


def install_everywhere() -> None:
    """Give every application our sessions when it is created, and keep them where a suite sets up
    Flask-Session. An application whose class has an interface of its own keeps that."""
    import flask_session
    from flask import Flask

    create = Flask.__init__

    @wraps(create)
    def create_with_sessions(app: Flask, *arguments: Any, **options: Any) -> None:
        create(app, *arguments, **options)
        if app.session_interface is Flask.session_interface:
            install(app)

    Flask.__init__ = create_with_sessions  # type: ignore[method-assign]
    flask_session.Session._get_interface = lambda _, app: app.session_interface


def use_redis_for_stock() -> None:
    """Let stock Flask-Session use our Redis, because none listens on its default address."""
    from flask_session.defaults import Defaults
    from redis import Redis

    Defaults.SESSION_REDIS = Redis.from_url(REDIS)


if SESSIONS == "coatcheck" and FACTORY:
    install_in_factory(FACTORY)
elif SESSIONS == "coatcheck":
    install_everywhere()
else:
    use_redis_for_stock()
