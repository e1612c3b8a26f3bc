"""Coatcheck as a Flask extension, and as an application of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from service import logs
from service.configuration import config
from service.sessions.interface import SessionInterface
from service.storage.redis_connections import RedisTimeBudget
from service.web import current, error_handlers, rendering
from service.web.blueprint import Parts, blueprint_of
from service.web.bodies import MAX_BODY
from service.web.cross_site import cross_site_check
from service.web.flask_wtf import leave_our_forms_to_us
from service.web.security_headers import security_headers, with_security_headers
from service.web.services import EXTENSION, SessionServices
from service.web.shapes import device_name
from service.web.strict_requests import with_strict_requests
from service.wiring import account_services, session_services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()


class Coatcheck:
    """Gives a Flask application these sessions, and if it wants, accounts, API and pages.

    Nothing of ours reaches beyond our own routes, apart from `flask.session`, the answer to our own
    errors, and the rejection of requests that another site makes a browser send.
    """

    def __init__(
        self,
        app: Flask | None = None,
        settings: config.SessionSettings | None = None,
        parts: Parts = "pages",
    ) -> None:
        """
        Args:
            app: the application; None to call `init_app` later.
            settings: by default, those in the environment.
            parts: "sessions": `flask.session` alone, which needs a Redis and nothing else; "api":
                also accounts, the JSON API and the health checks; "pages": also the pages.

        Raises:
            ConfigurationError: a setting is missing, malformed or unsafe.
        """
        self._settings = settings
        self._parts: Parts = parts
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up `app`. Of two routes with the same path, Flask uses the one that was added first:
        to keep yours, call this after them.

        Raises:
            ConfigurationError: a setting is missing, malformed or unsafe.
        """
        logs.follow_application()
        settings = self._settings or _load(app, self._parts)
        config.require_safe(settings)
        _warn(settings)
        _install(app, settings, self._parts, security_headers(settings.secure_cookies))


def create_app(settings: config.Settings | None = None) -> Flask:
    """An application with all parts, and nothing else. Connections open on demand.

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
    _warn(settings)
    return build_app(settings)


def build_app(settings: config.Settings) -> Flask:
    """The application of `create_app`, also if the settings are unsafe: for the command line."""
    app = Flask("service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False  # its redirects would lead to the Host of the request
    _install(app, settings, "pages", headers=())
    headers = security_headers(settings.secure_cookies)
    app.wsgi_app = with_security_headers(app.wsgi_app, headers)  # type: ignore[method-assign, assignment]
    error_handlers.register_for_all(app)
    return app


def _load(app: Flask, parts: Parts) -> config.SessionSettings:
    """The settings in the environment. An application in debug mode is in development."""
    environ = {"COATCHECK_ENV": "development", **os.environ} if app.debug else os.environ
    return config.load_for_sessions(environ) if parts == "sessions" else config.load(environ)


def _warn(settings: config.SessionSettings) -> None:
    if isinstance(settings, config.Settings) and not settings.throttling:
        log.warning("throttling_is_off")
    for finding in config.findings(settings):
        log.warning("doubtful_setting", why=finding.text)


def _install(
    app: Flask, settings: config.SessionSettings, parts: Parts, headers: tuple[tuple[str, str], ...]
) -> None:
    _set_defaults(app, settings)
    # First of all, so that no other check reads the body of a request that another site sends.
    checks = app.before_request_funcs.setdefault(None, [])
    checks.insert(0, cross_site_check(settings.public_url))
    services: SessionServices
    if parts == "sessions":
        services = session_services(settings)
    elif isinstance(settings, config.Settings):
        services = account_services(settings)
        checks.insert(0, leave_our_forms_to_us)
        app.register_blueprint(blueprint_of(parts, headers))
        device_name("")  # loads its patterns now, so that no request waits for them
        if parts == "pages":
            rendering.prepare(app, settings.password_min_length)
    else:
        raise config.ConfigurationError("Accounts need all settings: DATABASE_URL is missing")
    app.extensions[EXTENSION] = services
    app.session_interface = SessionInterface(
        app, services.session_store, current.end, error_handlers.answer_unsaved
    )
    error_handlers.register(app)
    app.wsgi_app = _wrapped(app.wsgi_app, settings)  # type: ignore[method-assign, assignment]


def _set_defaults(app: Flask, settings: config.SessionSettings) -> None:
    """Configure the cookie of the session where the application has not."""
    wanted = {
        "SESSION_COOKIE_NAME": settings.session_cookie_name,
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": timedelta(seconds=settings.remembered_session_idle),
    }
    path = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
    if app.config["SESSION_COOKIE_DOMAIN"] or path != "/":
        del wanted["SESSION_COOKIE_NAME"]  # the prefix __Host- allows neither
    for name, value in wanted.items():
        if app.config[name] == Flask.default_config[name]:
            app.config[name] = value
    app.config.setdefault("SESSION_KEYS_KEPT_AT_SIGN_IN", ())


def _wrapped(application: WSGIApplication, settings: config.SessionSettings) -> WSGIApplication:
    """The layers around Flask, from the inside out."""
    if proxies := settings.trusted_proxies:
        application = ProxyFix(application, x_for=proxies, x_proto=proxies, x_host=proxies)
    return with_strict_requests(_within_redis_time_budget(application))


def _within_redis_time_budget(application: WSGIApplication) -> WSGIApplication:
    """Limit the time that each request to `application` waits for Redis in all."""

    def bounded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with RedisTimeBudget():
            return application(environ, start_response)

    return bounded
