"""Opens and saves the session of each request for Flask, on top of Flask-Session."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

import msgspec
import structlog
from flask import Flask, Request, Response
from flask import request as current_request
from flask.json.provider import DefaultJSONProvider
from flask_session.base import ServerSideSessionInterface

from service.errors import CoatcheckError, SessionStoreUnavailable, SessionTooLarge
from service.sessions.ids import SessionId
from service.sessions.record import NewSession, Record
from service.sessions.session import Session
from service.sessions.store import SessionStore

log = structlog.get_logger()

# Key in the environ of a function that returns the session the loop has read, or raises its error.
PREREAD = "coatcheck.session"
OPENED_FOR = "coatcheck.session_is_open_for"  # key in the environ of the request that opened it


class FlaskSessionInterface(ServerSideSessionInterface):  # type: ignore[misc]
    """Flask-Session's interface without its storage, for code that expects its type and methods.

    Flask-Session's own methods load and store a session as a whole, and fall back on pickle. The
    subclass replaces all of them. Only they call the hooks of a storage, so the hooks stay empty.
    """

    session_class = Session

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.serializer = None  # Session encodes its values itself
        if isinstance(app.json, DefaultJSONProvider):
            app.json.default = _with_sessions(app.json.default)

    def _no_storage(self, *_: Any) -> NoReturn:
        raise NotImplementedError

    _retrieve_session_data = _delete_session = _upsert_session = _no_storage


class SessionInterface(FlaskSessionInterface):
    """Reads a session when a view first uses it, and writes only the keys that changed, and only
    if the session still exists. Never adopts an id from the client, and never unpickles.
    """

    def __init__(
        self,
        app: Flask,
        store: SessionStore,
        end: Callable[[Record], None],
        answer_unsaved: Callable[[CoatcheckError, Response], None],
    ) -> None:
        """
        Args:
            store: keeps the sessions.
            end: ends a session that a view has cleared.
            answer_unsaved: turns a finished response into one for the error that prevented the
                save. Flask saves outside its error handlers.
        """
        super().__init__(app)
        self._store = store
        self._end = end
        self._answer_unsaved = answer_unsaved

    def open_session(self, app: Flask, request: Request) -> Session:
        """The session of this request, which is not read yet.

        Flask opens it when it begins the request. Whoever does so again is the
        `session_transaction()` of a test: no response would tell it that nothing was saved, so it
        gets an error.

        Raises:
            SessionStoreUnavailable: Redis does not answer, in a transaction.
        """
        if request.environ.get(OPENED_FOR) is request:
            transaction = Session(self._reading(app, request), must_save=True)
            transaction.load()
            return transaction
        request.environ[OPENED_FOR] = request
        return Session(request.environ.get(PREREAD) or self._reading(app, request))

    def _id_from_cookie(self, app: Flask, request: Request) -> SessionId | None:
        cookies = request.environ.get("HTTP_COOKIE", "")
        return SessionId.from_cookies(cookies, self.get_cookie_name(app))

    def _reading(self, app: Flask, request: Request) -> Callable[[], Record | None]:
        session_id = self._id_from_cookie(app, request)
        return partial(self._store.read, session_id) if session_id else lambda: None

    def save_session(self, app: Flask, session: Session, response: Response) -> None:
        """Write what the request changed, and update the cookie if the id or its end changed.

        Raises:
            TypeError: a value can no longer be stored because a view changed something in it. Then
                nothing is saved.
            SessionStoreUnavailable, SessionTooLarge, RuntimeError: a transaction saved nothing.
        """
        if session.loaded:
            try:
                self._save(app, session)
            except (SessionStoreUnavailable, SessionTooLarge) as error:
                if session.must_save:
                    raise
                self._answer_unsaved(error, response)
                session.cookie_is_stale = False
        if session.cookie_is_stale:
            self._write_cookie(app, session.record, response)
        if session.accessed:
            _keep_private(response)

    def regenerate(self, session: Session) -> None:
        """Give the session a new id, as Flask-Session's users do when privileges change. The old
        id is invalid afterwards.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        if session.record:
            self._save(self.app, session)
            record = session.record
            saved = msgspec.structs.replace(
                record, fields=session.encoded(), api_data=session.api_data.encoded()
            )
            session.replace_record(self._store.rotate(saved))

    def _save(self, app: Flask, session: Session) -> None:
        if session.cleared:
            self._end(session.cleared)
            session.cleared = None
        if session.ends_unread and (session_id := self._id_from_cookie(app, current_request)):
            # This process cannot read it, but others may: those of another version.
            self._store.revoke(session_id.locator, session_id.digest)
        fields, data = session.changes()
        permanent = session.becomes_permanent
        if not fields and not data and permanent is None:
            return
        idle = app.permanent_session_lifetime.total_seconds() if permanent else None
        record = session.record
        if record is None:
            if fields or data:
                new = NewSession(remember=bool(permanent), idle=idle)
                session.replace_record(self._store.create(new, fields.written, data.written))
            elif session.must_save and permanent:
                raise RuntimeError("nothing was saved: a session without keys is not stored")
            return
        if (fields or data) and not self._store.save(record, fields, data):
            _drop(session)
        elif permanent is not None:
            changed = self._store.set_remember(record, permanent, idle)
            if changed:
                session.continue_within(changed)
            else:
                _drop(session)

    def _write_cookie(self, app: Flask, record: Record | None, response: Response) -> None:
        attributes = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }
        name = self.get_cookie_name(app)
        if record is None:
            response.delete_cookie(name, **attributes)
        else:
            deadline = datetime.fromtimestamp(record.deadline / 1000, UTC)
            expires = deadline if record.metadata.remember else None
            response.set_cookie(name, record.id.value, expires=expires, **attributes)


def _drop(session: Session) -> None:
    """The session has ended, so nothing was written. The cookie stays: it may already belong to a
    newer sign-in."""
    if session.must_save:
        raise RuntimeError("nothing was saved: the session has ended")
    log.info("session_write_dropped", reason="the session is gone")


def _with_sessions(default: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What a JSON encoder asks about objects it does not know, and `flask.session` is one: a proxy
    is no dictionary for code in C."""

    def convert(value: Any) -> Any:
        return dict(value) if isinstance(value, Session) else default(value)

    return convert


def _keep_private(response: Response) -> None:
    """Forbid caches to show the response to anybody else. Adding a header is faster than replacing
    it, so only a response that already has the header pays for that."""
    headers = response.headers
    names = {name.lower() for name, _ in headers}
    if "vary" in names:
        response.vary.add("Cookie")
    else:
        headers.add("Vary", "Cookie")
    if "cache-control" in names:
        if not re.search(r"\b(no-store|private)\b", headers["Cache-Control"].lower()):
            headers["Cache-Control"] = "no-store"
    else:
        headers.add("Cache-Control", "no-store")
