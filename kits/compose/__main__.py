"""Rehearse the production stack: build it, use it, restart it, take it away and bring it back.

    python -m kits.compose [--keep]

Needs Docker with compose, and nothing of this project installed. Works in a compose project of
its own on a free port, and removes all of it at the end. Exit status 0 if every check passed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from kits.compose import checks as surroundings
from kits.compose.stack import ONE_SHOTS, PROJECT, SERVICES, Failure, Stack, expect
from kits.compose.visitor import Visitor

Check = tuple[str, Callable[[], str | None]]


def main() -> int:
    """Run the checks in order; each builds upon those before it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the stack running at the end")
    keep = parser.parse_args().keep
    stack = Stack()
    stack.remove()
    try:
        passed = report(rehearse(stack))
        if not passed:
            print(stack.compose("logs", "--no-color", "--tail", "30"))
    finally:
        if keep:
            print(f"Left running: project {PROJECT}, http://127.0.0.1:{stack.port}")
        else:
            stack.remove()
    return 0 if passed else 1


def rehearse(stack: Stack) -> Iterator[Check]:
    """What is checked, and how."""
    visitor = Visitor(stack.port)
    yield "up -d --build: every service healthy", lambda: stack.up("--build")
    for title, check in surroundings.CHECKS:
        yield title, partial(check, stack)
    yield "register through the published port", lambda: register(visitor)
    yield "log in through the published port", lambda: visitor.log_in() and None
    for service in (*SERVICES, *ONE_SHOTS):
        yield f"restart {service}: session and account there", restart(stack, visitor, service)
    yield "stop: each ends by itself, in time", lambda: stop(stack)
    yield "down, up: session and account there", lambda: down_and_up(stack, visitor)
    for service in SERVICES:
        yield f"kill -9 {service}: back by itself, data there", kill(stack, visitor, service)


def report(checks: Iterator[Check]) -> bool:
    """Run the checks, say each result at once, and all of them again in a table."""
    lines = []
    passed = True
    for title, check in checks:
        started = time.monotonic()
        try:
            detail, result = check(), "ok"
        except Failure as failure:
            detail, result, passed = str(failure), "FAILED", False
        seconds = time.monotonic() - started
        print(f"{result:6} {seconds:6.1f} s  {title}: {detail or 'yes'}", flush=True)
        lines.append(f"| {result} | {seconds:.1f} s | {title} |")
    print("\n| result | took | check |\n|---|---|---|", *lines, sep="\n", flush=True)
    return passed


def register(visitor: Visitor) -> str:
    attributes = {part.strip() for part in visitor.register().split(";")[1:]}
    expected = {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    expect(attributes == expected, f"the cookie has {attributes}")
    visitor.still_signed_in()
    return f"__Host-session; {'; '.join(sorted(expected))}"


def restart(stack: Stack, visitor: Visitor, service: str) -> Callable[[], str]:
    def check() -> str:
        stack.compose("restart", service)
        started = time.monotonic()
        if service in ONE_SHOTS:
            stack.await_success(service)
        still_there(visitor)
        served = time.monotonic() - started
        if service in SERVICES:
            stack.await_healthy(service)
        return f"served {served:.1f} s after it had started"

    return check


def stop(stack: Stack) -> str:
    stack.compose("stop")
    codes = {service: stack.inspect(service)["State"]["ExitCode"] for service in SERVICES}
    expect(not any(codes.values()), f"exit statuses {codes}")
    return f"exit statuses {codes}"


def down_and_up(stack: Stack, visitor: Visitor) -> str:
    stack.compose("down")
    left = [service for service in SERVICES if stack.containers(service)]
    expect(not left, f"still there after down: {left}")
    stack.up()
    still_there(visitor)
    return "new containers, old data"


def kill(stack: Stack, visitor: Visitor, service: str) -> Callable[[], str]:
    def check() -> str:
        started = time.monotonic()
        stack.kill_main_process(service)
        still_there(visitor)
        served = time.monotonic() - started
        stack.await_healthy(service)
        return f"served again after {served:.1f} s"

    return check


def still_there(visitor: Visitor) -> None:
    visitor.ready()
    visitor.still_signed_in()
    visitor.still_registered()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:  # before the first check or after the last
        sys.exit(f"Error: {failure}")
