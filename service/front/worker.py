"""gunicorn's worker: an event loop that owns the connections, and the front before Flask."""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import gc
import os
import resource
from typing import Any

from gunicorn.workers.gasgi import ASGIWorker

from service.front.application import Front
from service.front.connection import Connection, lines_of
from service.front.sessions import SessionFront
from service.web.services import Services, session_services_of

HEARTBEAT = 1.0  # seconds
# Thresholds of the three generations. With Python's own, the garbage collector would examine the
# hundreds of requests that wait again and again.
COLLECT_AFTER = (2_000, 5, 100)


class Worker(ASGIWorker):  # type: ignore[misc]
    """Serves a Flask application. Named in gunicorn.conf.py as `worker_class`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()
        # This runs in gunicorn's master. Workers must not share the connections of a preloaded
        # application.
        if self.app.callable is not None:
            session_services_of(self.app.callable).close()

    def load_wsgi(self) -> None:
        """Load the Flask application and put the front before it."""
        self.asgi = self.front(self.app.wsgi())
        self.constant_lines = lines_of(self.asgi.headers)

    def front(self, application: Any) -> Any:
        """The ASGI application that serves `application`."""
        has_accounts = isinstance(session_services_of(application), Services)
        return Front(application) if has_accounts else SessionFront(application)

    async def _serve(self) -> None:
        _allow_connections(self.cfg.worker_connections)
        # Plain attributes: gunicorn reads dozens of settings for each connection.
        self.cfg.__dict__.update({name: each.get() for name, each in self.cfg.settings.items()})
        await self.asgi.start()
        self.servers = [
            await self.loop.create_server(
                lambda: Connection(self), sock=listener.sock, backlog=self.cfg.backlog
            )
            for listener in self.sockets
        ]
        gc.collect()
        gc.freeze()  # what stays forever needs no examination
        gc.set_threshold(*COLLECT_AFTER)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            await asyncio.sleep(HEARTBEAT)
        await self._shutdown()
        await self.asgi.close()

    async def _shutdown(self) -> None:
        """Stop listening, close idle connections, and let requests finish within
        `graceful_timeout`."""
        for server in self.servers:
            server.close()
        deadline = self.loop.time() + self.cfg.graceful_timeout
        while self.nr_conns and not self._quick_shutdown and self.loop.time() < deadline:
            self.notify()
            for connection in list(self.connections):
                connection.close_if_idle()
            await asyncio.sleep(0.05)


def _allow_connections(wanted: int) -> None:
    """Raise the limit of open files to what the connections need, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 256
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
