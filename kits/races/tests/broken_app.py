"""The service with a planted bug, to show that the race finds it.

`gunicorn 'kits.races.tests.broken_app:unfenced_save()'`, and the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Flask, Request, g

from service import create_app
from service.errors import SessionStoreUnavailable
from service.sessions.ids import SessionId
from service.sessions.interface import PREREAD, SessionInterface
from service.sessions.keys import DATA, METADATA
from service.sessions.record import Record
from service.sessions.session import Session
from service.sessions.store import SessionStore
from service.storage.redis import failing_as

IDLE_MS = 1_800_000


def unfenced_save() -> Flask:
    """Saves like Flask-Session: the whole session, changed or not, even if it no longer exists. A
    slow request thus signs a logged-out user in again."""

    class WholeSessions(SessionInterface):
        def open_session(self, app: Flask, request: Request) -> Session:
            if preread := request.environ.get(PREREAD):
                with suppress(SessionStoreUnavailable):
                    g.found = preread()
            return super().open_session(app, request)

        def _upsert_session(self, lifetime: None, session: Session, id_: None) -> None:
            if session.record is None or not g.get("found"):
                super()._upsert_session(lifetime, session, id_)
            else:
                _write_back(self._store, session.record, session.encoded())

        def _retrieve_session_data(self, session_id: SessionId | None) -> Record | None:
            g.found = super()._retrieve_session_data(session_id)
            return g.found

    return _with_interface(WholeSessions)


def unfenced_create() -> Flask:
    """Signs in without checking whether a revocation has overtaken the sign-in."""
    app = create_app()

    class Store(SessionStore):
        def create(self, metadata: Any, fields: Any, *where: Any) -> Record:
            locator, epoch, *replaces = where or (None, None)
            late = None if epoch is None else epoch + 1_000_000
            return super().create(metadata, fields, locator, late, *replaces)

    app.extensions["coatcheck"].session_store.__class__ = Store
    return app


def forgetful_revoke_all() -> Flask:
    """Revokes all sessions by rejecting sign-ins in flight, and leaves the sessions alone."""
    app = create_app()

    class Store(SessionStore):
        def revoke_all(self, locator: str, epoch: int, keep: SessionId | None = None) -> int:
            epoch_key = f"coatcheck:{{{locator}}}:epoch"
            with failing_as(SessionStoreUnavailable):
                self._redis.set(epoch_key, epoch, px=IDLE_MS)
            return len(self.devices(locator))

    app.extensions["coatcheck"].session_store.__class__ = Store
    return app


def _with_interface(interface: type[SessionInterface]) -> Flask:
    app = create_app()
    app.session_interface.__class__ = interface
    return app


def _write_back(store: SessionStore, record: Record, fields: Mapping[str, bytes]) -> None:
    """Write every field, even of a session that no longer exists."""
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    whole: dict[str | bytes, Any] = {DATA + name.encode(): value for name, value in fields.items()}
    whole |= {"created": record.created, "seen": record.seen, "deadline": record.deadline}
    whole[METADATA] = store._encode_metadata(record.metadata)
    with failing_as(SessionStoreUnavailable):
        store._redis.hset(key, mapping=whole)
        store._redis.pexpire(key, IDLE_MS)
