from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sessions.ids import SessionId, new_locator


def test_an_id_is_twelve_characters_of_locator_and_forty_three_of_secret() -> None:
    locator = new_locator()
    session_id = SessionId.new(locator)
    assert len(locator) == 12
    assert len(session_id.value) == 55
    assert session_id.locator == locator
    assert SessionId.parse(session_id.value) == session_id


def test_no_two_ids_of_one_account_are_the_same() -> None:
    locator = new_locator()
    assert len({SessionId.new(locator).value for _ in range(1000)}) == 1000


def test_the_digest_is_the_sha256_of_the_whole_id() -> None:
    session_id = SessionId.new(new_locator())
    assert session_id.digest == hashlib.sha256(session_id.value.encode()).hexdigest()


def test_showing_an_id_does_not_show_it() -> None:
    session_id = SessionId.new(new_locator())
    assert session_id.value[12:] not in repr(session_id)


@pytest.mark.parametrize(
    "text", ["", "x" * 54, "x" * 56, "x" * 54 + "=", "x" * 54 + "\n", "x" * 54 + "é", "*" * 55]
)
def test_another_shape_is_no_id(text: str) -> None:
    assert SessionId.parse(text) is None


@given(st.text())
def test_parsing_never_fails(text: str) -> None:
    parsed = SessionId.parse(text)
    assert parsed is None or parsed.value == text


@pytest.mark.parametrize(
    "header",
    [
        "session={}",
        "other=1; session={}",
        "session={}; other=1",
        "a=b;session={};c",
        "\tsession \t=\t{} ",
        "session={}; session=another",
        "xsession=1; session={}",
    ],
)
def test_an_id_is_found_among_other_cookies(header: str) -> None:
    session_id = SessionId.new(new_locator())
    assert SessionId.from_cookies(header.format(session_id.value), "session") == session_id


@pytest.mark.parametrize(
    "header",
    [
        "",
        "session",
        "session=",
        "xsession={}",
        "session2={}",
        "other=session={}",
        "\xa0session={}",  # a browser sends it for a cookie of another name
        "\x85session={}",
        "session=another; session={}",  # the first one counts
        ";" * 16_384 + "session={}",
    ],
)
def test_no_other_cookie_is_taken_for_an_id(header: str) -> None:
    value = SessionId.new(new_locator()).value
    assert SessionId.from_cookies(header.format(value), "session") is None


def test_a_name_is_not_read_as_a_pattern() -> None:
    value = SessionId.new(new_locator()).value
    assert SessionId.from_cookies(f"sXssion={value}", "s.ssion") is None
