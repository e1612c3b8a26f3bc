"""The service as it really runs: gunicorn with several workers, on the test's engines."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.conditions import eventually
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
APPLICATION = "service:create_app()"
NO_TLS = ssl.create_default_context()  # once: httpx makes one for each client, in 20 ms


@dataclass(frozen=True)
class Server:
    """A running gunicorn."""

    url: str
    master: psutil.Process
    log: Path

    def client(self, **cookies: str) -> httpx.Client:
        """An HTTP client, whose connections are its own."""
        return httpx.Client(base_url=self.url, cookies=cookies, verify=NO_TLS, timeout=30)

    def workers(self) -> set[int]:
        """The pids of the workers that are alive."""
        return {child.pid for child in self.master.children()}


@contextmanager
def gunicorn(
    directory: Path,
    environ: Mapping[str, str],
    workers: int = 3,
    application: str = APPLICATION,
    worker_class: str | None = None,
    port: int | None = None,
) -> Iterator[Server]:
    """Run `application`; ready when every worker has started, gone without a trace afterwards."""
    port = port or free_port()
    log = directory / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", application]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    if worker_class:
        command += ["--worker-class", worker_class]
    counts = directory / "counts"
    counts.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(counts), **environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid), log)
    try:
        eventually(lambda: is_ready(server.url) and len(server.workers()) == workers, within=30)
        yield server
    finally:
        # A graceful stop takes a second, and twenty if a worker is just starting.
        with suppress(ProcessLookupError):  # the test has stopped it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, verify=NO_TLS).status_code == 200
    except httpx.HTTPError:
        return False
