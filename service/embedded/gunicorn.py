"""gunicorn, as a child process of the supervisor."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from service.embedded import leftovers
from service.embedded.engine import exit_status
from service.errors import StartupError

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
READY_LIMIT = 60.0
STOP_LIMIT = 25.0  # gunicorn's own limit, graceful_timeout, is shorter


class GunicornError(StartupError):
    """The port is in use, or the web server does not come up."""


def reserve(port: int) -> socket.socket:
    """Check that `port` is free, and reserve it among instances of Coatcheck.

    Every worker has its own listening socket, so that the kernel spreads connections evenly. For
    that reason, the workers of two servers could share a port without an error.

    Returns:
        A socket that holds the reservation while it is open.

    Raises:
        GunicornError: the port is in use or not allowed; the message is one line.
    """
    guard = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":  # on other systems, the name would outlive its socket
            guard.bind(f"\0coatcheck on port {port}")
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            listener.listen()
    except OSError as problem:
        guard.close()
        raise GunicornError(
            f"Cannot listen on port {port} ({problem.strerror}): "
            "stop the program that uses it, or choose another PORT"
        ) from problem
    return guard


class Gunicorn:
    """The web server of one data directory."""

    title = "gunicorn"

    def __init__(self, data: Path, environ: Mapping[str, str], application: str) -> None:
        self._address = ""
        self._environ = environ
        self._application = application
        self._counts = data / "counts"
        # The only part of its command line that identifies the data directory.
        self._name = f"coatcheck on {data}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, after `start`."""
        return f"http://{self._address}"

    def start(self, port: int) -> None:
        """Start on `port` and wait until `/readyz` reports that it is ready.

        Raises GunicornError, with a one-line message, if it ends or is not ready within a minute.
        """
        self._address = f"{HOST}:{port}"
        command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")]
        command += ["--bind", self._address, "--name", self._name, self._application]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**self._environ, "PROMETHEUS_MULTIPROC_DIR": str(self._fresh_counts())},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._await_ready()

    def stop(self) -> None:
        """Let requests finish, within a time limit, and end every worker."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def exit_status(self) -> str | None:
        """How it ended, in words; None while it runs."""
        return exit_status(self._process)

    def end_leftovers(self) -> int:
        """End the processes that an earlier run on the data directory left; returns how many."""
        return leftovers.end(self._is_leftover, signal.SIGKILL)

    def _is_leftover(self, process: psutil.Process) -> bool:
        return self._name in process.cmdline()

    def _fresh_counts(self) -> Path:
        """An empty directory for the workers' metrics, without those of an earlier run."""
        shutil.rmtree(self._counts, ignore_errors=True)
        self._counts.mkdir()
        return self._counts

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_LIMIT
        while not self._is_ready():
            if status := self.exit_status():
                raise GunicornError(f"gunicorn ended while starting ({status}): see above")
            if time.monotonic() > deadline:
                raise GunicornError(
                    f"{self.url}/readyz was not ready within {READY_LIMIT:.0f} seconds"
                )
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self._address, timeout=5)
        try:
            connection.request("GET", "/readyz")
            # An application with sessions alone need not have this path.
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
