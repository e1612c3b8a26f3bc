"""What a failover of Redis costs under load: `python -m tests.races.failover sentinel|cluster`.

Clients log in, write, read and log out; then a master is killed. Counted: the answers, how long
it took to recover, and which acknowledged logins, writes and logouts the new master never heard
of, since replication is asynchronous. `--cut MS` cuts the replica off so long before the kill.
`--freeze` has the master hang instead, and come back when another is in its place.
`--min-replicas` has the master refuse writes while no replica is connected.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from service.embedded import Postgres
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.redis_engines import Group, Node, cluster, sentinels
from tests.servers import gunicorn

PASSWORD = "correct horse battery staple"
CLIENTS = 12
BEFORE = 4.0  # seconds of load before the kill, and after the recovery
RECOVERY = 3.0  # seconds, from the promotion of the replica to the last 503
SLOWEST = 1.5  # seconds, of one answer
WRITES = 10


@dataclass
class Session:
    """One login of a client, and what was acknowledged of it."""

    cookie: str
    born: float
    written: dict[str, float] = field(default_factory=dict)
    ending: bool = False
    refused: bool = False  # a 401 before it was ended
    revoked: float | None = None


@dataclass
class Answers:
    """Every answer, by status and time."""

    rows: list[tuple[float, float, str, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def last(self, status: int) -> float:
        return max((at for at, _, _, found in self.rows if found == status), default=0.0)

    def slowest(self) -> float:
        return max(took for _, took, _, _ in self.rows)


class Client(threading.Thread):
    """One account, whose person never rests."""

    def __init__(self, url: str, number: int, answers: Answers, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=10)
        self.login = {"username": f"person{number}", "password": PASSWORD}
        self.answers = answers
        self.stop = stop
        self.sessions: list[Session] = []
        assert self.http.post("/accounts", json=self.login).status_code == 201
        self.http.cookies.clear()

    def run(self) -> None:
        for number in itertools.count():
            if self.stop.is_set():
                return
            if session := self.sign_in():
                self.use(session)
                if number % 2:
                    self.sign_out(session)

    def ask(
        self, method: str, path: str, session: Session | None = None, **content: object
    ) -> httpx.Response:
        headers = {"Cookie": f"session={session.cookie}"} if session else {}
        started = time.monotonic()
        answer = self.http.request(method, path, headers=headers, **content)  # type: ignore[arg-type]
        self.http.cookies.clear()
        now = time.monotonic()
        self.answers.rows.append((now, now - started, f"{method} {path}", answer.status_code))
        if answer.status_code not in (200, 201, 204, 401, 503):
            self.answers.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        if answer.status_code == 503 and "set-cookie" in answer.headers:
            self.answers.wrong.append(f"{method} {path}: 503 with {answer.headers['set-cookie']}")
        if answer.status_code == 503:
            time.sleep(0.02)
        return answer

    def sign_in(self) -> Session | None:
        answer = self.ask("POST", "/sessions", json=self.login)
        if answer.status_code != 201:
            return None
        cookie = answer.headers["set-cookie"].partition(";")[0].removeprefix("session=")
        session = Session(cookie, time.monotonic())
        self.sessions.append(session)
        return session

    def use(self, session: Session) -> None:
        for number in range(WRITES):
            key = f"key{number}"
            answer = self.ask("PATCH", "/sessions/current/data", session, json={key: number})
            if answer.status_code == 200:
                session.written[key] = time.monotonic()
            read = self.ask("GET", "/sessions/current", session)
            session.refused |= 401 in (answer.status_code, read.status_code)

    def sign_out(self, session: Session) -> None:
        session.ending = True
        if self.ask("DELETE", "/sessions/current", session).status_code == 204:
            session.revoked = time.monotonic()
            self.ask("GET", "/sessions/current", session)

    def losses(self, killed: float) -> Iterator[str]:
        """What was acknowledged and is not so now."""
        for session in self.sessions:
            alive = self.ask("GET", "/sessions/current", session).status_code == 200
            if session.refused and alive:
                yield "login, for a while, at another time"
            if session.revoked and alive:
                yield _lost("logout", session.revoked, killed)
            elif not session.ending and not alive:
                yield _lost("login", session.born, killed)
            elif alive:
                data = self.ask("GET", "/sessions/current/data", session).json()
                for key in session.written.keys() - data.keys():
                    yield _lost("write", session.written[key], killed)


def _lost(what: str, at: float, killed: float) -> str:
    return f"{what} {'within a second of the kill' if abs(at - killed) < 1 else 'at another time'}"


def run(group: Group, url: str, cut: float, freeze: bool, min_replicas: bool) -> int:
    """Load, kill, load; prints what came of it and returns the exit status."""
    answers, stop = Answers(), threading.Event()
    clients = [Client(url, number, answers, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    victim = next(m for m in group.masters() if m.client.info("replication")["connected_slaves"])
    replica = next(n for n in group.nodes if n not in group.masters())
    if min_replicas:
        victim.client.config_set("min-replicas-to-write", 1)
    time.sleep(BEFORE)
    killed = _kill(victim, replica, cut, freeze)
    eventually(lambda: replica.client.info("replication")["role"] == "master", within=30)
    promoted = time.monotonic()
    time.sleep(RECOVERY)
    if freeze:
        victim.thaw()
    time.sleep(BEFORE)
    stop.set()
    for client in clients:
        client.join(10)
    count = Counter((what, status) for _, _, what, status in answers.rows)
    before = sum(at < killed for at, *_ in answers.rows) / BEFORE
    recovered = answers.last(503) - promoted
    losses = Counter(loss for client in clients for loss in client.losses(killed))
    acknowledged = Counter[str]()
    for session in (session for client in clients for session in client.sessions):
        acknowledged += Counter(
            login=1, logout=int(session.revoked is not None), write=len(session.written)
        )
    for (what, status), number in sorted(count.items()):
        print(f"{what:30} {status} {number:7}")
    print(f"load before the kill: {before:.0f} answers/s; slowest answer {answers.slowest():.2f} s")
    print(f"replica promoted {promoted - killed:.2f} s after the kill")
    print(f"last 503 {recovered:+.2f} s from the promotion")
    print(f"acknowledged: {dict(acknowledged)}; lost: {dict(losses) or 'nothing'}")
    if recovered > RECOVERY:
        answers.wrong.append(f"recovered {recovered:.1f} s after the promotion")
    if answers.slowest() > SLOWEST:
        answers.wrong.append(f"an answer took {answers.slowest():.2f} s")
    # Replication explains what was lost around the kill, and nothing else.
    answers.wrong += [f"lost: {what}, {n} times" for what, n in losses.items() if "another" in what]
    for line in answers.wrong[:20]:
        print("VIOLATION", line)
    return bool(answers.wrong)


def _kill(victim: Node, replica: Node, cut: float, freeze: bool) -> float:
    if cut:
        replica.freeze()
        victim.client.client_kill_filter(_type="slave")
        time.sleep(cut)
    if freeze:
        victim.freeze()
    else:
        victim.kill()
    killed = time.monotonic()
    if cut:
        replica.thaw()
    return killed


def main() -> int:
    """Start everything, measure, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", choices=["sentinel", "cluster"])
    parser.add_argument("--cut", type=float, default=0, metavar="MS")
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--min-replicas", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="coatcheck-failover-")))
        postgres = stack.enter_context(Postgres(directory / "postgres", durable=False))
        migrate(postgres.url)
        engines = sentinels if options.kind == "sentinel" else lambda at: cluster(at, 3, 1)
        group = stack.enter_context(engines(directory / "redis"))
        environ = {
            "COATCHECK_ENV": "testing",
            "COATCHECK_THROTTLING": "off",
            "COATCHECK_SESSIONS_PER_ACCOUNT": "1000",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": group.url,
        }
        server = stack.enter_context(gunicorn(directory, environ, workers=3))
        return run(group, server.url, options.cut / 1000, options.freeze, options.min_replicas)


if __name__ == "__main__":
    sys.exit(main())
