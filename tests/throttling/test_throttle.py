"""Charges and refunds, on a real Redis and on a Cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
import structlog
from limits import parse
from prometheus_client import REGISTRY
from redis import Redis
from structlog.testing import capture_logs

from service.errors import (
    GuessesUsedUp,
    LimitUsedUp,
    SessionStoreUnavailable,
    TooManyHashes,
    TooManyRequests,
)
from service.storage.redis import connect
from service.throttling import buckets, outages, rules
from service.throttling.buckets import Bucket, by_network
from service.throttling.rules import ThrottleRules
from service.throttling.table import LOCKS, TABLE, Limited
from service.throttling.throttle import Throttle
from service.web.problems import rate_limit_headers
from tests.conditions import eventually
from tests.front.in_front_of_flask import asked
from tests.redis_engines import Masters

NAME, ADDRESS = "bob", "192.0.2.1"
ACCOUNT = Bucket(Limited.LOGIN_ACCOUNT, (NAME,))
NETWORK = Bucket(Limited.LOGIN_NETWORK, (NAME, ADDRESS))
FAILURES = Bucket(Limited.LOGIN_FAILURES, (NAME,))


def throttle(redis: Redis | Masters, **amounts: str) -> Throttle:
    """One with these limits."""
    table = {Limited[name]: parse(amount) for name, amount in amounts.items()}
    return Throttle(redis, ThrottleRules(table))


def fitting(limited: Throttle, *counted: Bucket, most: int = 50) -> int:
    """How many attempts fit, one after the other."""
    for number in range(most):
        try:
            limited.charge(counted)
        except TooManyRequests:
            return number
    return most


def unthrottled() -> float:
    return REGISTRY.get_sample_value("coatcheck_unthrottled_requests_total") or 0.0


def is_refused(charge: Callable[[], object]) -> bool:
    try:
        charge()
    except TooManyRequests:
        return True
    return False


def test_a_limit_lets_as_many_attempts_through_as_it_says(either_redis: Redis | Masters) -> None:
    limited = throttle(either_redis, LOGIN_ACCOUNT="10 per 5 minutes")
    assert fitting(limited, ACCOUNT) == 10
    with pytest.raises(LimitUsedUp) as refusal:
        limited.charge([ACCOUNT])
    assert (refusal.value.limit, refusal.value.amount, refusal.value.window) == (
        "login-account",
        10,
        300,
    )
    assert 25 <= refusal.value.retry_after <= 30


def test_a_parallel_burst_gets_no_more_tries_than_a_sequence(
    either_redis: Redis | Masters,
) -> None:
    """G14: a guess is charged before it is checked."""
    limited = throttle(either_redis, LOGIN_NETWORK="10 per hour", LOGIN_ACCOUNT="20 per hour")
    limited.charge([FAILURES])  # connects
    for number in range(5):
        counted = [Bucket(Limited.LOGIN_NETWORK, (str(number),)), Bucket(Limited.LOGIN, ("x",))]
        barrier, fitted = threading.Barrier(40), []

        def attempt(barrier=barrier, fitted=fitted, counted=counted) -> None:  # type: ignore[no-untyped-def]
            barrier.wait(10)
            with suppress(TooManyRequests):
                fitted.append(limited.charge(counted))

        threads = [threading.Thread(target=attempt) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(fitted) == 10


def test_an_attempt_that_one_limit_rejects_is_charged_to_none(
    either_redis: Redis | Masters,
) -> None:
    limited = throttle(either_redis, LOGIN_NETWORK="2 per hour", LOGIN_ACCOUNT="5 per hour")
    assert fitting(limited, ACCOUNT, NETWORK) == 2
    assert fitting(limited, ACCOUNT) == 3


def test_whoever_keeps_trying_uses_up_the_limit_of_the_network(
    either_redis: Redis | Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a worker soon remembers it, and a flood on one name costs nothing."""
    limited = throttle(either_redis, LOGIN="5 per hour", LOGIN_NETWORK="1 per hour")
    counted = buckets.login(NAME, ADDRESS)
    errors = []
    for _ in range(7):
        with suppress(TooManyRequests) as _, pytest.raises(TooManyRequests) as refusal:
            limited.charge(counted)
            raise LimitUsedUp("none", 1, 1, 1)
        errors.append(refusal.value.limit)
    assert errors == ["none", *["login-network"] * 5, "login"]


def test_it_does_not_matter_in_which_order_the_limits_are_named(
    either_redis: Redis | Masters,
) -> None:
    limited = throttle(either_redis, LOGIN="2 per hour", LOGIN_NETWORK="1 per hour")
    named = [*reversed(buckets.login(NAME, ADDRESS))]
    assert fitting(limited, *named) == 1
    assert is_refused(lambda: limited.charge(named))
    assert limited.is_used_up(by_network(Limited.LOGIN, ADDRESS))


def test_time_gives_attempts_back(either_redis: Redis | Masters) -> None:
    limited = throttle(either_redis, LOGIN_ACCOUNT="3 per 1 second")
    assert fitting(limited, ACCOUNT) >= 3
    eventually(lambda: not is_refused(lambda: limited.charge([ACCOUNT])), within=5)


def test_a_refund_gives_back_one_attempt_once(either_redis: Redis | Masters) -> None:
    limited = throttle(either_redis, LOGIN_NETWORK="5 per hour", LOGIN_ACCOUNT="5 per hour")
    charge = limited.charge([ACCOUNT, NETWORK])
    assert fitting(limited, ACCOUNT, NETWORK) == 4
    charge.refund()
    charge.refund()
    assert fitting(limited, ACCOUNT, NETWORK) == 1


def test_refunds_leave_nothing_behind(either_redis: Redis | Masters) -> None:
    limited = throttle(either_redis, LOGIN_NETWORK="5 per hour", LOGIN_ACCOUNT="5 per hour")
    for charge in [limited.charge([ACCOUNT, NETWORK]) for _ in range(5)]:
        charge.refund()
    assert either_redis.dbsize() == 0


def test_a_refund_that_comes_late_takes_no_charge_of_somebody_else(
    either_redis: Redis | Masters,
) -> None:
    """What time has given back cannot be given back again."""
    limited = throttle(either_redis, LOGIN_ACCOUNT="100 per 10 seconds")
    late = limited.charge([ACCOUNT])
    eventually(lambda: not either_redis.exists(ACCOUNT.key))
    for _ in range(80):  # which takes time eight seconds to give back
        limited.charge([ACCOUNT])
    before = either_redis.get(ACCOUNT.key)
    late.refund()
    assert either_redis.get(ACCOUNT.key) == before


def test_an_attempt_that_could_not_be_checked_is_given_back(redis: Redis) -> None:
    limited = throttle(redis, LOGIN_ACCOUNT="1 per hour")
    for _ in range(5):
        with pytest.raises(TooManyHashes), limited.charge([ACCOUNT]):
            raise TooManyHashes
    assert fitting(limited, ACCOUNT) == 1


def test_failures_in_a_row_stay_used_up_until_they_are_cleared(
    either_redis: Redis | Masters,
) -> None:
    """NIST SP 800-63B-4, section 3.2.2. Time would have given these back."""
    limited = throttle(either_redis, LOGIN_FAILURES="3 per 1 second")
    assert fitting(limited, FAILURES) >= 3
    assert either_redis.pttl(FAILURES.key) > 360 * 86400 * 1000
    with pytest.raises(GuessesUsedUp) as refusal:
        limited.charge([FAILURES])
    assert [name for name, _ in rate_limit_headers(refusal.value)] == [
        "RateLimit-Policy",
        "RateLimit",
    ]
    limited.empty([FAILURES])
    limited.charge([FAILURES])


def test_attempts_that_were_not_checked_lock_nobody_out(either_redis: Redis | Masters) -> None:
    """One more came while they were under way, and found the limit used up."""
    limited = throttle(either_redis, LOGIN_FAILURES="3 per 100 days")
    under_way = [limited.charge([FAILURES]) for _ in range(3)]
    with pytest.raises(GuessesUsedUp):
        limited.charge([FAILURES])
    for charge in under_way:
        charge.refund()
    assert fitting(limited, FAILURES) == 3


def test_a_right_password_clears_the_failures(redis: Redis) -> None:
    limited = throttle(redis, LOGIN_FAILURES="3 per 100 days", LOGIN_ACCOUNT="3 per hour")
    for _ in range(2):
        limited.charge([ACCOUNT, FAILURES])
    limited.charge([ACCOUNT, FAILURES]).refund([FAILURES])
    assert fitting(limited, FAILURES) == 3
    assert fitting(limited, ACCOUNT) == 1


def test_a_full_redis_still_counts(redis: Redis) -> None:
    """Signing in would otherwise be unlimited, or impossible, while somebody fills it."""
    limited = throttle(redis, LOGIN_ACCOUNT="3 per hour", LOGIN_FAILURES="3 per 100 days")
    redis.config_set("maxmemory", "1")
    try:
        charges = [limited.charge([ACCOUNT, FAILURES]) for _ in range(3)]
        assert fitting(limited, ACCOUNT, FAILURES) == 0
        charges[0].refund([FAILURES])
        assert fitting(limited, ACCOUNT, FAILURES) == 1
    finally:
        redis.config_set("maxmemory", "0")


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_the_window(
    redis: Redis,
) -> None:
    limited = throttle(redis, LOGIN_ACCOUNT="3 per hour")
    in_a_year = (redis.time()[0] + 365 * 86400) * 1_000_000
    redis.set(ACCOUNT.key, in_a_year)
    with pytest.raises(LimitUsedUp) as refusal:
        limited.charge([ACCOUNT])
    assert refusal.value.retry_after <= 1200


def test_every_key_expires_and_shows_neither_name_nor_address(redis: Redis) -> None:
    limited = Throttle(redis, ThrottleRules(TABLE))
    limited.charge(buckets.login("Grace-Hopper", "198.51.100.77"))
    limited.charge(buckets.login_on_known_device("Grace-Hopper", "digest-of-a-mark"))
    limited.charge(buckets.confirmation(4711, "198.51.100.77"))
    limited.charge([buckets.account_change(4711, "198.51.100.77")])
    for limit in (Limited.REGISTRATION, Limited.AVAILABILITY, Limited.ANONYMOUS_SESSION):
        limited.charge([by_network(limit, "198.51.100.77")])
    keys = list(redis.scan_iter())
    assert len(keys) == len(TABLE)
    for key in keys:
        assert redis.pttl(key) > 0
        shown = key + (redis.get(key) or b"")
        for secret in (b"Grace", b"198.51", b"4711", b"mark"):
            assert secret not in shown
    assert {limit for limit in Limited if limit in LOCKS} == set(LOCKS)


def test_only_an_attempt_that_no_limit_held_counts_as_unthrottled(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that could not be given back was charged like any other."""
    monkeypatch.setattr(outages, "log", structlog.get_logger())  # configured as now
    limited = throttle(redis, LOGIN_ACCOUNT="1 per hour")
    charge = limited.charge([ACCOUNT])

    def fail(*_: object) -> None:
        raise SessionStoreUnavailable

    monkeypatch.setattr(limited, "_run", fail)
    before = unthrottled()
    with capture_logs() as lines:
        charge.refund()
    assert [line["step"] for line in lines] == ["refund"]
    assert unthrottled() == before
    limited.charge_if_possible([ACCOUNT])
    assert unthrottled() == before + 1


def test_emptying_says_what_was_used_up(either_redis: Redis | Masters) -> None:
    limited = throttle(either_redis, LOGIN_ACCOUNT="3 per hour", LOGIN_FAILURES="3 per 100 days")
    for fits, used_up in ((2, []), (3, [FAILURES]), (4, [FAILURES])):
        assert fitting(limited, FAILURES, most=fits) == min(fits, 3)
        assert limited.is_used_up(FAILURES) == bool(used_up)
        assert limited.empty([ACCOUNT, FAILURES]) == used_up
    assert not limited.is_used_up(FAILURES)
    assert not limited.is_used_up(NETWORK)  # which is not in the table


def test_without_redis_a_charge_fails_or_goes_on_as_its_caller_wishes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outages, "log", structlog.get_logger())  # configured as now
    limited = throttle(connect("unix:///nowhere/redis.sock"), LOGIN_ACCOUNT="1 per hour")
    with pytest.raises(SessionStoreUnavailable):
        limited.charge([ACCOUNT])
    with capture_logs() as lines:
        for _ in range(5):
            limited.charge_if_possible([ACCOUNT]).refund([FAILURES])
    assert [line["event"] for line in lines] == ["throttle_unavailable"]


def test_a_flood_from_one_network_costs_redis_nothing(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "REMEMBERED", 60.0)
    limited = throttle(redis, REGISTRATION="3 per hour")
    flooder, other = (by_network(Limited.REGISTRATION, f"192.0.2.{n}") for n in (1, 2))
    assert fitting(limited, flooder) == 3
    redis.config_resetstat()
    for _ in range(20):
        with pytest.raises(LimitUsedUp):
            limited.charge([flooder])
    assert asked(redis, "evalsha") == 0
    limited.charge([other])


def test_a_worker_remembers_so_many_networks(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_REMEMBERED", 2)
    monkeypatch.setattr(rules, "REMEMBERED", 60.0)
    limited = throttle(redis, REGISTRATION="1 per hour")
    networks = [by_network(Limited.REGISTRATION, f"192.0.2.{n}") for n in range(4)]
    for network in networks:
        assert fitting(limited, network) == 1
    remembered = [is_refused(lambda n=network: limited.check([n])) for network in networks]  # type: ignore[misc]
    assert remembered == [False, False, True, True]


def test_without_a_table_nothing_is_limited_or_asked(redis: Redis) -> None:
    limited = Throttle(redis, ThrottleRules({}))
    redis.config_resetstat()
    limited.charge(buckets.login(NAME, ADDRESS)).refund([FAILURES])
    limited.empty([FAILURES])
    assert asked(redis, "evalsha") == asked(redis, "eval") == 0
    assert not limited.rules.is_on
