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
from flask_session.base import ServerSideSessionInterface

from service.errors import CoatcheckError, SessionStoreUnavailable, SessionTooLarge
from service.sessions.ids import SessionId
from service.sessions.record import NewSession, Record
from service.sessions.session import Session
from service.sessions.store import SessionStore

log = structlog.get_logger()

# Key in the environ of a function that returns the session the loop has read, or raises its error.
PREREAD = "coatcheck.session"


class FlaskSessionInterface(ServerSideSessionInterface):  # type: ignore[misc]
    """Flask-Session's interface without its storage, for code that expects its type and methods.

    Flask-Session's own methods load and store a session as a whole, and fall back on pickle. The
    subclass replaces all of them. Only they call the hooks of a storage, so the hooks stay empty.
    """

    session_class = Session

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.serializer = None  # Session encodes its values itself

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
        """The session of this request, which is not read yet."""
        if preread := request.environ.get(PREREAD):
            return Session(preread)
        cookies = request.environ.get("HTTP_COOKIE", "")
        session_id = SessionId.from_cookies(cookies, self.get_cookie_name(app))
        return Session(partial(self._store.read, session_id) if session_id else lambda: None)

    def save_session(self, app: Flask, session: Session, response: Response) -> None:
        """Write what the request changed, and update the cookie if the id changed."""
        if session.loaded:
            try:
                self._save(session)
            except (SessionStoreUnavailable, SessionTooLarge) as error:
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
        if record := session.record:
            self._save(session)
            saved = msgspec.structs.replace(
                record, fields=session.encoded(), data=session.api_data.encoded()
            )
            session.replace_record(self._store.rotate(saved))

    def _save(self, session: Session) -> None:
        if session.cleared:
            self._end(session.cleared)
            session.cleared = None
        fields, data = session.changes()
        if not fields and not data:
            return
        if record := session.record:
            if not self._store.save(record, fields, data):
                # The cookie stays: it may already belong to a newer sign-in.
                log.info("session_write_dropped", reason="the session is gone")
        else:
            anonymous = NewSession(remember=session.permanent)
            created = self._store.create(anonymous, fields.written, data.written)
            session.replace_record(created)

    def _write_cookie(self, app: Flask, record: Record | None, response: Response) -> None:
        attributes = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
        }
        name = self.get_cookie_name(app)
        if record is None:
            response.delete_cookie(name, **attributes)
        else:
            deadline = datetime.fromtimestamp(record.deadline / 1000, UTC)
            expires = deadline if record.metadata.remember else None
            response.set_cookie(name, record.id.value, expires=expires, **attributes)


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
