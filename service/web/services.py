"""The objects that create_app builds, and how to get them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app
from redis import Redis, RedisCluster

from service.accounts.known_devices import KnownDevices
from service.accounts.repository import AccountRepository
from service.accounts.revocation import Revocation
from service.audit.trail import AuditTrail
from service.credentials.policy import PasswordPolicy
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from service.sessions.rules import SessionRules
from service.sessions.store import SessionStore
from service.signin.flow import SignIn
from service.signin.fresh_proof import FreshProof
from service.signin.password import PasswordFactor
from service.storage.chore import Chore
from service.storage.postgres import Postgres
from service.throttling.throttle import Throttle
from service.web.answers import Headers

EXTENSION = "coatcheck"


@dataclass(frozen=True)
class Serving:
    """How the event loop in front of Flask serves. Durations are in seconds."""

    device_cookie_name: str
    trusted_proxies: int
    redis_url: str
    cache_redis_url: str
    threads: int
    thread_wait: float
    hashing_threads: int
    hashing_wait: float
    headers: Headers  # of every response


@dataclass(frozen=True)
class Services:
    """Everything that create_app builds, for views, event loop and command line."""

    serving: Serving
    postgres: Postgres
    session_redis: Redis | RedisCluster
    cache_redis: Redis | RedisCluster
    accounts: AccountRepository
    known_devices: KnownDevices
    throttle: Throttle
    username_cache: UsernameCache
    registration: Registration
    password_policy: PasswordPolicy
    password_factor: PasswordFactor
    fresh_proof: FreshProof
    sign_in: SignIn
    revocation: Revocation
    audit: AuditTrail
    chore: Chore
    session_rules: SessionRules
    session_store: SessionStore

    def close(self) -> None:
        """End the chore, write what the audit trail still lacks, and close every open connection;
        new ones open on demand.

        Call it at the end, and before a fork, so that no two processes share a connection.
        """
        self.chore.close()
        self.audit.close()
        self.postgres.close()
        self.session_redis.close()
        self.cache_redis.close()


def services() -> Services:
    """The services of the application that serves this request."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """The services of `app`.

    Raises:
        KeyError: `app` is not a Coatcheck application.
    """
    found: Services = app.extensions[EXTENSION]
    return found
