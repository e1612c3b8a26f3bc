"""The service's own gunicorn worker, for applications that are not the service.

Contenders get the same event loop, the same threads and the same request log, so that only what
they do differs. They never shed a request.
"""

from __future__ import annotations

import os
from typing import Any

from service.front.bridge import Bridge
from service.front.worker import Worker

BRIDGED, PLAIN = "kits.workers.Bridged", "kits.workers.Plain"
THREADS = "KIT_THREADS"  # the variable that sets how many requests a worker serves at a time

PATIENCE = 3600.0  # seconds
MAX_BODY = 64 * 1024  # bytes


class Bridged(Worker):
    """Serves a WSGI application in threads behind the loop."""

    def front(self, application: Any) -> Any:
        threads = int(os.environ.get(THREADS, "4"))
        return Bridge(application, threads, PATIENCE, MAX_BODY)


class Plain(Worker):
    """Serves an ASGI application that has `start`, `close` and `log` like the front."""

    def front(self, application: Any) -> Any:
        return application
