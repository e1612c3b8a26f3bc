from __future__ import annotations

from pathlib import Path

import pytest

from config import ConfigurationError, Settings, load
from config.settings import variable

REQUIRED = {"DATABASE_URL": "postgresql:///coatcheck", "REDIS_URL": "redis://localhost"}


def refusal(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(REQUIRED | variables)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_production_is_the_default_and_keeps_cookies_to_tls() -> None:
    settings = load(REQUIRED)
    assert settings.env == "production"
    assert settings.session_cookie_name == "__Host-session"
    assert settings.secure_cookies


@pytest.mark.parametrize("env", ["development", "testing"])
def test_development_and_testing_do_without_tls(env: str) -> None:
    settings = load(REQUIRED | {"COATCHECK_ENV": env})
    assert settings.session_cookie_name == "session"
    assert not settings.secure_cookies


def test_staging_is_like_production() -> None:
    staging = load(REQUIRED | {"COATCHECK_ENV": "staging"})
    assert staging == load(REQUIRED).model_copy(update={"env": "staging"})


def test_the_username_cache_shares_the_redis_of_the_sessions_by_default() -> None:
    assert load(REQUIRED).cache_redis_url == REQUIRED["REDIS_URL"]
    own = load(REQUIRED | {"CACHE_REDIS_URL": "redis://elsewhere"})
    assert own.cache_redis_url == "redis://elsewhere"


@pytest.mark.parametrize(
    "url",
    [
        "rediss://:password@localhost:6379/1",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://user:pass%40word@one:26379,[::1]:26379,three/coatcheck/1",
        "redis+cluster://:password@one:6379,two:6380",
    ],
)
def test_redis_may_be_one_server_sentinel_or_cluster(url: str) -> None:
    assert load(REQUIRED | {"REDIS_URL": url}).redis_url == url


def test_an_environment_variable_overrides_what_its_environment_says() -> None:
    settings = load(REQUIRED | {"COATCHECK_ENV": "testing", "COATCHECK_ARGON2_MEMORY_KIB": "64"})
    assert settings.argon2_memory_kib == 64


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://id.example.org", "https://id.example.org"),
        ("HTTPS://ID.Example.ORG:443/", "https://id.example.org"),
        ("http://localhost:0080", "http://localhost"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("https://id.example.org:80", "https://id.example.org:80"),
    ],
)
def test_the_public_url_becomes_the_origin_that_browsers_send(given: str, origin: str) -> None:
    assert load(REQUIRED | {"COATCHECK_PUBLIC_URL": given}).public_url == origin


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    assert load(REQUIRED).bind == "127.0.0.1"
    assert load(REQUIRED | {"COATCHECK_BIND": "[::]"}).bind == "[::]"


def test_urls_are_read_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "database_url"
    secret.write_text("postgresql://somebody@database/coatcheck\n")
    settings = load({"REDIS_URL": "redis://localhost", "DATABASE_URL_FILE": str(secret)})
    assert settings.database_url == "postgresql://somebody@database/coatcheck"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"COATCHECK_THROTLING": "off"}, "COATCHECK_THROTLING"),
        ({"COATCHECK_ENV": "prod"}, "COATCHECK_ENV"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"DATABASE_URL": "mysql://localhost"}, "DATABASE_URL"),
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+sentinel://one:26379,two:26379"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+sentinel://one:26379/coatcheck/first"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+sentinel:///coatcheck"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+cluster://one:6379,,two:6379"}, "REDIS_URL"),
        ({"CACHE_REDIS_URL": "redis+cluster://one:66379"}, "CACHE_REDIS_URL"),
        ({"CACHE_REDIS_URL": "redis+cluster://one:6379/1"}, "CACHE_REDIS_URL"),
        ({"DATABASE_URL": "postgresql:///?nothing=1"}, "DATABASE_URL"),
        ({"COATCHECK_BIND": "localhost"}, "COATCHECK_BIND"),
        ({"COATCHECK_BIND": "127.0.0.1:8000"}, "COATCHECK_BIND"),
        ({"COATCHECK_PUBLIC_URL": "id.example.org"}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "ftp://id.example.org"}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "https://"}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "https://id.example.org/login"}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "https://user@id.example.org"}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "https://id.example.org:70000"}, "COATCHECK_PUBLIC_URL"),
        ({"COATCHECK_PUBLIC_URL": "https://bücher.example"}, "COATCHECK_PUBLIC_URL"),
        ({"PORT": "http"}, "PORT"),
        ({"PORT": "70000"}, "PORT"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY"),
        ({"COATCHECK_THROTTLING": "perhaps"}, "COATCHECK_THROTTLING"),
        ({"COATCHECK_SESSION_IDLE": "30m"}, "COATCHECK_SESSION_IDLE"),
        ({"REDIS_URL_FILE": "anything"}, "REDIS_URL_FILE"),
        ({"DATABASE_URL": "", "DATABASE_URL_FILE": "no/such/file"}, "DATABASE_URL_FILE"),
    ],
)
def test_a_wrong_setting_is_rejected_in_one_line_that_names_it(
    variables: dict[str, str], named: str
) -> None:
    assert named in refusal(**variables)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "must be a whole number"),
        ("PORT", "9" * 5000, "is too large"),
        ("PORT", "70000", "must be at most 65535"),
        ("WEB_CONCURRENCY", "0", "must be at least 1"),
        ("COATCHECK_THREAD_WAIT", "soon", "must be a number"),
        ("COATCHECK_THREAD_WAIT", "0.01", "must be at least 0.05"),
        ("COATCHECK_THREAD_WAIT", "nan", "must be at most 10"),
        ("COATCHECK_THROTTLING", "perhaps", "must be on or off"),
        ("COATCHECK_LOG_FORMAT", "xml", "must be 'json' or 'console'"),
        ("DATABASE_URL", "mysql://localhost", "must be a postgresql:// URL"),
    ],
)
def test_a_rejection_says_what_the_value_must_be(name: str, value: str, sentence: str) -> None:
    assert refusal(**{name: value}) == f"{name}: {sentence}"


def test_a_rejection_does_not_repeat_the_password_in_a_url() -> None:
    assert "hunter2" not in refusal(DATABASE_URL="mysql://root:hunter2@localhost/coatcheck")


def test_settings_show_no_urls() -> None:
    assert "localhost" not in repr(load(REQUIRED))


def test_the_readme_lists_every_setting_with_its_default_and_meaning() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(" `"): line for line in readme.splitlines() if line[:3] == "| `"
    }
    for name, field in Settings.model_fields.items():
        row = rows[variable(name)]
        assert field.description is None or field.description in row
        if isinstance(field.default, int | str) and not isinstance(field.default, bool):
            assert f"`{field.default}`" in row
