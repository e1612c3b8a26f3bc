"""A compose project of the kit's own, beside any that an operator runs from the same files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "coatcheck-rehearsal"
SERVICES = ("web", "postgres", "redis", "cache")
ONE_SHOTS = ("passwords", "migrate")
BUILD_LIMIT = 900.0  # seconds, like those below
COMMAND_LIMIT = 180.0
START_LIMIT = 120.0


class Failure(Exception):
    """Something is wrong; the message says what."""


class Stack:
    """The containers, and what Docker reports about them."""

    def __init__(self) -> None:
        self.port = free_port()
        self._compose = compose_command()
        self._environ = {
            **os.environ,
            "BIND": "127.0.0.1",
            "PORT": str(self.port),
            "IMAGE": PROJECT,
            "WEB_CONCURRENCY": "2",
        }

    def compose(self, *words: str, limit: float = COMMAND_LIMIT) -> str:
        """Run docker compose; it names the file, so that no operator's override applies."""
        file = ["-f", str(ROOT / "docker-compose.yml"), "-p", PROJECT]
        return run([*self._compose, *file, *words], limit, self._environ)

    def up(self, *options: str) -> None:
        """Start everything, and wait until every service is healthy."""
        self.compose("up", "-d", *options, limit=BUILD_LIMIT)
        for service in SERVICES:
            self.await_healthy(service)

    def remove(self) -> None:
        """Remove every container, network, volume and image of the project."""
        self.compose("down", "--volumes", "--remove-orphans")
        if docker("image", "ls", "--quiet", PROJECT):
            docker("image", "rm", PROJECT)

    def containers(self, service: str) -> list[str]:
        """The ids of the containers of `service`, whether they run or not."""
        label = "label=com.docker.compose"
        ours = ["--filter", f"{label}.project={PROJECT}", "--filter", f"{label}.service={service}"]
        return docker("ps", "--all", "--quiet", *ours).split()

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker knows about the container of `service`."""
        containers = self.containers(service)
        if len(containers) != 1:
            raise Failure(f"{service} has {len(containers)} containers")
        details: dict[str, Any] = json.loads(docker("inspect", *containers))[0]
        return details

    def inside(self, service: str, *command: str) -> str:
        """The output of `command` in the container of `service`."""
        return docker("exec", self.inspect(service)["Id"], *command)

    def await_healthy(self, service: str) -> None:
        """Wait until the health check of `service` passes."""

        def healthy() -> bool:
            return bool(self.inspect(service)["State"]["Health"]["Status"] == "healthy")

        wait(healthy, f"{service} did not become healthy")

    def await_success(self, one_shot: str) -> None:
        """Wait until `one_shot` has run, and raise if it failed."""
        wait(lambda: not self.inspect(one_shot)["State"]["Running"], f"{one_shot} did not end")
        if status := self.inspect(one_shot)["State"]["ExitCode"]:
            raise Failure(f"{one_shot} exited with {status}")

    def kill_main_process(self, service: str) -> None:
        """Send SIGKILL from outside, as the kernel's out-of-memory killer does.

        `docker kill` would not do: Docker would treat the container as stopped on purpose. Nor
        would a kill from within, where the kernel protects process 1.
        """
        before = self.inspect(service)
        expect(before["State"]["Running"], f"{service} is not running")
        kill = f"import os; os.kill({before['State']['Pid']}, 9)"
        outside = ["--rm", "--pid=host", "--network=none", "--user=0:0", "--entrypoint=python"]
        docker("run", *outside, PROJECT, "-c", kill)
        restarts = before["RestartCount"] + 1
        wait(
            lambda: self.inspect(service)["RestartCount"] == restarts,
            f"Docker did not restart {service}",
        )


def expect(holds: object, complaint: str) -> None:
    """Raise Failure with `complaint` unless it holds."""
    if not holds:
        raise Failure(complaint)


def docker(*words: str) -> str:
    """Run docker, and return its standard output."""
    return run(["docker", *words], COMMAND_LIMIT)


def run(command: list[str], limit: float, environ: dict[str, str] | None = None) -> str:
    """Run a command that must succeed, and return its standard output."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, env=environ, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command)}: still running after {limit:.0f} s") from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise Failure(f"{' '.join(command)}: exit status {done.returncode}\n{last}")
    return done.stdout


def wait(condition: Callable[[], bool], complaint: str, limit: float = START_LIMIT) -> None:
    """Wait until `condition` holds; raise Failure with `complaint` if it does not in time."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"{complaint} within {limit:.0f} s")
        time.sleep(0.2)


def compose_command() -> list[str]:
    """`docker compose`, or its predecessor if only that is installed."""
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            # Without the plug-in, `docker compose version` prints the version of docker itself.
            if re.search("compose", run([*command, "version"], COMMAND_LIMIT), re.IGNORECASE):
                return command
        except (Failure, FileNotFoundError):
            continue
    raise Failure("neither `docker compose` nor `docker-compose` is installed")
