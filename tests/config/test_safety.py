"""What keeps a service from starting, and what it only warns of."""

from __future__ import annotations

import pytest

from config import ConfigurationError, Settings, Severity, findings, load, require_safe

SAFE = {
    "DATABASE_URL": "postgresql:///coatcheck",
    "REDIS_URL": "unix:///run/redis.sock",
    "COATCHECK_PUBLIC_URL": "https://id.example.org",
    "COATCHECK_TRUSTED_PROXIES": "1",
}


def changed(**variables: str) -> Settings:
    return load(SAFE | variables)


def names(severity: Severity, **variables: str) -> list[str]:
    """What each finding begins with: the variable at fault."""
    found = findings(changed(**variables))
    return [text.split()[0] for each, text in found if each is severity]


@pytest.mark.parametrize("env", ["staging", "production"])
def test_a_safe_deployment_gives_no_cause_for_complaint(env: str) -> None:
    assert findings(changed(COATCHECK_ENV=env)) == []


@pytest.mark.parametrize("env", ["staging", "production"])
@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"COATCHECK_PUBLIC_URL": ""}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "http://id.example.org"}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "http://localhost.example.org"}, "COATCHECK_PUBLIC_URL"),
        ({"REDIS_URL": "redis://redis:6379/0"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://user@redis:6379/0"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://user:@redis:6379/0"}, "REDIS_URL"),
        ({"REDIS_URL": "rediss://redis"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+sentinel://localhost:1,elsewhere:1/coatcheck"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+cluster://10.0.0.1:1,10.0.0.2:1"}, "REDIS_URL"),
        ({"COATCHECK_ARGON2_MEMORY_KIB": "19455"}, "COATCHECK_ARGON2_MEMORY_KIB"),
        ({"COATCHECK_ARGON2_TIME_COST": "1"}, "COATCHECK_ARGON2_MEMORY_KIB"),
    ],
)
def test_an_unsafe_setting_stops_the_start_in_one_line_that_names_it(
    env: str, variables: dict[str, str], named: str
) -> None:
    settings = changed(COATCHECK_ENV=env, **variables)
    with pytest.raises(ConfigurationError, match=f"^{named} ") as caught:
        require_safe(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("env", ["development", "testing"])
def test_on_a_developers_machine_nothing_is_unsafe(env: str) -> None:
    settings = load(
        {"COATCHECK_ENV": env, "DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://r"}
    )
    assert findings(settings) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"REDIS_URL": "redis://localhost:6379"},
        {"REDIS_URL": "redis://127.0.0.9"},
        {"REDIS_URL": "redis://[::1]"},
        {"REDIS_URL": "redis+sentinel://localhost:1,127.0.0.1:1/coatcheck"},
        {"REDIS_URL": "rediss://user:word@redis", "CACHE_REDIS_URL": "rediss://:word@cache"},
        {"REDIS_URL": "rediss://redis?ssl_certfile=/cert"},
        {"DATABASE_URL": "postgresql://coatcheck@localhost/coatcheck"},
        {"DATABASE_URL": "postgresql:///coatcheck?host=/run/postgresql"},
        {"DATABASE_URL": "postgresql://db/coatcheck?sslmode=verify-full"},
        {"DATABASE_URL": "postgresql://db/coatcheck?hostaddr=127.0.0.1"},
        {"DATABASE_URL": "postgresql:///?service=coatcheck&sslmode=verify-full"},
        {"COATCHECK_ARGON2_MEMORY_KIB": "7168", "COATCHECK_ARGON2_TIME_COST": "5"},
    ],
)
def test_what_stays_on_this_machine_or_is_encrypted_is_fine(variables: dict[str, str]) -> None:
    assert findings(changed(**variables)) == []


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"COATCHECK_PUBLIC_URL": "http://localhost:8000"}, ["COATCHECK_PUBLIC_URL"]),
        ({"COATCHECK_PUBLIC_URL": "http://127.0.0.1"}, ["COATCHECK_PUBLIC_URL"]),
        ({"COATCHECK_TRUSTED_PROXIES": "0"}, ["COATCHECK_TRUSTED_PROXIES"]),
        ({"COATCHECK_THROTTLING": "off"}, ["COATCHECK_THROTTLING"]),
        ({"REDIS_URL": "redis://:word@redis"}, ["REDIS_URL", "CACHE_REDIS_URL"]),
        ({"CACHE_REDIS_URL": "rediss://cache"}, ["CACHE_REDIS_URL"]),
        (
            {"REDIS_URL": "rediss://:word@redis?ssl_cert_reqs=none"},
            ["REDIS_URL", "CACHE_REDIS_URL"],
        ),
        ({"DATABASE_URL": "postgresql://db/coatcheck"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://localhost/x?hostaddr=10.0.0.1"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql:///x?hostaddr=10.0.0.1"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql:///?service=coatcheck"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://localhost,db/coatcheck?sslmode=prefer"}, ["DATABASE_URL"]),
    ],
)
def test_what_is_doubtful_is_explained_and_does_not_stop_the_start(
    variables: dict[str, str], named: list[str]
) -> None:
    require_safe(changed(**variables))
    assert names(Severity.DOUBTFUL, **variables) == named


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("redis://:word@redis", "Use rediss://"),
        ("redis+sentinel://:word@redis:1/coatcheck", "redis+sentinel:// has no TLS"),
        ("redis+cluster://:word@redis:1", "redis+cluster:// has no TLS"),
    ],
)
def test_the_remedy_for_a_redis_without_tls_exists(url: str, remedy: str) -> None:
    texts = [text for _, text in findings(changed(REDIS_URL=url))]
    assert len([text for text in texts if remedy in text]) == 2
    assert len([text for text in texts if "rediss://" in text]) == (2 if "Use" in remedy else 0)


def test_no_finding_repeats_a_password() -> None:
    settings = changed(
        REDIS_URL="redis://user:hunter2@redis", DATABASE_URL="postgresql://user:hunter2@db/x"
    )
    assert "hunter2" not in "".join(text for _, text in findings(settings))
