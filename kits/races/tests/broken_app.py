"""The service with a planted bug, to show that the race finds it.

`gunicorn 'kits.races.tests.broken_app:unfenced_save()'`, and the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Flask, Request, g

from service import create_app
from service.errors import SessionStoreUnavailable
from service.sessions.interface import SessionInterface
from service.sessions.keys import FLASK, METADATA
from service.sessions.record import NewSession, Record, encode_metadata
from service.sessions.session import Session
from service.sessions.store import SessionStore
from service.storage.redis import failing_as
from service.web.services import services_of

IDLE_MS = 1_800_000


def unfenced_save() -> Flask:
    """Saves like Flask-Session: the whole session, changed or not, even if it no longer exists. A
    slow request thus signs a logged-out user in again."""

    class WholeSessions(SessionInterface):
        def open_session(self, app: Flask, request: Request) -> Session:
            opened = super().open_session(app, request)
            read = opened._read_record

            def noting() -> Record | None:
                g.found = read()
                return g.found

            opened._read_record = noting
            return opened

        def _save(self, app: Flask, session: Session) -> None:
            if session.record is None or not g.get("found"):
                super()._save(app, session)
            else:
                _write_back(self._store, session.record, session.encoded())

    return _with_interface(WholeSessions)


def unfenced_create() -> Flask:
    """Signs in without checking whether a revocation has overtaken the sign-in."""
    app = create_app()

    class Store(SessionStore):
        def create(self, new: NewSession, *more: Any, **named: Any) -> Record:
            late = None if new.epoch is None else new.epoch + 1_000_000
            return super().create(replace(new, epoch=late), *more, **named)

    services_of(app).session_store.__class__ = Store
    return app


def forgetful_revoke_all() -> Flask:
    """Revokes all sessions by rejecting sign-ins in flight, and leaves the sessions alone."""
    app = create_app()

    class Store(SessionStore):
        def revoke_all(self, locator: str, epoch: int, keep: str | None = None) -> int:
            epoch_key = f"coatcheck:{{{locator}}}:epoch"
            with failing_as(SessionStoreUnavailable):
                self._redis.set(epoch_key, epoch, px=IDLE_MS)
            return len(self.devices(locator))

    services_of(app).session_store.__class__ = Store
    return app


def _with_interface(interface: type[SessionInterface]) -> Flask:
    app = create_app()
    app.session_interface.__class__ = interface
    return app


def _write_back(store: SessionStore, record: Record, fields: Mapping[str, bytes]) -> None:
    """Write every field, even of a session that no longer exists."""
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    whole: dict[str | bytes, Any] = {FLASK + name.encode(): value for name, value in fields.items()}
    whole |= {"created": record.created, "seen": record.seen, "deadline": record.deadline}
    whole[METADATA] = encode_metadata(record.metadata)
    with failing_as(SessionStoreUnavailable):
        store._redis.hset(key, mapping=whole)
        store._redis.pexpire(key, IDLE_MS)
