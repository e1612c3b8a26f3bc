"""Coatcheck: server-side sessions and accounts."""

from __future__ import annotations

from pathlib import Path

import structlog
from flask import Flask, Response
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

import config
from config import Settings
from service import logs
from service.accounts.login import Login
from service.accounts.passwords import PasswordHasher
from service.accounts.registration import Registration
from service.accounts.repository import AccountRepository
from service.accounts.revocation import Revocation
from service.accounts.username_cache import UsernameCache
from service.sessions.interface import SessionInterface
from service.sessions.record import Limits
from service.sessions.store import SessionStore
from service.storage import redis
from service.storage.postgres import Postgres
from service.web import problems
from service.web.account_pages import account_pages
from service.web.api import api
from service.web.cross_site import refuse_cross_site
from service.web.gate import Gate
from service.web.health import health
from service.web.pages import pages
from service.web.services import EXTENSION, Services

log = structlog.get_logger()

MAX_BODY = 16 * 1024  # bytes
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application and everything that it is made of. Nothing is connected yet.

    Args:
        settings: read from the environment if not given.

    Returns:
        A Flask application, to which further routes may be added that use `flask.session`.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    settings = settings or config.load()
    logs.configure(settings.log_format, settings.log_level)
    if not settings.throttling:
        log.warning("throttling_is_off")
    app = Flask(
        __name__,
        template_folder=str(Path(__file__).parent.parent / "templates"),
        static_folder="web/static",
    )
    _configure(app, settings)

    postgres = Postgres(settings.database_url)
    accounts = AccountRepository(postgres, settings.name_quarantine)
    username_cache = UsernameCache(redis.connect(settings.cache_redis_url))
    hasher = PasswordHasher(
        settings.argon2_memory_kib,
        settings.argon2_time_cost,
        settings.hashing_threads,
        settings.hashing_queue,
    )
    session_store = SessionStore(
        redis.connect(settings.redis_url),
        Limits(settings.session_idle, settings.session_lifetime),
        Limits(settings.remembered_session_idle, settings.remembered_session_lifetime),
        settings.sessions_per_account,
    )
    app.session_interface = interface = SessionInterface(
        app, session_store, problems.answer_unsaved
    )
    app.extensions[EXTENSION] = Services(
        postgres=postgres,
        accounts=accounts,
        username_cache=username_cache,
        registration=Registration(accounts, username_cache, hasher),
        login=Login(accounts, hasher),
        revocation=Revocation(accounts, session_store, hasher),
        session_store=session_store,
        session_interface=interface,
    )
    app.before_request(refuse_cross_site)
    app.after_request(_add_security_headers)
    app.wsgi_app = Gate(  # type: ignore[method-assign]
        app.wsgi_app, session_store, settings.session_cookie_name
    )
    problems.register(app)
    for blueprint in (pages, account_pages, api, health):
        app.register_blueprint(blueprint)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY,
        SESSION_COOKIE_NAME=settings.session_cookie_name,
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
    )
    app.jinja_env.undefined = StrictUndefined
    app.json.sort_keys = False  # type: ignore[attr-defined]
    if proxies := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
        )


def _add_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
