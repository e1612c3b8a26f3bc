"""Who is this? Every contender answers it, from a session where it has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from kits.bench import accounts, express
from kits.bench.express import NotMeasured
from kits.bench.section import Section, as_fast, as_prompt
from kits.bench.testbed import COATCHECK, Contender, Stage
from kits.bench.workloads import Result, Visit, cookies, in_turn
from kits.command import Effort, Say, Verdict
from kits.load.comparison_report import number

PLAIN, BARE = "plain WSGI callable", "bare Flask"
STOCK, DJANGO, EXPRESS = "stock Flask-Session", "Django + django-redis", "Express + connect-redis"
VERIFY, CURRENT, VIEW = "/auth/verify", "/api/v1/sessions/current", "a user's own view"
PATHS = {VERIFY: VERIFY, CURRENT: CURRENT, VIEW: "/me"}

LEAST = (
    (VERIFY, 1.4, EXPRESS),
    (VERIFY, 0.7, PLAIN),
    (CURRENT, 1.9, STOCK),
    (CURRENT, 1.4, DJANGO),
    (CURRENT, 0.75, BARE),
)
REDIS_CPU, COMMANDS = 8.0, 1.02  # µs, commands
SLOWER = 1.5  # times


def checks(stage: Stage, effort: Effort, say: Say) -> Section:
    """All contenders, served at the same time and asked in turn."""
    words: list[str] = []
    with ExitStack() as stack:
        visits = [*_limits(stage, stack), *_peers(stage, stack)]
        try:
            express.install()
            visits.append(_peer(EXPRESS, stage, stack.enter_context(express.serve(stage))))
        except NotMeasured as problem:
            words.append(f"{EXPRESS} was not measured: {problem}.")
            say(words[-1])
        results = in_turn([*visits, *_ours(stage, stack)], effort, say)
    found = {result.title: result for result in results}
    return Section("checks", "Session checks", results, list(verdicts(found)), words)


def _limits(stage: Stage, stack: ExitStack) -> Iterator[Visit]:
    """They are sent a cookie as the others are, and leave it alone."""
    file = accounts.lines(stage, ["session=" + "0" * 55])
    contender = stack.enter_context(stage.serve("applications:plain"))
    yield cookies(PLAIN, contender, VERIFY, file)
    contender = stack.enter_context(stage.serve("applications:bare_flask"))
    yield cookies(BARE, contender, "/me", file)


def _peers(stage: Stage, stack: ExitStack) -> Iterator[Visit]:
    contender = stack.enter_context(stage.serve("applications:stock_flask_session"))
    yield _peer(STOCK, stage, contender)
    contender = stack.enter_context(stage.serve("django_site:site"))
    yield _peer(DJANGO, stage, contender)


def _peer(title: str, stage: Stage, contender: Contender) -> Visit:
    return cookies(title, contender, "/me", accounts.lines(stage, accounts.sign_in(contender)))


def _ours(stage: Stage, stack: ExitStack) -> Iterator[Visit]:
    contender = stack.enter_context(stage.serve(COATCHECK))
    file = accounts.lines(stage, accounts.sign_in(contender, accounts.sign_up(contender)))
    for title, path in PATHS.items():
        yield cookies(title, contender, path, file)


def verdicts(found: Mapping[str, Result]) -> Iterator[Verdict]:
    """The targets, but for those of a contender that was not measured."""
    for ours, least, theirs in LEAST:
        if theirs in found:
            yield as_fast(found[ours], least, found[theirs])
    for title in (VERIFY, CURRENT):
        median = found[title].median
        target = f"≤ {REDIS_CPU:.0f} µs of Redis' CPU and ≤ {COMMANDS} commands"
        measured = f"{number(median.redis)} µs, {median.commands:.3f} commands"
        fine = median.redis <= REDIS_CPU and median.commands <= COMMANDS
        yield Verdict(title, target, measured, fine)
    for title in (VERIFY, CURRENT):
        yield as_prompt(found[title], SLOWER, found[BARE])
