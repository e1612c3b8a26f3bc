"""The faults that sessions meet, by their names. The first word of a name says what is hit."""

from __future__ import annotations

from collections.abc import Callable

from kits.races import engine_faults
from kits.races.engine_faults import Inject, cut_off, while_ruled
from kits.races.proxies.proxy import Rule
from kits.races.race import Missed, Race
from kits.races.sessions.account import Account
from kits.races.sessions.load import Act
from tests.conditions import eventually

PATIENCE = 2.0  # seconds that a step may take to be reached

Slow = Callable[[Account, str], object]


def at_step(act: Act, engine: str, moment: str, action: str, step: str) -> Inject:
    """A rule that strikes once, when somebody's act comes to its step."""

    def inject(race: Race) -> None:
        account = _account(race)
        # Postgres is not told a locator: there it strikes whoever comes first.
        name = race.client.locator(account.live[0]) if engine == "redis" else None
        # A script that Redis does not know after a restart is not done yet: each returns a number.
        done = b":" if engine == "redis" and moment == "reply" else b""
        with race.ruled(Rule(engine, moment, action, step, name, times=1, reply=done)):
            race.load.gather(account, act)

    return inject


def killed(act: Act, engine: str, moment: str, step: str) -> Inject:
    """The worker is killed at a step."""
    return at_step(act, engine, moment, "kill", step)


def overtaken(step: str, act: Slow, ending: Slow, moment: str = "request") -> Inject:
    """An act of a session is held up at a step until that session's end was acknowledged, and
    then goes on; Redis gets it late, even if the worker has given up."""

    def inject(race: Race) -> None:
        account = _account(race)
        victim, thief = account.live[:2]
        rule = Rule("redis", moment, "hold", step, race.client.locator(victim), times=1)
        number = race.site.proxies.arm(rule)
        slow = race.load.start(lambda: act(account, victim))
        try:
            _await_hit(race, number)
            ending(account, thief if ending in BY_ANOTHER else victim)
        finally:
            race.site.proxies.ask("disarm", number)
            slow.result()
        account.login()
        race.load.gather(account, Account.devices)

    return inject


def _account(race: Race) -> Account:
    account: Account = race.load.new_account()
    if len(account.live) < 2:
        raise Missed("nobody could sign in")
    account.write()
    return account


def _await_hit(race: Race, number: int) -> None:
    try:
        eventually(lambda: race.site.proxies.ask("hits", number), PATIENCE)
    except AssertionError:
        raise Missed("nobody came to it") from None


def _login(account: Account, _: str) -> object:
    return account.login()


BY_ANOTHER = (Account.revoke_others, Account.change_password)
FAULTS: dict[str, Inject] = {
    # A worker, by SIGKILL, at each step of what ends or changes a session.
    "worker_before_create": killed(Account.login, "redis", "request", "create"),
    "worker_after_create": killed(Account.login, "redis", "reply", "create"),
    "worker_before_save": killed(Account.write, "redis", "request", "save"),
    "worker_after_save": killed(Account.write, "redis", "reply", "save"),
    "worker_before_revoke": killed(Account.logout, "redis", "request", "revoke"),
    "worker_after_revoke": killed(Account.logout, "redis", "reply", "revoke"),
    "worker_before_epoch": killed(Account.revoke_all, "postgres", "request", "raise"),
    "worker_after_epoch": killed(Account.revoke_all, "postgres", "reply", "raise"),
    "worker_before_revoke_all": killed(Account.revoke_others, "redis", "request", "revoke_all"),
    "worker_after_revoke_all": killed(Account.revoke_all, "redis", "reply", "revoke_all"),
    "worker_before_change": killed(Account.change_password, "postgres", "request", "change"),
    "worker_after_change": killed(Account.change_password, "postgres", "reply", "change"),
    "worker_changed_not_revoked": killed(Account.change_password, "redis", "request", "revoke_all"),
    "worker_before_rotate": killed(Account.change_password, "redis", "request", "rotate"),
    "worker_after_rotate": killed(Account.change_password, "redis", "reply", "rotate"),
    # A connection, or what goes through it, once Redis has done it: some is asked for again.
    "reply_to_create_swallowed": at_step(Account.login, "redis", "reply", "drop", "create"),
    "reply_to_revoke_all_swallowed": at_step(
        Account.revoke_all, "redis", "reply", "drop", "revoke_all"
    ),
    "reply_to_rotate_swallowed": at_step(
        Account.change_password, "redis", "reply", "drop", "rotate"
    ),
    "connection_after_create": at_step(Account.login, "redis", "reply", "cut", "create"),
    "connection_after_save": at_step(Account.write, "redis", "reply", "cut", "save"),
    "connection_after_revoke": at_step(Account.revoke, "redis", "reply", "cut", "revoke"),
    "connection_after_rotate": at_step(Account.change_password, "redis", "reply", "cut", "rotate"),
    # A request that is overtaken by the end of its session.
    "write_overtaken_by_logout": overtaken("save", Account.write, Account.logout),
    "write_overtaken_by_revocation": overtaken("save", Account.write, Account.revoke),
    "write_overtaken_by_change": overtaken("save", Account.write, Account.change_password),
    "reading_overtaken_by_logout": overtaken("read", Account.write, Account.logout, "reply"),
    "login_overtaken_by_change": overtaken("create", _login, Account.change_password),
    "login_overtaken_by_all": overtaken("create", _login, lambda account, _: account.revoke_all()),
    "change_overtaken_by_others": overtaken(
        "revoke_all", Account.change_password, Account.revoke_others
    ),
    "rotation_overtaken_by_logout": overtaken("rotate", Account.change_password, Account.logout),
    "change_overtaken_by_logout": overtaken("revoke_all", Account.change_password, Account.logout),
    # Redis.
    "redis_slow": while_ruled(Rule("redis", "request", "delay", seconds=0.1), 2),
    "redis_half_open": while_ruled(Rule("redis", "reply", "drop"), 2),
    "redis_cut_off": cut_off("redis"),
    "redis_paused": engine_faults.redis_paused,
    "redis_paused_for_long": engine_faults.redis_paused_for_long,
    "redis_killed": engine_faults.redis_killed,
    "redis_tail_lost": engine_faults.redis_tail_lost,
    "redis_flushed": engine_faults.redis_flushed,
    # Postgres.
    "postgres_cut_off": cut_off("postgres"),
    "postgres_paused": engine_faults.postgres_paused,
    "postgres_backends_paused": engine_faults.backends_paused,
    "postgres_crashed": engine_faults.postgres_crashed,
}
# With nothing else going on the held request is still waited for when it goes on.
ALONE = frozenset(name for name in FAULTS if "overtaken" in name)
