"""How the services are isolated: which run, under which user, and which can reach which.

Each check returns what it saw, for the report, and raises Failure if something is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from kits.compose.stack import ONE_SHOTS, PROJECT, SERVICES, Stack, docker, expect

MAIN_PROCESS = "/proc/1/status"
BUILD_TOOLS = ("gcc", "cc", "g++", "make", "ld", "pip", "pip3")
AS_HEALTH = "REDISCLI_AUTH=none redis-cli --user health"
AS_SERVICE = "REDISCLI_AUTH=$(cat /run/secrets/password) redis-cli --user coatcheck"
DEVELOPMENT_ONLY = ("service/embedded", "kits", "tests")


class Check(NamedTuple):
    """What is checked, what must hold, and the function that checks it."""

    subject: str
    target: str
    run: Callable[[], str | None]


def started_in_order(stack: Stack) -> str:
    state = {service: stack.inspect(service)["State"] for service in (*ONE_SHOTS, *SERVICES)}
    for one_shot in ONE_SHOTS:
        stack.await_success(one_shot)
    order = [
        state["passwords"]["FinishedAt"],
        min(state[engine]["StartedAt"] for engine in ("postgres", "redis", "cache")),
        state["migrate"]["StartedAt"],
        state["migrate"]["FinishedAt"],
        state["web"]["StartedAt"],
    ]
    order = [moment.rstrip("Z") for moment in order]  # as text, 19.42Z sorts after 19.421Z
    expect(order == sorted(order), f"out of order: {order}")
    return docker("logs", stack.inspect("migrate")["Id"]).strip()


def published(stack: Stack) -> str:
    ports = {}
    for service in SERVICES:
        bindings = stack.inspect(service)["NetworkSettings"]["Ports"] or {}
        ports[service] = [host for hosts in bindings.values() for host in hosts or []]
    expect(
        ports.pop("web") == [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}],
        "web is not published there",
    )
    expect(not any(ports.values()), f"also published: {ports}")
    return f"127.0.0.1:{stack.port}"


def networks(stack: Stack) -> str:
    of_web = set(stack.inspect("web")["NetworkSettings"]["Networks"])
    of_engines: set[str] = set()
    for engine in ("postgres", "redis", "cache"):
        of_engines |= set(stack.inspect(engine)["NetworkSettings"]["Networks"])
    expect(len(of_engines) == 1, f"the engines are on {sorted(of_engines)}")
    (back,) = of_engines
    expect(
        json.loads(docker("network", "inspect", back))[0]["Internal"], f"{back} reaches the outside"
    )
    expect(of_web - {back} != set(), "web is on no other network")
    return back


def unprivileged(stack: Stack) -> str:
    uids = {}
    for service in SERVICES:
        status = stack.inside(service, "cat", MAIN_PROCESS)
        uids[service] = int(re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]
        expect(uids[service] != 0, f"{service} runs as root")
        for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
            expect(line in status, f"{service}: no {line!r} in {MAIN_PROCESS}")
    return f"uids {uids}"


def read_only(stack: Stack) -> str:
    # Postgres's socket is in its image; see docker-compose.yml.
    for service in ("web", "redis", "cache"):
        expect(stack.inspect(service)["HostConfig"]["ReadonlyRootfs"], f"{service} is writable")
    attempt = "import errno\ntry: open('/app/x', 'w')\nexcept OSError as e: print(e.errno)"
    expect(stack.inside("web", "python", "-c", attempt).strip() == "30", "/app is writable")
    return "web, redis and cache"


def lean(stack: Stack) -> str:
    seek = f"import shutil; print(*filter(None, map(shutil.which, {BUILD_TOOLS})))"
    found = stack.inside("web", "python", "-c", seek).split()
    seek = f"import os; print(*filter(os.path.exists, {DEVELOPMENT_ONLY}))"
    found += stack.inside("web", "python", "-c", seek).split()
    pythons = stack.inside("web", "python", "-c", "import sys; print(sys._base_executable)").split()
    seek = "from importlib.util import find_spec; print(find_spec('pip') or '')"
    for python in ("python", *pythons):
        found += stack.inside("web", python, "-c", seek).split()
    expect(not found, f"found {found}")
    return stack.inside("web", "ls", "/app").replace("\n", " ").strip()


def engines(stack: Stack) -> str:
    query = "SELECT rolsuper FROM pg_roles WHERE rolname = 'coatcheck'"
    superuser = stack.inside("postgres", "psql", "-U", "postgres", "-tAc", query).strip()
    expect(superuser == "f", "the service's role is a superuser")
    for engine, policy, append in (("redis", "noeviction", "1"), ("cache", "allkeys-lru", "0")):
        expect(
            "NOAUTH" in stack.inside(engine, "redis-cli", "ping"), f"{engine} asks for no password"
        )
        about = stack.inside(engine, "sh", "-c", f"{AS_HEALTH} info").split()
        for line in (f"maxmemory_policy:{policy}", f"aof_enabled:{append}"):
            expect(line in about, f"{engine} does not say {line}")
    return "noeviction and appendonly; allkeys-lru; no superuser"


def least_rights(stack: Stack) -> str:
    for engine in ("redis", "cache"):
        for login in (AS_HEALTH, AS_SERVICE):
            for command in ("config get maxmemory", "keys '*'", "get elsewhere", "flushall"):
                found = stack.inside(engine, "sh", "-c", f"{login} {command}")
                expect("NOPERM" in found, f"{engine} answers {command!r}")
    return "NOPERM for everything else"


def limits(stack: Stack) -> str:
    seen = []
    for service in (*SERVICES, *ONE_SHOTS):
        host = stack.inspect(service)["HostConfig"]
        for limit in ("Memory", "PidsLimit", "NanoCpus"):
            expect((host[limit] or 0) > 0, f"{service} has no {limit}")
        seen.append(f"{service} {host['Memory'] >> 20} MiB")
    return ", ".join(seen)


def safe(stack: Stack) -> str:
    return stack.inside("web", "python", "-m", "service", "check").replace("\n", " ").strip()


def passwords_hidden(stack: Stack) -> str:
    urls = stack.inside("web", "sh", "-c", "cat /run/secrets/*_url")
    words = {*re.findall(r":([^:@/]{40,})@", urls)}
    superuser = "/docker-entrypoint-initdb.d/superuser_password"
    words.add(stack.inside("postgres", "cat", superuser).strip())
    expect(len(words) == 4, f"{len(words)} different passwords, not 4")
    visible = docker("image", "inspect", PROJECT) + docker("history", "--no-trunc", PROJECT)
    for service in (*SERVICES, *ONE_SHOTS):
        container = stack.inspect(service)
        visible += json.dumps(container) + stack.compose("logs", "--no-color", service)
        if container["State"]["Running"]:
            visible += docker("top", container["Id"], "-o", "pid,args")
    expect(not any(word in visible for word in words), "a password is visible")
    return f"{len(words)} passwords, {len(visible)} characters searched"


def isolation_checks(stack: Stack) -> Iterator[Check]:
    """Every check of this module."""
    for subject, target, check in (
        ("start", "in order: passwords, engines, migrate, web", started_in_order),
        ("published ports", "only that of web, on 127.0.0.1", published),
        ("networks", "the engines are only on the internal one", networks),
        ("privileges", "no service runs as root or has a capability", unprivileged),
        ("root file systems", "read-only", read_only),
        ("image", "no build tools, no development code", lean),
        ("engine settings", "one store and one cache, no superuser", engines),
        ("rights in Redis", "only what the service needs", least_rights),
        ("limits", "memory, processes and CPU for each service", limits),
        ("python -m service check", "nothing unsafe or broken", safe),
        ("passwords", "in no inspect output, process list, log or image", passwords_hidden),
    ):
        yield Check(subject, target, partial(check, stack))
