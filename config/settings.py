"""The settings, their defaults and their checks.

Every variable is read here and nowhere else. `load` rejects an unknown or unusable variable with
one line that names it and never repeats its value, because a URL can contain a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

PREFIX = "COATCHECK_"
UNPREFIXED = {"database_url", "redis_url", "cache_redis_url", "port", "web_concurrency"}
READABLE_FROM_FILE = {"database_url", "redis_url", "cache_redis_url"}
ENVIRONMENTS = ("development", "testing", "staging", "production")

PORT = r"([0-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
HOST = rf"([^][@/?#,:\s]+|\[[\da-f:]+\])(:{PORT})?"
HOSTS = rf"([^@/]*@)?{HOST}(,{HOST})*"
REDIS_URL = re.compile(
    rf"(redis|rediss|unix)://\S*|redis\+sentinel://{HOSTS}/[^/?#\s]+(/\d+)?|redis\+cluster://{HOSTS}/?"
)
PUBLIC_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>[a-z\d.-]+|\[[\da-f:]+\])(:(?P<port>{PORT}))?/?", re.ASCII
)
DEFAULT_PORTS = {"http": "80", "https": "443"}

MINUTE, HOUR, DAY = 60, 3600, 86400

MALFORMED = {  # by pydantic's type of the error
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large",
    "float_parsing": "must be a number",
    "bool_parsing": "must be on or off",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "value_error": "{error}",
}


class ConfigurationError(Exception):
    """A setting is unknown, missing or malformed; the message is one line that names it."""


class SessionSettings(BaseModel):
    """What an application with sessions alone needs. Durations are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["development", "testing", "staging", "production"]
    redis_url: str = Field(description="Redis: sessions", repr=False)
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    web_concurrency: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=256, description="worker processes"
    )
    bind: str = Field("127.0.0.1", description="address to listen on; `0.0.0.0` is every interface")
    public_url: str | None = Field(
        None, description="where browsers find the service, such as `https://id.example.org`"
    )
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="how many proxies in front set X-Forwarded-* headers to trust"
    )
    session_idle: int = Field(
        30 * MINUTE, ge=2, description="a session ends after this long without a request"
    )
    session_lifetime: int = Field(
        12 * HOUR, ge=2, description="a session ends after this long in any case"
    )
    remembered_session_idle: int = Field(
        14 * DAY, ge=2, description="idle limit with “remember me”"
    )
    remembered_session_lifetime: int = Field(
        30 * DAY, ge=2, description="absolute limit with “remember me”"
    )
    sessions_per_account: int = Field(
        50, ge=1, le=1000, description="beyond this number, a login ends the oldest session"
    )
    threads: int = Field(
        4, ge=1, le=64, description="requests that Flask serves at the same time, per worker"
    )
    thread_wait: float = Field(
        0.5, ge=0.05, le=10, description="how long a request waits for a thread before it gets 503"
    )
    log_format: Literal["json", "console"] = Field("json", description="format of the log lines")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest severity that is logged"
    )

    @property
    def is_exposed(self) -> bool:
        """Whether strangers can reach the service, so that it must be safe."""
        return self.env in ("staging", "production")

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies travel over TLS only."""
        return self.is_exposed

    @property
    def session_cookie_name(self) -> str:
        """The prefix `__Host-` ties the cookie to this host and to TLS (RFC 6265bis, 4.1.3)."""
        return "__Host-session" if self.secure_cookies else "session"

    @field_validator("bind")
    @classmethod
    def _address(cls, value: str) -> str:
        """As it stands before a colon and a port."""
        try:
            address = ip_address(value.strip("[]"))
        except ValueError:
            raise ValueError("must be an IP address") from None
        return f"[{address}]" if address.version == 6 else str(address)

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        """The origin as browsers write it (RFC 6454, section 6.2)."""
        found = PUBLIC_URL.fullmatch(value.lower())
        if not found:
            raise ValueError("must be an origin like https://id.example.org, in ASCII")
        scheme, host, port = found["scheme"], found["host"], found["port"]
        default = port is None or port.lstrip("0") == DEFAULT_PORTS[scheme]
        return f"{scheme}://{host}" if default else f"{scheme}://{host}:{int(port)}"

    @field_validator("redis_url", "cache_redis_url", check_fields=False)
    @classmethod
    def _redis_url(cls, value: str) -> str:
        if not REDIS_URL.fullmatch(value):
            raise ValueError(
                "must be redis://…, rediss://…, unix://…, redis+sentinel://HOST:PORT,…/NAME[/DB]"
                " or redis+cluster://HOST:PORT,…"
            )
        return value


class Settings(SessionSettings):
    """Everything that can be set: accounts need all of it."""

    database_url: str = Field(description="Postgres: accounts", repr=False)
    cache_redis_url: str = Field(description="Redis: the username cache", repr=False)
    throttling: bool = Field(True, description="off: no throttling, for load tests")
    name_quarantine: int = Field(
        30 * DAY, ge=DAY, description="how long the name of a deleted account stays taken"
    )
    password_min_length: int = Field(
        10, ge=8, le=64, description="shortest new password, in characters"
    )
    fresh_proof: int = Field(
        10 * MINUTE,
        ge=1,
        le=DAY,
        description="how long after a password check dangerous operations need no new one",
    )
    audit_retention: int = Field(
        365 * DAY, ge=DAY, description="how long `audit prune` keeps entries of the audit trail"
    )
    argon2_memory_kib: int = Field(19456, ge=8, description="argon2id memory, KiB")
    argon2_time_cost: int = Field(2, ge=1, description="argon2id passes")
    hashing_threads: int = Field(
        default_factory=lambda others: max(1, (os.cpu_count() or 1) // others["web_concurrency"]),
        ge=1,
        description=(
            "passwords hashed at the same time, per worker;"
            " more than there are cores only slow each other down"
        ),
    )
    hashing_wait: float = Field(
        0.8, ge=0.05, le=10, description="how long a password waits to be hashed before a 503"
    )

    @property
    def device_cookie_name(self) -> str:
        """Of the cookie that marks a device on which somebody has signed in."""
        return "__Host-device" if self.secure_cookies else "device"

    @field_validator("database_url")
    @classmethod
    def _postgres_url(cls, value: str) -> str:
        try:
            conninfo_to_dict(value)
        except ProgrammingError:
            value = ""
        if urlsplit(value).scheme not in ("postgresql", "postgres"):
            raise ValueError("must be a postgresql:// URL")
        return value


Kind = TypeVar("Kind", bound=SessionSettings)


def variable(field: str) -> str:
    """The environment variable that sets `field`."""
    return field.upper() if field in UNPREFIXED else PREFIX + field.upper()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Args:
        environ: the variables; by default those of the process.

    Raises:
        ConfigurationError: one line that names the variable at fault.
    """
    return _load(Settings, environ)


def load_for_sessions(environ: Mapping[str, str] | None = None) -> SessionSettings:
    """The same for an application with sessions alone, which needs no DATABASE_URL."""
    return _load(SessionSettings, environ)


def _load(kind: type[Kind], environ: Mapping[str, str] | None) -> Kind:
    environ = os.environ if environ is None else environ
    _refuse_unknown(environ)
    env = environ.get("COATCHECK_ENV", "production")
    if env not in ENVIRONMENTS:
        raise ConfigurationError(f"COATCHECK_ENV must be one of {', '.join(ENVIRONMENTS)}")
    values: dict[str, object] = dict(import_module(f"{__package__}.{env}").DEFAULTS)
    values |= {"env": env} | _given(environ)
    if "redis_url" in values:
        values.setdefault("cache_redis_url", values["redis_url"])
    try:
        return kind.model_validate(
            {name: values[name] for name in kind.model_fields if name in values}
        )
    except ValidationError as error:
        raise ConfigurationError(_one_line(error)) from None


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = {variable(field) for field in Settings.model_fields}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            raise ConfigurationError(f"{name} is not a setting of Coatcheck")


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """What the environment sets; an empty variable counts as not set."""
    values = {}
    for field in Settings.model_fields:
        name = variable(field)
        if value := environ.get(name):
            values[field] = value
        if field in READABLE_FROM_FILE and (path := environ.get(f"{name}_FILE")):
            if field in values:
                raise ConfigurationError(f"{name} and {name}_FILE are both set; set one of them")
            values[field] = _read(f"{name}_FILE", path)
    return values


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"{name}: cannot read {path} ({reason})") from None


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = variable(str(first["loc"][0]))
    if first["type"] == "missing":
        return f"{name} is not set"
    return f"{name}: {MALFORMED[first['type']].format(**first.get('ctx', {}))}"
