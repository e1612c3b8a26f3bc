"""Is it alive, and can it serve?"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service.errors import Unavailable
from service.web.services import services

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers. Says nothing of what it depends on: restarting would not help."""
    return {"status": "ok"}


@health.get("/readyz")
def ready() -> tuple[dict[str, Any], int]:
    """Whether requests can be served. Without the username cache they can, only dearer."""
    parts = {
        "postgres": _answers(services().postgres.ping),
        "sessions": _answers(services().session_store.ping),
        "username_cache": _answers(services().username_cache.ping),
    }
    serving = parts["postgres"] and parts["sessions"]
    status = "unavailable" if not serving else "ready" if all(parts.values()) else "degraded"
    words = {part: "ok" if answers else "unavailable" for part, answers in parts.items()}
    return {"status": status, "parts": words}, 200 if serving else 503


@health.get("/metrics")
def metrics() -> Response:
    """What all workers have counted, as Prometheus text."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _answers(ping: Callable[[], None]) -> bool:
    try:
        ping()
    except Unavailable:
        return False
    return True
