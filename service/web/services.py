"""The objects behind the views of an application, and how to get them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app
from redis import Redis, RedisCluster

from service.accounts.known_devices import KnownDevices
from service.accounts.repository import AccountRepository
from service.accounts.revocation import Revocation
from service.audit.trail import AuditTrail
from service.chore import Chore
from service.credentials.policy import PasswordPolicy
from service.errors import StartupError
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from service.sessions.rules import SessionRules
from service.sessions.store import SessionStore
from service.signin.flow import SignIn
from service.signin.fresh_proof import FreshProof
from service.signin.password import PasswordFactor
from service.storage.postgres import Postgres
from service.throttling.throttle import Throttle
from service.web.answers import Headers

EXTENSION = "coatcheck"


@dataclass(frozen=True)
class Serving:
    """How the event loop in front of Flask serves sessions. Durations are in seconds."""

    trusted_proxies: int
    redis_url: str
    threads: int
    thread_wait: float
    headers: Headers  # of every response of ours


@dataclass(frozen=True)
class AccountServing(Serving):
    """How it serves accounts as well."""

    cache_redis_url: str
    device_cookie_name: str
    hashing_threads: int
    hashing_wait: float


@dataclass(frozen=True)
class SessionServices:
    """What sessions need, and all there is without accounts."""

    serving: Serving
    session_redis: Redis | RedisCluster
    session_rules: SessionRules
    session_store: SessionStore

    def close(self) -> None:
        """Close every open connection; new ones open on demand.

        Call it at the end, and before a fork, so that no two processes share a connection.
        """
        self.session_redis.close()


@dataclass(frozen=True)
class Services(SessionServices):
    """What sessions and accounts need, for views, event loop and command line."""

    serving: AccountServing
    postgres: Postgres
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

    def close(self) -> None:
        """Also end the chore, and write what the audit trail still lacks."""
        self.chore.close()
        self.audit.close()
        self.postgres.close()
        super().close()
        self.cache_redis.close()


def services() -> Services:
    """The services of the application that serves this request."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """The services of `app`.

    Raises:
        StartupError: `app` has no accounts.
    """
    found = session_services_of(app)
    if not isinstance(found, Services):
        raise StartupError('This application has sessions alone: Coatcheck(app, parts="sessions")')
    return found


def session_services_of(app: Flask) -> SessionServices:
    """What `app` has for its sessions, and for its accounts if it has any.

    Raises:
        StartupError: `app` is not an application with Coatcheck.
    """
    found: SessionServices | None = getattr(app, "extensions", {}).get(EXTENSION)
    if found is None:
        raise StartupError(
            "This is no Flask application with Coatcheck: call Coatcheck(app) where you create it"
        )
    return found
