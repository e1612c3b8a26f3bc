"""A correct history of one account, and the operations to plant in it."""

from __future__ import annotations

from kits.races.history import FaultSpan
from kits.races.sessions.evidence import Evidence
from kits.races.sessions.history import SessionOperation


def op(kind: str, at: float, status: int | None, **more: object) -> SessionOperation:
    """A request of ada that takes a tenth of a second."""
    usual: dict[str, object] = {"number": 0, "phase": "load", "name": "ada", "completed": at + 0.1}
    usual |= {"retry_after": status == 503}
    return SessionOperation(**{**usual, "kind": kind, "invoked": at, "status": status, **more})


def enters(handle: str, at: float, password: str = "p", **more: object) -> SessionOperation:
    fields = {"issued": handle, "handle": handle, "owner": "Ada", "password": password}
    return op("login", at, 201, **{**fields, **more})


def read(session: str, at: float, status: int = 200, **more: object) -> SessionOperation:
    fields = {"owner": "Ada", "handle": session} if status == 200 else {}
    return op("read", at, status, session=session, **{**fields, **more})


def write(
    session: str | None, at: float, key: str, *others: str, **more: object
) -> SessionOperation:
    data = {each: each for each in (key, *others)}
    return op("write", at, 200, **{"session": session, "key": key, "data": data, **more})


def data(handle: str, at: float, *keys: str, **more: object) -> SessionOperation:
    fields = {"session": handle, "data": {key: key for key in keys}}
    return op("data", at, 200, **{**fields, **more})


def listed(handle: str, at: float, *handles: str) -> SessionOperation:
    return op("list", at, 200, session=handle, handles=handles)


def change(handle: str, at: float, old: str, new: str, **more: object) -> SessionOperation:
    return op("change", at, 204, session=handle, password=old, new_password=new, **more)


VISIT = write(None, 0.0, "hat", issued="anonymous")
CHANGE = change("phone", 5.0, "p", "q", issued="phone2")
CLEAN = (
    VISIT,
    enters("phone", 1.0, session="anonymous"),
    enters("laptop", 1.0),
    write("phone", 2.0, "coat"),
    op("write", 2.0, 503, session="phone", key="scarf"),
    data("phone", 2.5, "coat", "scarf"),
    read("anonymous", 2.5, 401),
    listed("phone", 2.5, "phone", "laptop"),
    op("logout", 3.0, 204, session="laptop", cleared=True),
    read("laptop", 3.05),  # in flight at the same time
    read("laptop", 3.5, 401),
    write("laptop", 3.6, "glove", issued="nobody"),
    op("read", 4.0, 503, session="phone"),
    op("login", 4.95, 201, issued="late", password="p", owner="Ada", handle="late"),
    CHANGE,
    read("late", 5.5, 401),
    read("phone", 5.5, 401),
    op("login", 5.5, 401, password="p"),
    data("phone2", 5.5, "coat"),
    listed("phone2", 5.6, "phone2"),
    op("login", 6.0, 503, password="q"),
    listed("phone2", 6.5, "phone2", "of the login without a response"),
)
PAUSE = FaultSpan("redis_paused", 10.0, 12.0, True)
OUTAGE = FaultSpan("postgres_paused", 13.0, 15.0, True)
LOSS = FaultSpan("redis_flushed", 7.0, 7.2, True)
FAULTS = (PAUSE, OUTAGE)


def planted(*operations: SessionOperation, faults: tuple[FaultSpan, ...] = FAULTS) -> Evidence:
    together = sorted((*CLEAN, *operations), key=lambda each: each.invoked)
    return Evidence(together, faults)
