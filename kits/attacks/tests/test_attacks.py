"""The attacks themselves: each of them succeeds where the service does not defend itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kits.attacks import __main__ as kit
from kits.attacks.deployment import Deployment, address, deploy
from kits.attacks.full import ends
from kits.attacks.guesses import guesses
from kits.attacks.memory import memory
from kits.attacks.revocations import WAYS, Person, Way
from kits.attacks.secrets import leaks
from kits.command import Effort
from kits.verdict import Verdict
from tests.journeys import Journey
from tests.leaks import Secrets


def quietly(_: str) -> None:
    """No progress."""


def failed(verdicts: Iterator[Verdict]) -> list[str]:
    return [verdict.subject for verdict in verdicts if not verdict.passed]


@pytest.fixture(scope="module")
def careless() -> Iterator[Deployment]:
    """A deployment that limits nothing."""
    with deploy(COATCHECK_ENV="testing", COATCHECK_THROTTLING="off") as deployment:
        yield deployment


@pytest.fixture
def person(careless: Deployment, request: pytest.FixtureRequest) -> Iterator[Person]:
    with careless.visitor(address(1)) as laptop, careless.visitor(address(2)) as phone:
        someone = Person(f"person-{abs(hash(request.node.name))}", laptop, phone)
        someone.settle()
        yield someone


def test_guesses_are_found_out_to_be_unlimited(careless: Deployment) -> None:
    assert [subject[-12:] for subject in failed(guesses(careless, quietly, bursts=1))] == [
        " one network",
        "100 networks",
    ]


def test_memory_is_found_out_to_be_unlimited(careless: Deployment) -> None:
    assert len(failed(memory(careless, quietly, seconds=1, most=100_000))) == 1


def test_a_revocation_that_only_says_so_is_found_out(careless: Deployment, person: Person) -> None:
    empty = Way("words", lambda *_: 204, 204, ends_laptop=False, ends_phone=True,
                signs_laptop_out=False)  # fmt: skip
    verdict = ends(careless, empty, person, person.sessions())
    assert verdict.measured == "204; what it ends: 10 \N{MULTIPLICATION SIGN} 200"
    assert not verdict.passed


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.title)
def test_a_way_that_works_passes(careless: Deployment, person: Person, way: Way) -> None:
    assert ends(careless, way, person, person.sessions()).passed


def test_a_secret_in_a_store_is_found(careless: Deployment) -> None:
    with Journey(careless.url, Secrets(), "talkative") as journey:
        journey.live()
        cookie = next(iter(journey.cookies.values()))
        careless.redis.set("coatcheck:debug", cookie)
        found = leaks(careless, [journey])
    assert found == {"a cookie in Redis", "a cookie in the file of Redis"}


def test_a_failed_verdict_is_the_exit_status(tmp_path: Path) -> None:
    good, bad = Verdict("a", "b", "c", True), Verdict("a", "b", "c", False)
    assert kit.conclude(iter([good]), tmp_path) == 0
    assert kit.conclude(iter([good, bad]), tmp_path) == 1


def test_attacks_run_in_the_order_in_which_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def attack(name: str) -> kit.Attack:
        return lambda *_: iter([Verdict(name, "", "", True)])

    monkeypatch.setattr(kit, "ATTACKS", {name: attack(name) for name in ("one", "two")})
    run = kit.perform(["two", "one"], Effort(1, 1), quietly)
    assert [verdict.subject for verdict in run] == ["two", "one"]
