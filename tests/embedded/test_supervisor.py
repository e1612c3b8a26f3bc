"""`python -m service serve`, which is what `make run` calls, as a person would use it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from service.embedded import PostgresEngine, RedisEngine
from service.embedded.gunicorn import GunicornError, reserve
from tests.conditions import eventually
from tests.ports import free_port
from tests.run import prepare_postgres
from tests.servers import ROOT, is_ready


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory; whatever still runs on it afterwards is a mistake, but ended."""
    with tempfile.TemporaryDirectory(prefix="coatcheck-") as directory:
        path = Path(directory, "data")
        yield path
        orphans = processes(path)
        for orphan in orphans:
            orphan.kill()
        psutil.wait_procs(orphans)


@pytest.fixture
def migrated(data: Path) -> Path:
    """The data directory of a service that has run before, for tests to which initdb is no news."""
    prepare_postgres(data / "postgres")
    return data


class Run:
    """One run of the supervisor; `output` is what it has printed, both streams."""

    def __init__(self, data: Path, *options: str, **environ: str) -> None:
        self.data = data
        self.port = free_port()
        inherited = {k: v for k, v in os.environ.items() if not k.endswith(("_URL", "_URL_FILE"))}
        settings = {"COATCHECK_ENV": "testing", "WEB_CONCURRENCY": "1", "PORT": str(self.port)}
        self._out = Path(tempfile.mkstemp(dir=next(p for p in data.parents if p.is_dir()))[1])
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve", *options],
                cwd=ROOT,
                env=inherited | settings | {"DATA_DIR": str(data)} | environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._out.read_text()

    def until(self, line: str) -> "Run":
        eventually(lambda: line in self.output or self.process.poll() is not None, within=40)
        assert line in self.output, self.output
        return self

    def ready(self) -> "Run":
        return self.until(f"Coatcheck is ready: http://127.0.0.1:{self.port}\n")

    def end(self, number: signal.Signals | None = None) -> int:
        if number:
            self.process.send_signal(number)
        return self.process.wait(30)


def processes(data: Path) -> list[psutil.Process]:
    """Everything that names the data directory or works in it."""

    def concerned(process: psutil.Process) -> bool:
        try:
            words = [process.cwd(), *process.cmdline(), process.environ().get("DATA_DIR", "")]
        except psutil.Error:
            return False
        return any(str(data) in word for word in words)

    return [process for process in psutil.process_iter() if concerned(process)]


def lives(process: psutil.Process) -> bool:
    """Whether it runs; a zombie that init has not reaped yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def error_line(run: Run) -> str:
    """What a run that failed had to say, which is one line."""
    assert run.end() == 1, run.output
    assert "Traceback" not in run.output
    [line] = [line for line in run.output.splitlines() if line.startswith("Error: ")]
    return line


def test_killing_the_supervisor_loses_no_data_and_does_not_hinder_the_next_start(
    data: Path,
) -> None:
    first = Run(data, WEB_CONCURRENCY="2").ready()
    with psycopg.connect(PostgresEngine(data / "postgres").url) as connection:
        connection.execute("CREATE TABLE coats AS SELECT 7 AS ticket")
    first.end(signal.SIGKILL)
    orphans = processes(data)
    assert orphans

    second = Run(data, PORT=str(first.port))
    second.port = first.port
    second.ready()
    assert not any(lives(orphan) for orphan in orphans)
    with psycopg.connect(PostgresEngine(data / "postgres").url) as connection:
        assert connection.execute("SELECT ticket FROM coats").fetchone() == (7,)

    assert "already running" in error_line(Run(data))
    assert is_ready(f"http://127.0.0.1:{second.port}")

    assert second.end(signal.SIGTERM) == 0
    assert processes(data) == []


@pytest.mark.parametrize(
    ("moment", "number", "directory"),
    [
        ("Starting PostgreSQL", signal.SIGINT, "data"),
        ("Starting Redis", signal.SIGHUP, "migrated"),
        ("Starting gunicorn", signal.SIGTERM, "migrated"),
    ],
)
def test_stopping_during_the_start_leaves_nothing_behind(
    moment: str, number: signal.Signals, directory: str, request: pytest.FixtureRequest
) -> None:
    data: Path = request.getfixturevalue(directory)
    run = Run(data).until(moment)
    assert run.end(number) == 0, run.output
    assert "Traceback" not in run.output
    assert processes(data) == []


def test_when_one_part_ends_by_itself_the_rest_is_stopped(migrated: Path) -> None:
    run = Run(migrated).ready()
    [redis] = [process for process in processes(migrated) if process.name() == "redis-server"]
    redis.kill()
    assert error_line(run) == "Error: Redis ended unexpectedly (SIGKILL): stopped the rest"
    assert processes(migrated) == []


def test_a_port_that_is_taken_is_reported_before_anything_starts(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        run = Run(data, PORT=port)
        assert f"port {port}" in error_line(run)
    assert "Starting" not in run.output
    assert processes(data) == []


def test_two_that_start_at_once_do_not_share_a_port() -> None:
    port = free_port()
    with reserve(port), pytest.raises(GunicornError, match=f"port {port}"):
        reserve(port)


@pytest.mark.parametrize("name", ["", "below"])
def test_a_data_directory_that_cannot_be_used_is_reported(name: str, data: Path) -> None:
    data.touch()
    assert f"DATA_DIR {data / name} cannot be used" in error_line(Run(data / name))


def test_a_malformed_setting_is_reported(data: Path) -> None:
    assert "PORT" in error_line(Run(data, PORT="eighty"))
    assert not data.exists()


def test_an_engine_that_does_not_start_is_reported_and_the_other_is_stopped(migrated: Path) -> None:
    (migrated / "redis").mkdir()
    (migrated / "redis" / "appendonly.aof").write_text("not what it was")
    assert error_line(Run(migrated)).startswith("Error: Redis will not start: Bad file format")
    assert processes(migrated) == []


def test_an_engine_that_is_given_by_url_is_not_started(migrated: Path) -> None:
    with RedisEngine(migrated.with_name("elsewhere"), durable=False) as given:
        run = Run(migrated, REDIS_URL=given.url).ready()
        assert "\n    COATCHECK_ENV=testing DATABASE_URL=" in run.output
        assert "Listening at: http://127.0.0.1:" in run.output
        assert "REDIS_URL=" not in run.output  # it may contain a password
        assert run.end(signal.SIGTERM) == 0
        assert given.exit_status() is None
    assert not (migrated / "redis").exists()


def test_it_runs_an_application_of_yours_on_the_same_engines(migrated: Path) -> None:
    """`make run APP=…`; this one has sessions alone, and so no /readyz."""
    run = Run(migrated, "--app", "tests.guarantees.session_app:app").ready()
    with httpx.Client(base_url=f"http://127.0.0.1:{run.port}") as client:
        assert [client.post("/count").text for _ in range(3)] == ["1", "2", "3"]
        assert client.post("/size", content=b"x" * 200_000).text == "200000"
        assert client.get("/auth/verify").status_code == 404
    assert run.end(signal.SIGTERM) == 0
