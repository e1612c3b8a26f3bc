"""The objects that create_app builds, and how to get them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app
from redis import Redis, RedisCluster

from service.accounts.repository import AccountRepository
from service.accounts.revocation import Revocation
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from service.sessions.rules import SessionRules
from service.sessions.store import SessionStore
from service.signin.flow import SignIn
from service.signin.password import PasswordFactor
from service.storage.postgres import Postgres

EXTENSION = "coatcheck"


@dataclass(frozen=True)
class Serving:
    """How the event loop in front of Flask serves. Durations are in seconds."""

    redis_url: str
    cache_redis_url: str
    threads: int
    thread_wait: float
    hashing_threads: int
    hashing_wait: float


@dataclass(frozen=True)
class Services:
    """Everything that create_app builds, for views, event loop and command line."""

    serving: Serving
    postgres: Postgres
    session_redis: Redis | RedisCluster
    cache_redis: Redis | RedisCluster
    accounts: AccountRepository
    username_cache: UsernameCache
    registration: Registration
    password_factor: PasswordFactor
    sign_in: SignIn
    revocation: Revocation
    session_rules: SessionRules
    session_store: SessionStore

    def close(self) -> None:
        """Close every open connection; new ones open on demand.

        Call it at the end, and before a fork, so that no two processes share a connection.
        """
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
