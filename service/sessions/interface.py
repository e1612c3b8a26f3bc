"""What Flask calls to open and to save the session, on top of Flask-Session's interface."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from flask import Flask, Request, Response
from flask_session.base import ServerSideSessionInterface

from service.errors import CoatcheckError, SessionStoreUnavailable, SessionTooLarge
from service.sessions.ids import SessionId
from service.sessions.record import Metadata, Owner, Record
from service.sessions.session import Session
from service.sessions.store import SessionStore

log = structlog.get_logger()

# In the environ: returns the session that was read for the request, or raises what went wrong.
PREREAD = "coatcheck.session"
MAX_ADDRESS, MAX_USER_AGENT = 64, 256  # characters that are kept


class SessionInterface(ServerSideSessionInterface):  # type: ignore[misc]
    """Flask-Session with another store and other rules for saving.

    It reads on first access and not on every request, writes only the keys that changed and only
    into a session that still exists, never adopts an id that the client made up, and never
    unpickles: each value is msgpack.
    """

    session_class = Session

    def __init__(
        self,
        app: Flask,
        store: SessionStore,
        answer_unsaved: Callable[[CoatcheckError, Response], None],
    ) -> None:
        """
        Args:
            store: where sessions are kept.
            answer_unsaved: turns a finished response into the one that says that the session
                could not be saved. Flask saves outside its error handlers.
        """
        super().__init__(app)
        self.serializer = None  # the base's falls back on pickle; Session encodes for itself
        self._store = store
        self._answer_unsaved = answer_unsaved

    def open_session(self, app: Flask, request: Request) -> Session:
        """The session of this request; nothing is read yet."""
        if preread := request.environ.get(PREREAD):
            return Session(preread)
        cookies = request.environ.get("HTTP_COOKIE", "")
        session_id = SessionId.from_cookies(cookies, self.get_cookie_name(app))
        return Session(partial(self._retrieve_session_data, session_id))

    def save_session(self, app: Flask, session: Session, response: Response) -> None:
        """Write what the request changed, and tell the browser if its id changed."""
        if session.loaded:
            try:
                self._upsert_session(None, session, None)
            except (SessionStoreUnavailable, SessionTooLarge) as error:
                self._answer_unsaved(error, response)
                session.cookie_is_stale = False
        if session.cookie_is_stale:
            self._write_cookie(app, session.record, response)
        if session.accessed:
            headers = response.headers
            # `add` costs a third of what setting a header does.
            if "Vary" in headers:
                response.vary.add("Cookie")
            else:
                headers.add("Vary", "Cookie")
            if "Cache-Control" in headers:
                headers["Cache-Control"] = "no-store"
            else:
                headers.add("Cache-Control", "no-store")

    def start(
        self,
        session: Session,
        request: Request,
        owner: Owner,
        locator: str,
        epoch: int,
        remember: bool,
    ) -> None:
        """Sign somebody in: a new session under a new id, which the response will carry.

        What an anonymous session held goes over into the new one; the old id is dead.

        Args:
            owner: the account, as the session will remember it.
            locator: the account's locator.
            epoch: the account's session epoch, read together with its password hash.
            remember: whether the session outlives the browser.

        Raises:
            SessionRevoked: the account's sessions were revoked since `epoch` was read.
            SessionStoreUnavailable: Redis does not answer; nobody is signed in.
        """
        old = session.record
        carried = session.encoded() if session.owner is None else {}
        metadata = _metadata(request, owner, remember)
        new = self._store.create(metadata, carried, locator, epoch, old.id if old else None)
        if old and old.id.locator != locator:  # in another slot of a cluster: a step of its own
            self._store.revoke(old.id.locator, old.id.digest)
        session.replace_record(new)

    def end(self, session: Session) -> None:
        """Sign out: the session is gone from the store when this returns, and the response will
        delete the cookie."""
        if record := session.record:
            self._delete_session(record.id)
        session.replace_record(None)

    def regenerate(self, session: Session) -> None:
        """Give the session a new id, as Flask-Session's users do when privileges change; the old
        one is dead when this returns.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        if record := session.record:
            self._upsert_session(None, session, None)
            session.replace_record(self._store.rotate(record))

    def _retrieve_session_data(self, session_id: SessionId | None) -> Record | None:
        return self._store.read(session_id) if session_id else None

    def _delete_session(self, session_id: SessionId) -> None:
        self._store.revoke(session_id.locator, session_id.digest)

    def _upsert_session(self, _lifetime: None, session: Session, _id: None) -> None:
        changed, removed = session.changes()
        if not changed and not removed:
            return
        if record := session.record:
            if not self._store.save(record.id, changed, removed):
                # The cookie is left alone: by now it may be that of a newer sign-in.
                log.info("session_write_dropped", reason="the session is gone")
        else:
            metadata = _metadata(None, None, session.permanent)
            session.replace_record(self._store.create(metadata, changed))

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
            expires = _instant(record.deadline) if record.metadata.remember else None
            response.set_cookie(name, record.id.value, expires=expires, **attributes)


def _metadata(request: Request | None, owner: Owner | None, remember: bool) -> Metadata:
    """For an anonymous session neither address nor browser is kept: nobody will be shown them."""
    address = (request.remote_addr or "") if request else ""
    user_agent = request.user_agent.string if request else ""
    return Metadata(owner, remember, address[:MAX_ADDRESS], user_agent[:MAX_USER_AGENT])


def _instant(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
