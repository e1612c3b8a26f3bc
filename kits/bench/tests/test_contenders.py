"""The benchmark itself: every contender answers, and what it costs is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from kits.bench import accounts, node, registration, session_count
from kits.bench.contender import COATCHECK, Contender, Cost, Engines, start_engines
from kits.bench.measurement import Load, in_turn, sample
from kits.bench.node import NotMeasured
from kits.bench.session_checks import CURRENT, VERIFY
from kits.command import Effort
from kits.generators import LoadError, Run, scheduled

PEERS = ("applications:stock_flask_session", "django_site:site")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with start_engines(tmp_path_factory.mktemp("bench"), "testing") as running:
        yield running


@pytest.fixture(scope="module")
def coatcheck(engines: Engines) -> Iterator[Contender]:
    with engines.serve(COATCHECK, workers=1) as running:
        yield running


@pytest.mark.parametrize("application", PEERS)
def test_every_peer_knows_who_is_signed_in(engines: Engines, application: str) -> None:
    with engines.serve(application, workers=1) as contender:
        assert _who(contender, accounts.sign_in(contender)[7]) == accounts.NAMES[7]


@pytest.mark.parametrize("script", [node.EXPRESS, node.FASTIFY])
def test_node_knows_who_is_signed_in(engines: Engines, script: str) -> None:
    try:
        node.install()
    except NotMeasured as problem:
        pytest.skip(str(problem))
    with node.serve(engines, script, workers=1) as contender:
        assert _who(contender, accounts.sign_in(contender)[7]) == accounts.NAMES[7]


def test_contenders_without_a_session_answer_like_the_others(engines: Engines) -> None:
    with engines.serve("applications:bare_flask", workers=1) as bare:
        assert _who(bare, "")
        response = httpx.post(f"{bare.url}/accounts", json={"username": "ada"})
        assert (response.status_code, response.json()["code"]) == (409, "username_taken")
    with engines.serve("applications:plain", workers=1) as plain:
        response = httpx.get(f"{plain.url}{VERIFY}")
        assert (response.status_code, response.headers["X-Auth-Username"]) == (200, "ada")


def test_the_service_knows_its_visitors_on_every_path(coatcheck: Contender) -> None:
    cookie = accounts.sign_in(coatcheck, accounts.register(coatcheck))[7]
    assert _who(coatcheck, cookie) == accounts.NAMES[7]
    for path in (VERIFY, CURRENT):
        response = httpx.get(f"{coatcheck.url}{path}", headers={"Cookie": cookie})
        assert response.status_code == 200
        assert accounts.NAMES[7] in (response.headers.get("X-Auth-Username"), *_names(response))


def test_contenders_take_turns_and_their_commands_are_counted(coatcheck: Contender) -> None:
    (cookie, *_) = accounts.register(coatcheck)
    turns: list[str] = []

    def load(title: str) -> Load:
        def drive(seconds: float) -> Run:
            turns.append(title)
            for _ in range(4):
                httpx.get(f"{coatcheck.url}{VERIFY}", headers={"Cookie": cookie})
            return _run(200, 4)

        return Load(title, coatcheck, drive)

    results = in_turn([load("a"), load("b")], Effort(2, 0.1), lambda line: None)
    assert turns == ["a", "b", "a", "b", "b", "a"]
    assert [result.median.commands for result in results] == [1, 1]
    assert results[0].median.rate == 4


def test_registrations_and_logins_all_get_201(coatcheck: Contender) -> None:
    accounts.register(coatcheck)
    for schedule in (
        registration.registrations(coatcheck, 0.3),
        registration.logins(coatcheck, 0.3),
    ):
        assert set(scheduled(schedule).statuses) == {201}


def test_the_service_knows_the_sessions_that_were_filled_in(coatcheck: Contender) -> None:
    name = accounts.register(coatcheck)[0].partition("=")[0]
    # With fewer sessions, whatever else Redis allocates would outweigh them.
    ids, memory = session_count.fill(coatcheck.engines.redis, 1000, keys=2)
    for each in ids[:3]:
        response = httpx.get(f"{coatcheck.url}{VERIFY}", headers={"Cookie": f"{name}={each}"})
        assert response.status_code == 200
    assert memory > 100


def test_an_unexpected_status_is_an_error(coatcheck: Contender) -> None:
    load = Load("it", coatcheck, lambda seconds: _run(404, 1))
    with pytest.raises(LoadError, match="it answered 1 × 404, and only 200 counts"):  # noqa: RUF001
        sample(_run(404, 1), load, Cost(0, 0, 0, 0), 0.0)


def test_a_shed_request_does_not_count_and_is_an_error_unless_allowed(coatcheck: Contender) -> None:
    run = Run(2.0, 4, Counter({201: 3, 503: 1}), 1.0, 2.0, 0.1)
    may_shed = Load("it", coatcheck, lambda seconds: run, 201, may_shed=True)
    measured = sample(run, may_shed, Cost(3e-6, 0, 0, 3), 0.0)
    assert (measured.rate, measured.workers, measured.commands) == (1.5, 1.0, 1.0)
    with pytest.raises(LoadError, match="only 201 counts"):
        sample(run, Load("it", coatcheck, lambda seconds: run, 201), Cost(0, 0, 0, 0), 0.0)


def test_without_node_a_message_says_why_express_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotMeasured, match="node is not installed"):
        node.install()


def _who(contender: Contender, cookie: str) -> str:
    response = httpx.get(f"{contender.url}/me", headers={"Cookie": cookie})
    return response.raise_for_status().json()["account"]["username"]


def _names(response: httpx.Response) -> list[str]:
    return [response.json()["account"]["username"]] if response.content else []


def _run(status: int, count: int) -> Run:
    return Run(1.0, count, Counter({status: count}), 1.0, 2.0, 0.1)
