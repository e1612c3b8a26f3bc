"""The service has every right that it needs in Redis, and no other.

The whole suite runs with these rights: the fixture `redis` fails if any was missing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from deploy import make_passwords
from service.embedded import RedisEngine
from service.embedded.engine import Readiness
from service.storage import lines
from service.storage.redis import connect, evicting_policies
from tests.loops import on_loop
from tests.passwords import BOB, PASSWORD
from tests.redis_engines import Group, Node
from tests.restricted_redis import USER, RestrictedRedis, denials
from tests.servers import ROOT, gunicorn

IN_SCRIPT = re.compile(r"redis\.p?call\(\s*['\"](\w+)['\"]", re.IGNORECASE)
ON_THE_LOOP = re.compile(r"""lines\.call\([^,]+, b"(\w+)\"""")
TESTS_OWN = {"config", "auth"}
KEY = "coatcheck:{a}:x"


def commands(acl: str) -> set[str]:
    """The commands that a file allows, without the words that follow them."""
    found = [rule for rule in make_passwords.rules(acl) if rule[0] == "+"]
    return {rule[1:].partition("|")[0] for rule in found}


def written_in_the_code(acl: str) -> set[str]:
    """What scripts call, and what the loop sends, also on occasions that are rare. Registration
    uses the cache, and everything else the sessions' Redis."""
    code = ROOT / "service"
    files = [(IN_SCRIPT, path) for path in code.rglob("*.lua")]
    files += [(ON_THE_LOOP, path) for path in code.rglob("*.py")]
    found = {
        name.lower()
        for pattern, path in files
        if ("registration" in str(path.relative_to(code))) == (acl == "cache")
        for name in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert found & {"evalsha", "get"}
    return found


@pytest.fixture
def place() -> Iterator[Path]:
    with TemporaryDirectory(prefix="coatcheck-acl-") as path:
        yield Path(path)


@pytest.fixture
def separate(place: Path) -> Iterator[dict[str, RestrictedRedis]]:
    """Two servers, as in production."""
    with (
        RestrictedRedis(place / "sessions", "sessions") as sessions,
        RestrictedRedis(place / "cache", "cache") as cache,
    ):
        yield {"sessions": sessions, "cache": cache}


def test_every_command_that_is_allowed_is_used_and_no_other_is_tried(
    separate: dict[str, RestrictedRedis],
    environ: dict[str, str],
    database: psycopg.Connection,
    place: Path,
) -> None:
    clients = {acl: Redis.from_url(engine.url, protocol=2) for acl, engine in separate.items()}
    for client in clients.values():
        client.config_resetstat()
    more = {
        f"{name}_URL": separate[acl].service_url
        for name, acl in (("REDIS", "sessions"), ("CACHE_REDIS", "cache"))
    }
    with gunicorn(place, environ | more, workers=1) as server, server.client() as bob:
        assert bob.post("/api/v1/accounts", json=BOB).status_code == 201
        assert bob.post("/api/v1/accounts", json=BOB).status_code == 409
        assert bob.post("/api/v1/sessions", json=BOB).status_code == 201
        assert bob.patch("/api/v1/sessions/current/data", json={"hat": 1}).status_code == 200
        new = {"current_password": PASSWORD, "new_password": PASSWORD + "2"}
        assert bob.put("/api/v1/account/password", json=new).status_code == 204
        assert bob.delete("/api/v1/sessions/current").status_code == 204
        assert bob.get("/readyz").json()["status"] == "ready"
    for acl, client in clients.items():
        sent = {
            name.removeprefix("cmdstat_").partition("|")[0] for name in client.info("commandstats")
        }
        assert denials(client) == set()
        assert commands(acl) == (sent - TESTS_OWN) | written_in_the_code(acl), acl
        client.close()


@pytest.mark.parametrize(
    "forbidden",
    [
        ["FLUSHALL"],
        ["KEYS", "*"],
        ["SCAN", "0"],
        ["CONFIG", "GET", "*"],
        ["ACL", "LIST"],
        ["MONITOR"],
        ["DEBUG", "SLEEP", "0"],
        ["SCRIPT", "FLUSH"],
        ["SHUTDOWN"],
        ["REPLICAOF", "NO", "ONE"],
        ["CLIENT", "LIST"],
        ["PUBLISH", "x", "y"],
        ["GET", "elsewhere"],
        ["SET", "elsewhere", "x"],
    ],
)
def test_nothing_else_is_allowed(
    separate: dict[str, RestrictedRedis], forbidden: list[str]
) -> None:
    for engine in separate.values():
        with (
            Redis.from_url(engine.service_url, protocol=2) as service,
            pytest.raises(NoPermissionError),
        ):
            service.execute_command(*forbidden)


def restricted(node: Node, *acls: str) -> None:
    rules = [rule for acl in acls for rule in make_passwords.rules(acl)]
    node.client.execute_command("ACL", "SETUSER", USER, "reset", "on", ">word", *rules)
    node.client.acl_log_reset()


async def use(url: str) -> None:
    """The ways in which the service reaches Redis: from threads, and from the loop."""
    client = connect(url)
    script = client.register_script("return redis.call('GET', KEYS[1])")
    for _ in range(2):
        assert script(keys=[KEY]) is None
    client.ping()
    assert evicting_policies(client) == []
    client.close()
    on_the_loop = lines.connect(url)
    assert await on_the_loop.call(KEY, b"GET", KEY.encode()) is None
    await on_the_loop.close()


@on_loop
async def test_a_cluster_needs_a_little_more(cluster_engine: Group) -> None:
    for node in cluster_engine.nodes:
        restricted(node, "sessions", "cluster")
    await use(cluster_engine.url.replace("://", f"://{USER}:word@"))
    for node in cluster_engine.nodes:
        assert denials(node.client) == set()
        node.client.acl_deluser(USER)


@on_loop
async def test_sentinel_needs_nothing_more(sentinel_engine: Group) -> None:
    master = sentinel_engine.only_master()
    restricted(master, "sessions")
    await use(sentinel_engine.url.replace("://", f"://{USER}:word@"))
    assert denials(master.client) == set()
    master.client.acl_deluser(USER)


class AsInTheStack(RedisEngine):
    """A Redis with the users that the first container of the stack writes."""

    def __init__(self, directory: Path, users: Path) -> None:
        super().__init__(directory, durable=False)
        self._users = users

    def _command(self) -> list[str]:
        return [*super()._command(), "--aclfile", str(self._users)]

    def _probe(self) -> Readiness:
        is_silent = super()._probe() is Readiness.SILENT  # the answer is that it needs a login
        return Readiness.SILENT if is_silent else Readiness.READY


@pytest.fixture
def secrets(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The volumes of the stack after its first start."""
    for name in ("POSTGRES", "REDIS", "CACHE", "WEB", "OWNER"):
        (place / name).mkdir()
        monkeypatch.setattr(make_passwords, name, place / name)
    make_passwords.main()
    return place


def test_another_start_of_the_stack_changes_no_password(secrets: Path) -> None:
    before = {path: path.read_text() for path in secrets.rglob("*") if path.is_file()}
    assert len(before) >= 9
    make_passwords.main()
    assert {path: path.read_text() for path in before} == before


def test_in_the_stack_nobody_but_the_service_uses_redis(secrets: Path) -> None:
    word = (secrets / "REDIS/password").read_text()
    assert (secrets / "WEB/redis_url").read_text() == f"redis://{USER}:{word}@redis:6379/0"
    with AsInTheStack(secrets / "engine", secrets / "REDIS/users.acl") as engine:

        def login(user: str) -> Redis:
            return Redis.from_url(engine.url.replace("://", f"://{user}"))

        with login(f"{USER}:{word}@") as service, login("health:any@") as health:
            assert service.hgetall(KEY) == {}
            assert health.ping()
            with pytest.raises(NoPermissionError):
                health.get(KEY)
        for user in ("", f"{USER}:wrong@", f"default:{word}@"):
            with login(user) as stranger, pytest.raises(AuthenticationError):
                stranger.ping()


def test_a_restart_of_redis_in_the_stack_keeps_what_scripts_wrote(secrets: Path) -> None:
    """Redis replays its log as the default user, and checks what is in a transaction."""
    word = (secrets / "REDIS/password").read_text()
    two_writes = "redis.call('SET', KEYS[1], 'x') return redis.call('PEXPIREAT', KEYS[1], ARGV[1])"
    with AsInTheStack(secrets / "engine", secrets / "REDIS/users.acl") as engine:
        url = engine.url.replace("://", f"://{USER}:{word}@")
        with Redis.from_url(url) as service:
            assert service.register_script(two_writes)(keys=[KEY], args=[2**42]) == 1
            engine.stop()
            engine.start()
            assert service.get(KEY) == b"x"


def test_the_stack_starts_redis_anew_when_the_rights_change() -> None:
    """Redis reads them at its start, and compose restarts what has changed in its file."""
    compose = (ROOT / "docker-compose.yml").read_text()
    for acl in ("sessions", "cache"):
        digest = hashlib.sha256((ROOT / "deploy/acl" / acl).read_bytes()).hexdigest()[:12]
        assert f"labels: {{coatcheck.acl: {acl}-{digest}}}" in compose
