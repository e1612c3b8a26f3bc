"""The contenders on Node: Express and Fastify, on as many processes as the others have workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from kits.bench.contender import Contender, Engines
from kits.engines import WORKERS
from tests.conditions import eventually
from tests.ports import free_port
from tests.servers import ROOT, Server, is_ready

SOURCE = Path(__file__).with_name("node")
HOME = ROOT / ".data/bench/node"  # their libraries are installed here, once
EXPRESS, FASTIFY = "express.js", "fastify.js"
LOCK = "package-lock.json"
INSTALL = ["npm", "ci", "--engine-strict", "--ignore-scripts", "--no-audit", "--no-fund"]
INSTALL_LIMIT = 300.0  # seconds


class NotMeasured(Exception):
    """Node cannot run here; the message is one line that says why."""


def install() -> None:
    """Install the libraries into HOME unless they are there already.

    Raises:
        NotMeasured: Node or npm is missing, or npm fails.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NotMeasured(f"{program} is not installed; on Debian: apt-get install nodejs npm")
    lock = HOME / LOCK
    if not (lock.exists() and lock.read_bytes() == (SOURCE / LOCK).read_bytes()):
        _install_from_lock()
    for script in (EXPRESS, FASTIFY):
        shutil.copy(SOURCE / script, HOME)


def _install_from_lock() -> None:
    """Install into a directory next to it, so that an interrupted installation starts again."""
    unfinished = HOME.with_name("unfinished")
    for directory in (unfinished, HOME):
        shutil.rmtree(directory, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in ("package.json", LOCK):
        shutil.copy(SOURCE / name, unfinished)
    try:
        subprocess.run(
            INSTALL,
            cwd=unfinished,
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"npm did not end within {INSTALL_LIMIT:.0f} s") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.startswith("npm error")]
        raise NotMeasured(f"npm failed: {lines[0] if lines else error.returncode}") from error
    unfinished.rename(HOME)


@contextmanager
def serve(engines: Engines, script: str, workers: int = WORKERS) -> Iterator[Contender]:
    """Run one of the scripts, once installed; nothing of it remains afterwards."""
    port = free_port()
    environ = {
        "NODE_ENV": "production",
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "REDIS_SOCKET": engines.redis_engine.url.removeprefix("unix://"),
        "WORKERS": str(workers),
    }
    log = engines.subdirectory() / "node.log"
    options = {"cwd": HOME, "env": environ, "start_new_session": True}
    with (
        log.open("wb") as output,
        subprocess.Popen(["node", script], stdout=output, **options) as node,
    ):
        server = Server(f"http://127.0.0.1:{port}", psutil.Process(node.pid), log)
        try:
            eventually(lambda: len(server.workers()) == workers and is_ready(server.url), within=30)
            yield Contender(engines, server)
        finally:
            os.killpg(node.pid, signal.SIGKILL)
