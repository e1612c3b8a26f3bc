"""The embedded engines, for real."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from service.embedded import Engine, EngineError, PostgresEngine, RedisEngine
from tests.run import prepare_postgres

pytestmark = pytest.mark.xdist_group("embedded")  # they share an engine of each kind

ENGINES = [PostgresEngine, RedisEngine]


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory with a short path that another user may pass through, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="coatcheck-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Engine]:
    """A running engine that holds a ticket; a test that stops it starts it again."""
    yield from holding_a_ticket(PostgresEngine)


@pytest.fixture(scope="module", name="redis")
def redis_engine() -> Iterator[Engine]:
    """The same."""
    yield from holding_a_ticket(RedisEngine)


@pytest.fixture(params=["postgres", "redis"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Either of the two."""
    found: Engine = request.getfixturevalue(request.param)
    return found


def holding_a_ticket(kind: type[Engine]) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="coatcheck-") as directory:
        initialise(kind, Path(directory, "data"))
        with kind(Path(directory, "data"), durable=False) as engine:
            write(engine)
            yield engine


def initialise(kind: type[Engine], directory: Path) -> None:
    """Spare a Postgres its initdb."""
    if kind is PostgresEngine:
        prepare_postgres(directory)


def write(engine: Engine) -> None:
    if isinstance(engine, PostgresEngine):
        with psycopg.connect(engine.url) as connection:
            connection.execute("CREATE TABLE coats (ticket int)")
            connection.execute("INSERT INTO coats VALUES (7)")
    elif isinstance(engine, RedisEngine):
        with redis.Redis.from_url(engine.url) as client:
            client.set("ticket", 7)


def read(engine: Engine) -> int:
    if isinstance(engine, PostgresEngine):
        with psycopg.connect(engine.url) as connection:
            row = connection.execute("SELECT ticket FROM coats").fetchone()
            assert row is not None
            return int(row[0])
    assert isinstance(engine, RedisEngine)
    with redis.Redis.from_url(engine.url) as client:
        return int(client.get("ticket"))


def test_data_survives_a_stop_and_a_crash(engine: Engine) -> None:
    engine.stop()
    engine.start()
    assert read(engine) == 7
    engine.kill()
    engine.start()
    assert read(engine) == 7


def test_start_ends_what_an_earlier_run_left_and_keeps_its_data(engine: Engine) -> None:
    leftover = psutil.Process(engine.pid)
    with type(engine)(engine.directory) as successor:
        assert leftover.status() == psutil.STATUS_ZOMBIE
        assert read(successor) == 7
    engine.stop()
    engine.start()


def test_engine_of_another_directory_is_not_taken_for_a_leftover(engine: Engine) -> None:
    neighbour = type(engine)(engine.directory.with_name("dat"))
    assert neighbour.end_leftovers() == 0
    assert engine.exit_status() is None


def test_nothing_listens_on_tcp_and_other_users_cannot_look_inside(engine: Engine) -> None:
    assert psutil.Process(engine.pid).net_connections("inet") == []
    assert engine.directory.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ENGINES)
def test_path_too_long_for_a_socket_gets_one_elsewhere(kind: type[Engine], home: Path) -> None:
    initialise(kind, home / ("long" * 30))
    with kind(home / ("long" * 30), durable=False) as engine:
        write(engine)
        assert read(engine) == 7
        assert engine.sockets.stat().st_mode & 0o077 == 0
    assert not engine.sockets.exists()


@pytest.mark.parametrize(("url", "owns"), [("url", True), ("service_url", False)])
def test_neither_the_owner_of_the_database_nor_the_service_is_a_superuser(
    postgres: PostgresEngine, url: str, owns: bool
) -> None:
    with psycopg.connect(getattr(postgres, url)) as connection:
        assert connection.execute(
            "SELECT datname, pg_get_userbyid(datdba) = current_user, rolsuper"
            " FROM pg_database, pg_roles"
            " WHERE datname = current_database() AND rolname = current_user"
        ).fetchone() == ("coatcheck", owns, False)


def test_a_database_that_the_service_owned_gets_its_owner_at_the_next_start(home: Path) -> None:
    """Data from before there were two roles."""
    engine = PostgresEngine(home / "postgres", durable=False)
    with engine, psycopg.connect(engine.superuser_url, autocommit=True) as superuser:
        superuser.execute("DROP DATABASE coatcheck")
        superuser.execute("CREATE DATABASE coatcheck OWNER coatcheck")
        with psycopg.connect(engine.service_url) as earlier:
            earlier.execute("GRANT ALL ON SCHEMA public TO coatcheck")
            earlier.execute("CREATE TABLE accounts ()")
    with engine, psycopg.connect(engine.url) as owner:
        owner.execute("ALTER TABLE accounts ADD COLUMN coats int")
        with (
            psycopg.connect(engine.service_url) as service,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            service.execute("ALTER TABLE accounts ADD COLUMN hats int")


def test_stop_does_not_wait_for_clients(postgres: Engine) -> None:
    process = psutil.Process(postgres.pid)
    client = psycopg.connect(postgres.url, autocommit=True)
    client.execute("SELECT 1")
    postgres.stop()
    assert not process.is_running()
    client.close()
    postgres.start()


def test_pid_file_that_names_a_living_stranger_is_no_obstacle(postgres: Engine) -> None:
    pid_file = postgres.directory / "data" / "postmaster.pid"
    _, *rest = pid_file.read_text().splitlines()
    postgres.kill()
    with subprocess.Popen(["sleep", "60"], user=pid_file.stat().st_uid) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *rest, ""]))
        postgres.start()
        assert read(postgres) == 7
        assert stranger.poll() is None
        stranger.kill()


def test_fsync_is_on_unless_a_test_declines(home: Path, postgres: Engine) -> None:
    initialise(PostgresEngine, home / "data")
    with PostgresEngine(home / "data") as durable:
        for engine, setting in ((durable, "on"), (postgres, "off")):
            with psycopg.connect(engine.url) as connection:
                assert connection.execute("SHOW fsync").fetchone() == (setting,)


def test_redis_keeps_everything_on_disk_and_evicts_nothing(home: Path) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
    with RedisEngine(home / "data") as engine, redis.Redis.from_url(engine.url) as client:
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_first_start_that_was_interrupted_is_done_again(home: Path) -> None:
    (home / "data" / "unfinished" / "base").mkdir(parents=True)
    with PostgresEngine(home / "data", durable=False) as engine:
        write(engine)
        assert read(engine) == 7


@pytest.mark.parametrize(
    ("kind", "file"), [(PostgresEngine, "data/global/pg_control"), (RedisEngine, "appendonly.aof")]
)
def test_engine_that_will_not_start_says_why_in_one_line(
    kind: type[Engine], file: str, home: Path
) -> None:
    initialise(kind, home / "data")
    with kind(home / "data", durable=False) as engine:
        write(engine)
    (engine.directory / file).write_text("not what it was")
    with pytest.raises(EngineError) as caught:
        engine.start()
    line = str(caught.value)
    assert line.startswith(f"{kind.title} will not start: ")
    assert "\n" not in line
    assert str(engine.log) in line
    assert engine.exit_status() is None
    assert engine.end_leftovers() == 0


def test_a_directory_that_cannot_be_made_is_reported_in_one_line(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(EngineError, match=r"will not start: .*Not a directory"):
        RedisEngine(home / "file" / "data").start()


def test_leftover_that_does_not_obey_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.embedded.leftovers.PATIENCE", 0.1)
    with RedisEngine(home / "data", durable=False) as engine:
        psutil.Process(engine.pid).suspend()
        assert engine.end_leftovers() == 1
        assert engine.exit_status() == "SIGKILL"
