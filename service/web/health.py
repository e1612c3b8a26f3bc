"""Whether the service is alive, and whether it can serve."""

from __future__ import annotations

import os
from collections.abc import Callable

import structlog
from flask import Blueprint, Flask, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from psycopg.errors import InsufficientPrivilege

from service.errors import DatabaseUnavailable, EvictionUnknown, Unavailable
from service.storage import migrations
from service.storage.redis import evicting_policies, eviction_sentence
from service.web.answers import json_answer, json_response
from service.web.routes import needs_no_session
from service.web.services import services, session_services_of

ALIVE_PATH = "/healthz"
OK, UNAVAILABLE = "ok", "unavailable"
EVICTS, OUTDATED, UNCHECKED = "evicts", "outdated", "unchecked"

log = structlog.get_logger()
health = Blueprint("health", __name__)


# Says nothing about the stores: if they are down, restarting this process does not help.
ALIVE = json_answer(200, {"status": "ok"})


@health.get(ALIVE_PATH)
@needs_no_session
def alive() -> Response:
    """Whether the process answers."""
    return ALIVE.response()


@health.get("/readyz")
@needs_no_session
def ready() -> Response:
    """Whether requests can be served. Without the username cache they can, at a higher cost; with
    a Redis that evicts sessions they can, until it is full; with missing migrations they cannot."""
    postgres, schema = _database()
    parts = {
        "postgres": postgres,
        "schema": schema,
        "sessions": _answer(services().session_store.ping),
        "username_cache": _answer(services().username_cache.ping),
    }
    if parts["sessions"] == OK:
        parts["sessions"] = _eviction(current_app)[0]
    if UNAVAILABLE in (postgres, parts["sessions"]) or schema == OUTDATED:
        return json_response({"status": "unavailable", "parts": parts}, 503)
    is_well = set(parts.values()) <= {OK, UNCHECKED}
    return json_response({"status": "ready" if is_well else "degraded", "parts": parts})


@health.get("/metrics")
@needs_no_session
def metrics() -> Response:
    """The counts of all workers, as Prometheus text."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def warn_of_eviction(app: Flask) -> None:
    """Log a warning if a full Redis may delete sessions, or if that is unknown. Returns within a
    second whatever Redis does, because a worker calls it before it serves."""
    found, why = _eviction(app)
    if found == EVICTS:
        log.warning("session_store_evicts", why=why)
    elif found == UNCHECKED:
        log.warning("session_store_eviction_unknown", reason=why)


def _eviction(app: Flask) -> tuple[str, str]:
    """Whether sessions can be evicted, and a sentence about it, or why that is unknown."""
    try:
        evicting = evicting_policies(session_services_of(app).session_redis)
    except EvictionUnknown as error:
        return UNCHECKED, type(error.__cause__).__name__
    return (EVICTS, eviction_sentence(evicting)) if evicting else (OK, "")


def _database() -> tuple[str, str]:
    """The states of Postgres and of its schema, in one query."""
    try:
        with services().postgres.connection() as connection:
            missing = migrations.pending(connection)
    except InsufficientPrivilege:
        return OK, UNCHECKED
    except DatabaseUnavailable:
        return UNAVAILABLE, UNCHECKED
    return OK, OUTDATED if missing else OK


def _answer(ping: Callable[[], None]) -> str:
    try:
        ping()
    except Unavailable:
        return UNAVAILABLE
    return OK
