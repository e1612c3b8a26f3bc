"""What a view declares to the event loop in front of it, and the limit that it is charged to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Flask
from werkzeug.exceptions import HTTPException

from service.throttling.table import Limited
from service.web import current

OURS = "coatcheck"  # the blueprint around all of our views

View = TypeVar("View", bound=Callable[..., Any])

PASSWORD, NO_SESSION, LIMIT = "_hashes_a_password", "_needs_no_session", "_limit"


def hashes_a_password(view: View) -> View:
    """Declare that the view hashes a password: its requests wait in a queue of their own."""
    setattr(view, PASSWORD, True)
    return view


def needs_no_session(view: View) -> View:
    """Declare that the view uses no session, so that none is read."""
    setattr(view, NO_SESSION, True)
    return view


def limited(limit: Limited) -> Callable[[View], View]:
    """Charge each request to a limit of its network before the view begins. While that is used up,
    the event loop rejects requests with a problem document, at no cost."""

    def charge(view: View) -> View:
        @wraps(view)
        def charged(*args: Any, **kwargs: Any) -> Any:
            current.charge(limit)
            return view(*args, **kwargs)

        return rejected_early(limit)(cast(View, charged))

    return charge


def rejected_early(limit: Limited) -> Callable[[View], View]:
    """Declare that what the view calls charges each request to a limit of its network. While that
    is used up, the event loop rejects requests with a problem document, at no cost."""

    def declare(view: View) -> View:
        setattr(view, LIMIT, limit)
        return view

    return declare


class Routes:
    """What the views of an application declare, by method and path."""

    def __init__(self, app: Flask) -> None:
        """
        Args:
            app: an application with all its routes.

        Raises:
            ValueError: the path of a view that hashes a password has an argument, so the event loop
                could not recognize it.
        """
        self._passwords: set[tuple[str, str]] = set()
        self._without_session: set[str] = set()
        self._limits: dict[tuple[str, str], Limited] = {}
        self._static: tuple[str, ...] = ()
        self._adapter = app.url_map.bind("")
        for rule in app.url_map.iter_rules():
            view = app.view_functions.get(rule.endpoint)
            methods = {
                method
                for method in (rule.methods or set()) - {"OPTIONS"}
                if rule.arguments or self._endpoint(method, rule.rule) in (None, rule.endpoint)
            }
            if hasattr(view, LIMIT):
                start = rule.rule.partition("<")[0]
                self._limits |= {(method, start): getattr(view, LIMIT) for method in methods}
            if rule.endpoint.rpartition(".")[2] == "static":
                self._static += (rule.rule.partition("<")[0],)
            if rule.arguments:
                if hasattr(view, PASSWORD):
                    raise ValueError(f"{rule.rule} hashes a password and has an argument")
                continue
            if hasattr(view, PASSWORD):
                self._passwords |= {(method, rule.rule) for method in methods}
            if hasattr(view, NO_SESSION) and methods:
                self._without_session.add(rule.rule)

    def is_for_passwords(self, method: str, path: str) -> bool:
        """Whether the view of this route hashes a password."""
        return (method, path) in self._passwords

    def limit_of(self, method: str, path: str) -> Limited | None:
        """The limit to which requests of this route are charged, if one is declared. The last
        segment of the path may be an argument."""
        start = path[: path.rfind("/") + 1]
        return self._limits.get((method, path)) or self._limits.get((method, start))

    def may_use_the_session(self, path: str) -> bool:
        """Whether the view of this route may use the session."""
        return path not in self._without_session and not path.startswith(self._static)

    def are_ours(self, method: str, path: str) -> bool:
        """Whether a view of ours answers these requests, and not one of the application's."""
        return (self._endpoint(method, path) or "").startswith(f"{OURS}.")

    def _endpoint(self, method: str, path: str) -> str | None:
        """The endpoint that answers these requests. Of equal rules, it is that of the first."""
        try:
            return str(self._adapter.match(path, method)[0])
        except HTTPException:
            return None
