"""Builds every object that an application needs, with all that it needs itself."""

from __future__ import annotations

from service.accounts.known_devices import KnownDevices
from service.accounts.outbox import Outbox
from service.accounts.repository import AccountRepository
from service.accounts.revocation import Revocation
from service.audit.trail import AuditTrail
from service.chore import Chore
from service.configuration import config
from service.credentials.hashing import PasswordHasher
from service.credentials.policy import PasswordPolicy
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore
from service.signin.flow import SignIn
from service.signin.fresh_proof import FreshProof
from service.signin.password import PasswordFactor
from service.storage import redis
from service.storage.postgres import Postgres
from service.throttling.rules import ThrottleRules
from service.throttling.table import TABLE
from service.throttling.throttle import Throttle
from service.web.security_headers import security_headers
from service.web.services import AccountServing, Services, Serving, SessionServices


def session_services(settings: config.SessionSettings) -> SessionServices:
    """What sessions alone need. Connections open on demand."""
    session_redis = redis.connect(settings.redis_url)
    rules = SessionRules(
        Limits(settings.session_idle, settings.session_lifetime),
        Limits(settings.remembered_session_idle, settings.remembered_session_lifetime),
    )
    store = SessionStore(session_redis, rules, settings.sessions_per_account)
    serving = Serving(
        trusted_proxies=settings.trusted_proxies,
        redis_url=settings.redis_url,
        threads=settings.threads,
        thread_wait=settings.thread_wait,
        headers=security_headers(settings.secure_cookies),
    )
    return SessionServices(serving, session_redis, rules, store)


def account_services(settings: config.Settings) -> Services:
    """What sessions and accounts need. Connections open on demand."""
    sessions = session_services(settings)
    session_redis, session_store = sessions.session_redis, sessions.session_store
    postgres = Postgres(settings.database_url)
    accounts = AccountRepository(postgres, settings.name_quarantine)
    cache_redis = redis.connect(settings.cache_redis_url)
    username_cache = UsernameCache(cache_redis)
    hasher = PasswordHasher(
        settings.argon2_memory_kib,
        settings.argon2_time_cost,
        settings.hashing_threads,
        settings.hashing_wait,
    )
    password_policy = PasswordPolicy(settings.password_min_length)
    throttle = Throttle(session_redis, ThrottleRules(TABLE if settings.throttling else {}))
    chore = Chore()
    audit = AuditTrail(postgres, chore.wake)
    outbox = Outbox(postgres, session_store, chore.wake)
    chore.add(outbox.complete)
    chore.add(audit.write_waiting)
    return Services(
        serving=AccountServing(
            **vars(sessions.serving),
            cache_redis_url=settings.cache_redis_url,
            device_cookie_name=settings.device_cookie_name,
            hashing_threads=settings.hashing_threads,
            hashing_wait=settings.hashing_wait,
        ),
        postgres=postgres,
        session_redis=session_redis,
        cache_redis=cache_redis,
        accounts=accounts,
        known_devices=KnownDevices(postgres),
        throttle=throttle,
        username_cache=username_cache,
        registration=Registration(
            accounts, username_cache, hasher, password_policy, audit, throttle
        ),
        password_policy=password_policy,
        password_factor=PasswordFactor(accounts, hasher, audit, throttle),
        fresh_proof=FreshProof(session_store, sessions.session_rules, settings.fresh_proof),
        sign_in=SignIn(session_store, audit),
        revocation=Revocation(accounts, outbox, session_store, hasher, audit),
        audit=audit,
        chore=chore,
        session_rules=sessions.session_rules,
        session_store=session_store,
    )
