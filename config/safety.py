"""Whether settings are safe on the internet, in words that an operator can act on."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from ipaddress import ip_address
from itertools import zip_longest
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from psycopg.conninfo import conninfo_to_dict

from .settings import ConfigurationError, SessionSettings, Settings

# Memory in KiB and passes, each enough (OWASP Password Storage Cheat Sheet).
ARGON2_MINIMA = ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))
NO_PUBLIC_URL = (
    "COATCHECK_PUBLIC_URL is not set. Set it to the https:// address at which browsers find"
    " the service: requests that come from any other are rejected."
)
ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})  # libpq's sslmode


class Severity(Enum):
    """How much a finding matters."""

    UNSAFE = "unsafe"  # the service does not start
    BROKEN = "broken"  # it starts, and cannot serve
    DOUBTFUL = "doubtful"  # it is fine if the operator knows why


class Finding(NamedTuple):
    """Something about a deployment that is not as it should be."""

    severity: Severity
    text: str  # one line: what it is, why it matters, what to do


def findings(settings: SessionSettings) -> list[Finding]:
    """What is unsafe or doubtful about the settings. In development and testing, nothing is
    reported."""
    if not settings.is_exposed:
        return []
    return [Finding(Severity.UNSAFE, text) for text in _unsafe(settings)] + [
        Finding(Severity.DOUBTFUL, text) for text in _doubtful(settings)
    ]


def require_safe(settings: SessionSettings) -> None:
    """Stop a start with unsafe settings.

    Raises:
        ConfigurationError: the first of them, in one line.
    """
    for severity, text in findings(settings):
        if severity is Severity.UNSAFE:
            raise ConfigurationError(text)


def _unsafe(settings: SessionSettings) -> Iterator[str]:
    url = settings.public_url
    if url is None and isinstance(settings, Settings):
        yield NO_PUBLIC_URL
    elif url and url.startswith("http:") and not _is_this_machine(urlsplit(url).hostname or ""):
        yield (
            "COATCHECK_PUBLIC_URL is not https. Browsers send the session cookie over TLS only, so"
            " nobody could sign in. Put TLS in front; to try it here, use http://localhost."
        )
    if _is_open(settings.redis_url):
        yield (
            "REDIS_URL is a network address without a password. Whoever can reach that Redis can"
            " sign in as anybody. Give it a user and a password, and put them into the URL."
        )
    if not isinstance(settings, Settings):
        return
    cost = (settings.argon2_memory_kib, settings.argon2_time_cost)
    if not any(cost[0] >= memory and cost[1] >= passes for memory, passes in ARGON2_MINIMA):
        yield (
            "COATCHECK_ARGON2_MEMORY_KIB and COATCHECK_ARGON2_TIME_COST are below OWASP's minimum,"
            " so stolen hashes are cheap to crack. Use 19456 and 2, or more."
        )


def _doubtful(settings: SessionSettings) -> Iterator[str]:
    url = settings.public_url
    if url is None:
        yield NO_PUBLIC_URL
    elif url.startswith("http:"):
        yield (
            "COATCHECK_PUBLIC_URL is on this machine and has no TLS. That is fine for a trial: only"
            " browsers on this machine can sign in, and not all of them."
        )
    elif not settings.trusted_proxies:
        yield (
            "COATCHECK_TRUSTED_PROXIES is 0. The service has no TLS of its own, so there must be a"
            " proxy, and without this number all visitors seem to come from its address."
        )
    yield from _unencrypted_redis("REDIS_URL", settings.redis_url)
    if isinstance(settings, Settings):
        yield from _doubtful_about_accounts(settings)


def _doubtful_about_accounts(settings: Settings) -> Iterator[str]:
    if not settings.throttling:
        yield (
            "COATCHECK_THROTTLING is off, so passwords can be guessed without limit. Turn it off"
            " for load tests only."
        )
    if _is_open(settings.cache_redis_url):
        yield (
            "CACHE_REDIS_URL is a network address without a password. Whoever can reach that"
            " Redis can block registrations. Give it a password, and put it into the URL."
        )
    yield from _unencrypted_redis("CACHE_REDIS_URL", settings.cache_redis_url)
    if _is_unencrypted(settings.database_url):
        yield _unencrypted("DATABASE_URL", "Use sslmode=verify-full")


def _unencrypted_redis(name: str, url: str) -> Iterator[str]:
    if is_remote(url) and not _is_verified(url):
        yield _unencrypted(name, _encrypted(urlsplit(url).scheme))


def _unencrypted(name: str, remedy: str) -> str:
    return (
        f"{name} leads to another machine without TLS, or without checking who answers, so anyone"
        f" on the way can read and change everything. {remedy}, unless the network is yours"
        " alone."
    )


def _encrypted(scheme: str) -> str:
    """How to encrypt the connection to a Redis. redis+sentinel:// and redis+cluster:// cannot."""
    if scheme in ("redis", "rediss"):
        return "Use rediss://, without ssl_cert_reqs=none"
    return f"Encrypt the network itself, as a VPN does: {scheme}:// has no TLS"


def _is_open(redis_url: str) -> bool:
    """Whether a Redis can be reached over the network without proving anything."""
    parts = urlsplit(redis_url)
    options = parse_qs(parts.query)
    proves = parts.password or options.get("password") or options.get("ssl_certfile")
    return is_remote(redis_url) and not proves


def is_remote(redis_url: str) -> bool:
    """Whether a Redis is reached over a network that other machines may share."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return False
    hosts = [urlsplit(f"//{each}").hostname for each in parts.netloc.rpartition("@")[2].split(",")]
    return not all(_is_this_machine(host or "localhost") for host in hosts)


def _is_verified(redis_url: str) -> bool:
    parts = urlsplit(redis_url)
    options = parse_qs(parts.query)
    return parts.scheme == "rediss" and options.get("ssl_cert_reqs") != ["none"]


def _is_unencrypted(database_url: str) -> bool:
    parameters = conninfo_to_dict(database_url)
    if parameters.get("sslmode") in ENCRYPTED:
        return False
    named, addresses = (str(parameters.get(name) or "").split(",") for name in ("host", "hostaddr"))
    hosts = [address or host for host, address in zip_longest(named, addresses, fillvalue="")]
    is_here = all(
        not host or host[0] in "/@" or _is_this_machine(host) for host in hosts
    )  # / @: a socket
    return "service" in parameters or not is_here  # a service may lead anywhere


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
