"""A registration on the real stores."""

from __future__ import annotations

import pytest
from redis import Redis

from service.accounts.repository import AccountRepository
from service.audit.trail import AuditTrail
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from tests.passwords import POLICY
from tests.registration.attempts import CountingHasher
from tests.throttles import UNTHROTTLED


@pytest.fixture
def cache(redis: Redis) -> UsernameCache:
    return UsernameCache(redis)


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def registration(
    accounts: AccountRepository,
    cache: UsernameCache,
    hasher: CountingHasher,
    audit: AuditTrail,
) -> Registration:
    return Registration(accounts, cache, hasher, POLICY, audit, UNTHROTTLED)
