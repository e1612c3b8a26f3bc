"""People who never rest while Redis is away, and what was acknowledged to them."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

PASSWORD = "correct horse battery staple"
WRITES = 10
SLOWEST = 1.5  # seconds, of one answer
STATUSES = (200, 201, 204, 401, 503)


@dataclass
class Session:
    """One login of a person, and what was acknowledged of it."""

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
        """When there was the last one with that status; 0 if there was none."""
        return max((at for at, _, _, found in self.rows if found == status), default=0.0)

    def slowest(self) -> float:
        """Seconds."""
        return max(took for _, took, _, _ in self.rows)


class Person(threading.Thread):
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
        """Sign in, use the session, and end every other one."""
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
        """Send one request, and note what is wrong with its answer."""
        headers = {"Cookie": f"session={session.cookie}"} if session else {}
        started = time.monotonic()
        answer = self.http.request(method, path, headers=headers, **content)  # type: ignore[arg-type]
        self.http.cookies.clear()
        now = time.monotonic()
        self.answers.rows.append((now, now - started, f"{method} {path}", answer.status_code))
        said = f"{method} {path}: {answer.status_code}"
        cookie = answer.headers.get("set-cookie", "")
        if answer.status_code not in STATUSES:
            self.answers.wrong.append(f"{said} {answer.text[:200]}")
        if cookie and answer.status_code == 503:
            self.answers.wrong.append(f"{said} with a cookie")
        if cookie.startswith("session=;") and answer.status_code != 204:
            self.answers.wrong.append(f"{said} deletes the cookie")
        if answer.status_code == 503:
            time.sleep(0.02)
        return answer

    def sign_in(self) -> Session | None:
        """A new session, if there is an answer."""
        answer = self.ask("POST", "/sessions", json=self.login)
        if answer.status_code != 201:
            return None
        cookie = answer.headers["set-cookie"].partition(";")[0].removeprefix("session=")
        session = Session(cookie, time.monotonic())
        self.sessions.append(session)
        return session

    def use(self, session: Session) -> None:
        """Write and read."""
        for number in range(WRITES):
            key = f"key{number}"
            answer = self.ask("PATCH", "/sessions/current/data", session, json={key: number})
            if answer.status_code == 200:
                session.written[key] = time.monotonic()
            read = self.ask("GET", "/sessions/current", session)
            session.refused |= 401 in (answer.status_code, read.status_code)

    def sign_out(self, session: Session) -> None:
        """End it, and try it again."""
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


class Crowd:
    """Several of them."""

    def __init__(self, url: str, size: int) -> None:
        self.answers = Answers()
        self._stop = threading.Event()
        self.people = [Person(url, number, self.answers, self._stop) for number in range(size)]

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Have them act meanwhile."""
        for person in self.people:
            person.start()
        try:
            yield
        finally:
            self._stop.set()
            for person in self.people:
                person.join(10)

    def judge(self, killed: float, excused: Sequence[str] = ()) -> None:
        """Print what was answered, and what became of what was acknowledged; the end of them.

        Args:
            killed: when Redis went away.
            excused: what may get lost within a second of that.
        """
        count = Counter((what, status) for _, _, what, status in self.answers.rows)
        slowest = self.answers.slowest()
        losses = Counter(loss for person in self.people for loss in person.losses(killed))
        for person in self.people:
            person.http.close()
        for (what, status), number in sorted(count.items()):
            print(f"{what:30} {status} {number:7}")
        print(f"slowest answer {slowest:.2f} s")
        print(f"acknowledged: {dict(self._acknowledged())}; lost: {dict(losses) or 'nothing'}")
        if slowest > SLOWEST:
            self.answers.wrong.append(f"an answer took {slowest:.2f} s")
        for what, times in losses.items():
            if what.partition(" ")[0] not in excused or "another" in what:
                self.answers.wrong.append(f"lost: {what}, {times} times")

    def complain(self) -> bool:
        """Print what is wrong; whether anything is."""
        for line in self.answers.wrong[:20]:
            print("VIOLATION", line)
        return bool(self.answers.wrong)

    def _acknowledged(self) -> Counter[str]:
        total = Counter[str]()
        for session in (session for person in self.people for session in person.sessions):
            total.update(
                login=1, logout=int(session.revoked is not None), write=len(session.written)
            )
        return total


def _lost(what: str, at: float, killed: float) -> str:
    return f"{what} {'within a second of the kill' if abs(at - killed) < 1 else 'at another time'}"
