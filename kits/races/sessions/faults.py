"""The faults of the session race, by name. The first word says what breaks."""

from __future__ import annotations

from collections.abc import Callable

from kits.races import engine_faults
from kits.races.engine_faults import Inject, apply_for, cut_off
from kits.races.proxy.rule import Rule
from kits.races.race import Missed, Race
from kits.races.sessions.account import Account
from kits.races.sessions.load import Act
from tests.conditions import eventually

PATIENCE = 2.0  # seconds that a step may take to be reached

Slow = Callable[[Account, str], object]


def at_step(act: Act, engine: str, moment: str, action: str, step: str) -> Inject:
    """Apply a rule once, when a request of a new account reaches its step."""

    def inject(race: Race) -> None:
        account = _account(race)
        # Postgres never sees a locator, so a rule there hits the first request that comes.
        name = race.client.locator(account.live[0]) if engine == "redis" else None
        # Every script returns a number; any other reply means that Redis does not know the script
        # after a restart, and has not run it yet.
        done = b":" if engine == "redis" and moment == "reply" else b""
        with race.rule_in_force(Rule(engine, moment, action, step, name, times=1, reply=done)):
            race.load.act_amid_traffic(account, act)

    return inject


def killed(act: Act, engine: str, moment: str, step: str) -> Inject:
    """Kill the worker at a step."""
    return at_step(act, engine, moment, "kill", step)


def overtaken(step: str, act: Slow, ending: Slow, moment: str = "request") -> Inject:
    """Hold a request of a session at a step until the end of that session is acknowledged, then
    release it. It reaches Redis late, even if the worker has given up."""

    def inject(race: Race) -> None:
        account = _account(race)
        victim, thief = account.live[:2]
        rule = Rule("redis", moment, "hold", step, race.client.locator(victim), times=1)
        number = race.deployment.proxy.add_rule(rule)
        slow = race.load.start(lambda: act(account, victim))
        try:
            _await_hit(race, number)
            ending(account, thief if ending in BY_ANOTHER else victim)
        finally:
            race.deployment.proxy.call("remove_rule", number)
            slow.result()
        account.login()
        race.load.act_amid_traffic(account, Account.devices)

    return inject


def _account(race: Race) -> Account:
    account: Account = race.load.new_account()
    if len(account.live) < 2:
        raise Missed("the account could not sign in")
    account.write()
    return account


def _await_hit(race: Race, number: int) -> None:
    try:
        eventually(lambda: race.deployment.proxy.call("hits", number), PATIENCE)
    except AssertionError:
        raise Missed("no request reached the step") from None


def _login(account: Account, _: str) -> object:
    return account.login()


BY_ANOTHER = (Account.revoke_others, Account.change_password)
FAULTS: dict[str, Inject] = {
    # SIGKILL a worker at each step of whatever ends or changes a session.
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
    # Cut a connection, or drop the reply, once Redis has run the command; some are repeated.
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
    # End a session while a request of it is held.
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
    "redis_slow": apply_for(Rule("redis", "request", "delay", seconds=0.1), 2),
    "redis_half_open": apply_for(Rule("redis", "reply", "drop"), 2),
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
# Without other load, the held request's worker is still waiting for it when it continues.
ALONE = frozenset(name for name in FAULTS if "overtaken" in name)
