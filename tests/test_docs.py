"""The documents: what they link to exists, and every guarantee and requirement is described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from limits import parse

from service.errors import GuessesUsedUp, LimitUsedUp
from service.throttling.table import BY_NETWORK, LOCKS, TABLE
from service.web.messages import sentence

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "kits/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
LIMIT = re.compile(r"^\| `([a-z-]+)` \| (\d+ per [\w ]+) \| (.+) \| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
REQUIREMENT = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+) \| (.+) \| (.*) \|$", re.MULTILINE)

# Of OWASP ASVS 5.0.0: how many requirements of level 1 or 2 each section of V6 and V7 begins with.
# The others, which follow, are of level 3.
ASVS = {
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
}  # fmt: skip
NOT_MET_YET = {"6.3.3", "6.4.3"}


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings."""
    headings = HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_limit_has_a_row_that_agrees_with_the_table() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = {name: (parse(amount), by, sees) for name, amount, by, sees in LIMIT.findall(text)}
    assert {name: amount for name, (amount, _, _) in rows.items()} == dict(TABLE)
    for name, (_, by, sees) in rows.items():
        assert (by == "network") == (name in BY_NETWORK), name
        assert sees == ("blocked" if name in LOCKS else "wait"), name


def test_the_sentences_about_limits_are_those_that_visitors_see() -> None:
    text = " ".join((ROOT / "docs/operations.md").read_text(encoding="utf-8").split())
    for error in (LimitUsedUp("login", 30, 60, 24), GuessesUsedUp("login-failures", 100, 1)):
        assert f"“{sentence(error)}”" in text


def test_every_guarantee_has_one_row_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (G\d+) \|", text, re.MULTILINE) == [f"G{n}" for n in range(1, 17)]


def requirements() -> dict[str, tuple[str, str]]:
    """What meets each requirement of the ASVS that is listed, and the tests that show it."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    return {found[1]: (found[4], found[5]) for found in REQUIREMENT.finditer(text)}


def test_every_requirement_for_authentication_and_sessions_is_listed() -> None:
    listed = [number for number in requirements() if number[:2] in ("6.", "7.")]
    assert listed == [f"{part}.{n}" for part, last in ASVS.items() for n in range(1, last + 1)]


def test_a_requirement_that_is_met_names_the_test_that_shows_it() -> None:
    for number, (met_by, shown_by) in requirements().items():
        tests = [
            link for link in LINK.findall(shown_by) if link.startswith(("../tests/", "../kits/"))
        ]
        if number in NOT_MET_YET:
            assert met_by.startswith("**not met:**"), number
        elif "does not apply" not in met_by and "yours" not in met_by:
            assert "not met" not in met_by, number
            assert tests or "make rehearse" in shown_by, number
