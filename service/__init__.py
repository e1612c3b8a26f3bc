"""Coatcheck: server-side sessions and accounts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from flask import Flask
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

import config
from config import Settings
from service import logs
from service.accounts.known_devices import KnownDevices
from service.accounts.outbox import Outbox
from service.accounts.repository import AccountRepository
from service.accounts.revocation import Revocation
from service.audit.trail import AuditTrail
from service.credentials.hashing import PasswordHasher
from service.credentials.policy import PasswordPolicy
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from service.sessions.interface import SessionInterface
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore
from service.signin.flow import SignIn
from service.signin.fresh_proof import FreshProof
from service.signin.password import PasswordFactor
from service.storage import redis
from service.storage.chore import Chore
from service.storage.postgres import Postgres
from service.storage.redis_connections import RedisTimeBudget
from service.throttling.rules import ThrottleRules
from service.throttling.table import TABLE
from service.throttling.throttle import Throttle
from service.web import api, error_handlers, pages
from service.web.bodies import MAX_BODY
from service.web.cross_site import cross_site_check
from service.web.health import health
from service.web.security_headers import security_headers, with_security_headers
from service.web.services import EXTENSION, Services, Serving
from service.web.shapes import device_name

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application with all its parts. Connections open on demand.

    Args:
        settings: by default, those in the environment.

    Returns:
        A Flask application. You may add routes that use `flask.session`.

    Raises:
        ConfigurationError: a setting is missing, malformed or unsafe.
    """
    settings = settings or config.load()
    config.require_safe(settings)
    logs.configure(settings.log_format, settings.log_level)
    if not settings.throttling:
        log.warning("throttling_is_off")
    for finding in config.findings(settings):
        log.warning("doubtful_setting", why=finding.text)
    return build_app(settings)


def build_app(settings: Settings) -> Flask:
    """The application of `create_app`, also if the settings are unsafe: for the command line."""
    app = Flask(
        __name__,
        template_folder=str(Path(__file__).parent.parent / "templates"),
        static_folder="web/static",
    )
    _configure(app, settings)
    services = app.extensions[EXTENSION] = _wired(settings)
    app.session_interface = SessionInterface(
        app, services.session_store, error_handlers.answer_unsaved
    )
    app.before_request(cross_site_check(settings.public_url))
    app.wsgi_app = _wrapped(app.wsgi_app, settings)  # type: ignore[method-assign, assignment]
    error_handlers.register(app)
    for blueprint in (*pages.blueprints, *api.blueprints, health):
        app.register_blueprint(blueprint)
    device_name("")  # loads its patterns now, so that no request waits for them
    return app


def _wired(settings: Settings) -> Services:
    """Every object that views need, with all that it needs itself."""
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
    session_redis = redis.connect(settings.redis_url)
    session_rules = SessionRules(
        Limits(settings.session_idle, settings.session_lifetime),
        Limits(settings.remembered_session_idle, settings.remembered_session_lifetime),
    )
    throttle = Throttle(session_redis, ThrottleRules(TABLE if settings.throttling else {}))
    session_store = SessionStore(session_redis, session_rules, settings.sessions_per_account)
    chore = Chore()
    audit = AuditTrail(postgres, chore.wake)
    outbox = Outbox(postgres, session_store, chore.wake)
    chore.add(outbox.complete)
    chore.add(audit.write_waiting)
    return Services(
        serving=Serving(
            device_cookie_name=settings.device_cookie_name,
            trusted_proxies=settings.trusted_proxies,
            redis_url=settings.redis_url,
            cache_redis_url=settings.cache_redis_url,
            threads=settings.threads,
            thread_wait=settings.thread_wait,
            hashing_threads=settings.hashing_threads,
            hashing_wait=settings.hashing_wait,
            headers=security_headers(settings.secure_cookies),
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
        fresh_proof=FreshProof(session_store, session_rules, settings.fresh_proof),
        sign_in=SignIn(session_store, audit),
        revocation=Revocation(accounts, outbox, session_store, hasher, audit),
        audit=audit,
        chore=chore,
        session_rules=session_rules,
        session_store=session_store,
    )


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY,
        SESSION_COOKIE_NAME=settings.session_cookie_name,
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        PERMANENT_SESSION_LIFETIME=settings.remembered_session_idle,
        SESSION_KEYS_KEPT_AT_SIGN_IN=(),
    )
    app.url_map.merge_slashes = False  # its redirects would lead to the Host of the request
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.globals["password_min_length"] = settings.password_min_length
    app.json.sort_keys = False  # type: ignore[attr-defined]


def _wrapped(application: WSGIApplication, settings: Settings) -> WSGIApplication:
    """The layers around Flask, from the inside out."""
    if proxies := settings.trusted_proxies:
        application = ProxyFix(application, x_for=proxies, x_proto=proxies, x_host=proxies)
    application = _within_redis_time_budget(application)
    return with_security_headers(application, security_headers(settings.secure_cookies))


def _within_redis_time_budget(application: WSGIApplication) -> WSGIApplication:
    """Limit the time that each request to `application` waits for Redis in all."""

    def bounded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with RedisTimeBudget():
            return application(environ, start_response)

    return bounded
