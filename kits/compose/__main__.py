"""Rehearse the production stack: build it, use it, restart it, take it down and bring it back.

Needs Docker with compose, and nothing of this project installed. Works in a compose project of its
own on a free port, and removes everything at the end. Exits with 0 if every check passes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from kits.command import exit_on_sigterm
from kits.compose.checks import Check, isolation_checks
from kits.compose.stack import ONE_SHOTS, PROJECT, ROOT, SERVICES, Failure, Stack, expect
from kits.compose.visitor import Visitor
from kits.report import Report
from kits.verdict import Verdict

OUTPUT = ROOT / ".data/compose"
KEPT = "session and account still there"


def main() -> int:
    """Run every check; returns the exit status."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(
        prog="python -m kits.compose",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack running at the end")
    keep = parser.parse_args().keep
    stack = Stack()
    stack.remove()
    report = Report("Rehearsal of the production stack")
    try:
        report.judge(perform(rehearsal(stack)))
        if not report.passed:
            print(stack.compose("logs", "--no-color", "--tail", "30"))
    finally:
        if keep:
            print(f"Still running: project {PROJECT}, http://127.0.0.1:{stack.port}")
        else:
            stack.remove()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    report.publish(OUTPUT / "report.md")
    return 0 if report.passed else 1


def rehearsal(stack: Stack) -> Iterator[Check]:
    """The checks in order; each builds on those before it."""
    visitor = Visitor(stack.port)
    yield Check("up -d --build", "every service healthy", lambda: stack.up("--build"))
    yield from isolation_checks(stack)
    yield Check("register", "works through the published port", lambda: _register(visitor))
    yield Check("log in", "works through the published port", visitor.log_in)
    for service in (*SERVICES, *ONE_SHOTS):
        yield Check(f"restart {service}", KEPT, _restart(stack, visitor, service))
    yield Check("stop", "each service exits on its own, in time", lambda: _stop(stack))
    yield Check("down, up", KEPT, lambda: _down_and_up(stack, visitor))
    for service in SERVICES:
        subject, target = f"kill -9 {service}", f"restarts on its own, {KEPT}"
        yield Check(subject, target, _kill(stack, visitor, service))


def perform(checks: Iterable[Check]) -> Iterator[Verdict]:
    """Run checks one after the other, and print each verdict at once."""
    for check in checks:
        started = time.monotonic()
        try:
            seen, passed = check.run() or "yes", True
        except Failure as failure:
            seen, passed = str(failure), False
        took = f"{time.monotonic() - started:.1f} s"
        verdict = Verdict(check.subject, check.target, f"{seen} ({took})", passed)
        print(verdict, flush=True)
        yield verdict


def _register(visitor: Visitor) -> str:
    attributes = {part.strip() for part in visitor.register().split(";")[1:]}
    expected = {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    expect(attributes == expected, f"the cookie has {attributes}")
    visitor.expect_signed_in()
    return f"__Host-session; {'; '.join(sorted(expected))}"


def _restart(stack: Stack, visitor: Visitor, service: str) -> Callable[[], str]:
    def check() -> str:
        stack.compose("restart", service)
        started = time.monotonic()
        if service in ONE_SHOTS:
            stack.await_success(service)
        visitor.expect_everything()
        served = time.monotonic() - started
        if service in SERVICES:
            stack.await_healthy(service)
        return f"served {served:.1f} s after the restart"

    return check


def _stop(stack: Stack) -> str:
    stack.compose("stop")
    codes = {service: stack.inspect(service)["State"]["ExitCode"] for service in SERVICES}
    expect(not any(codes.values()), f"exit statuses {codes}")
    return f"exit statuses {codes}"


def _down_and_up(stack: Stack, visitor: Visitor) -> str:
    stack.compose("down")
    left = [service for service in SERVICES if stack.containers(service)]
    expect(not left, f"still there after down: {left}")
    stack.up()
    visitor.expect_everything()
    return "new containers, old data"


def _kill(stack: Stack, visitor: Visitor, service: str) -> Callable[[], str]:
    def check() -> str:
        started = time.monotonic()
        stack.kill_main_process(service)
        visitor.expect_everything()
        served = time.monotonic() - started
        stack.await_healthy(service)
        return f"served again after {served:.1f} s"

    return check


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:  # before the first check or after the last
        sys.exit(f"Error: {failure}")
