from __future__ import annotations

import pytest
from redis import Redis

from service.accounts import usernames
from service.errors import UsernameCacheUnavailable
from service.registration.username_cache import CLAIM_LIFETIME_MS, State, Taken, UsernameCache
from service.storage.redis import connect

BOB = usernames.parse("Bob")
KEY = "coatcheck:username:bob"


@pytest.fixture
def redis(either_redis: Redis) -> Redis:
    return either_redis


@pytest.fixture
def cache(redis: Redis) -> UsernameCache:
    return UsernameCache(redis)


def test_the_first_attempt_claims_a_name_and_others_see_it_pending(cache: UsernameCache) -> None:
    assert cache.claim(BOB, "first") is State.CLAIMED
    assert cache.claim(BOB, "second") is State.PENDING
    assert cache.state(BOB) is State.PENDING


def test_claiming_again_with_the_same_token_succeeds(cache: UsernameCache) -> None:
    cache.claim(BOB, "first")
    assert cache.claim(BOB, "first") is State.CLAIMED


def test_a_claim_expires(cache: UsernameCache, redis: Redis) -> None:
    cache.claim(BOB, "first")
    assert 0 < redis.pttl(KEY) <= CLAIM_LIFETIME_MS


def test_releasing_a_claim_makes_the_name_absent(cache: UsernameCache, redis: Redis) -> None:
    cache.claim(BOB, "first")
    cache.release(BOB, "first")
    assert cache.state(BOB) is State.ABSENT
    assert redis.dbsize() == 0


def test_releasing_does_not_touch_a_rivals_claim(cache: UsernameCache) -> None:
    cache.claim(BOB, "first")
    cache.release(BOB, "second")
    assert cache.state(BOB) is State.PENDING


def test_a_taken_name_can_be_neither_claimed_nor_released(cache: UsernameCache) -> None:
    cache.claim(BOB, "first")
    cache.publish(BOB, Taken("key"))
    assert cache.claim(BOB, "second") == Taken("key")
    cache.release(BOB, "first")
    assert cache.state(BOB) == Taken("key")


def test_taken_entries_expire_after_about_an_hour_but_not_together(
    cache: UsernameCache, redis: Redis
) -> None:
    lifetimes = set()
    for _ in range(20):
        cache.publish(BOB, Taken("key"))
        lifetimes.add(redis.pttl(KEY))
    assert all(2_880_000 - 1000 < lifetime <= 4_320_000 for lifetime in lifetimes)
    assert max(lifetimes) - min(lifetimes) > 60_000


def test_all_spellings_share_one_entry(cache: UsernameCache, redis: Redis) -> None:
    for spelling in ("bob", "BOB", "Bob"):
        cache.publish(usernames.parse(spelling), Taken("key"))
    assert redis.keys() == [KEY.encode()]


def test_a_claim_without_redis_reports_that_the_cache_is_unavailable() -> None:
    with pytest.raises(UsernameCacheUnavailable):
        UsernameCache(connect("unix:///nowhere/redis.sock")).claim(BOB, "token")
