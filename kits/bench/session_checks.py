"""“Who is signed in?” Every contender answers it, from a session if it has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from kits.bench import accounts, node
from kits.bench.contender import COATCHECK, Contender, Engines
from kits.bench.measurement import Load, Result, get_with_cookies, in_turn
from kits.bench.node import NotMeasured
from kits.bench.section import Section, as_prompt, at_least
from kits.command import Effort, Say
from kits.report import number
from kits.verdict import Verdict

PLAIN, BARE = "plain ASGI callable", "bare Flask"
STOCK, DJANGO = "stock Flask-Session", "Django + django-redis"
EXPRESS, FASTIFY = "Express + connect-redis", "Fastify + @fastify/session"
VERIFY, CURRENT, VIEW = "/auth/verify", "/api/v1/sessions/current", "a user's own view"
PATHS = {VERIFY: VERIFY, CURRENT: CURRENT, VIEW: "/me"}

LEAST = (
    (VERIFY, 1.7, FASTIFY),
    (VERIFY, 3.2, EXPRESS),
    (VERIFY, 0.5, PLAIN),
    (CURRENT, 6.0, STOCK),
    (CURRENT, 5.0, DJANGO),
    (VIEW, 0.75, BARE),
    (VIEW, 2.3, STOCK),
)
REDIS_CPU, COMMANDS = 6.0, 1.02  # µs, commands


def checks(engines: Engines, effort: Effort, say: Say) -> Section:
    """Serve all contenders at the same time, and ask them in turn."""
    notes: list[str] = []
    with ExitStack() as stack:
        loads = [*_without_session(engines, stack), *_peers(engines, stack)]
        try:
            node.install()
            for title, script in ((EXPRESS, node.EXPRESS), (FASTIFY, node.FASTIFY)):
                served = stack.enter_context(node.serve(engines, script))
                loads.append(_peer(title, engines, served))
        except NotMeasured as problem:
            notes.append(f"{EXPRESS} and {FASTIFY} were not measured: {problem}.")
            say(notes[-1])
        results = in_turn([*loads, *_coatcheck(engines, stack)], effort, say)
    found = {result.title: result for result in results}
    return Section("checks", "Session checks", results, list(verdicts(found)), notes)


def _without_session(engines: Engines, stack: ExitStack) -> Iterator[Load]:
    """Contenders that ignore the cookie: none that reads a session can be faster."""
    file = accounts.write_lines(engines, ["session=" + "0" * 55])
    contender = stack.enter_context(engines.serve("applications:plain"))
    yield get_with_cookies(PLAIN, contender, VERIFY, file)
    contender = stack.enter_context(engines.serve("applications:bare_flask"))
    yield get_with_cookies(BARE, contender, "/me", file)


def _peers(engines: Engines, stack: ExitStack) -> Iterator[Load]:
    contender = stack.enter_context(engines.serve("applications:stock_flask_session"))
    yield _peer(STOCK, engines, contender)
    contender = stack.enter_context(engines.serve("django_site:site"))
    yield _peer(DJANGO, engines, contender)


def _peer(title: str, engines: Engines, contender: Contender) -> Load:
    file = accounts.write_lines(engines, accounts.sign_in(contender))
    return get_with_cookies(title, contender, "/me", file)


def _coatcheck(engines: Engines, stack: ExitStack) -> Iterator[Load]:
    contender = stack.enter_context(engines.serve(COATCHECK))
    cookies = accounts.sign_in(contender, accounts.register(contender))
    file = accounts.write_lines(engines, cookies)
    for title, path in PATHS.items():
        yield get_with_cookies(title, contender, path, file)


def verdicts(found: Mapping[str, Result]) -> Iterator[Verdict]:
    """Judge every target whose contender was measured."""
    for ours, least, theirs in LEAST:
        if theirs in found:
            yield at_least(found[ours], least, found[theirs])
    for title in (VERIFY, CURRENT):
        median = found[title].median
        target = f"≤ {REDIS_CPU:.0f} µs of Redis' CPU and ≤ {COMMANDS} commands"
        measured = f"{number(median.redis)} µs, {median.commands:.3f} commands"
        fine = median.redis <= REDIS_CPU and median.commands <= COMMANDS
        yield Verdict(title, target, measured, fine)
    if FASTIFY in found:
        for title in (VERIFY, CURRENT):
            yield as_prompt(found[title], 1, found[FASTIFY])
