from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from precis_i18n import get_profile

from service.credentials import passwords
from service.errors import InvalidInput

ASSIGNED_EVERYWHERE = st.characters(exclude_categories=("Cc", "Cs"), codec="utf-8").filter(
    lambda character: unicodedata.ucd_3_2_0.category(character) != "Cn"
)
UNKNOWN_HERE = [
    character
    for character in map(chr, range(0x1F000, 0x20000))
    if unicodedata.category(character) == "Cn" and ord(character) & 0xFFFE != 0xFFFE
]


def code_of(raw: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        passwords.prepare(raw)
    [error] = caught.value.errors
    assert error.field == "password"
    assert raw not in str(caught.value) or not raw
    return error.code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("x" * 257, "too_long"),
        ("", "characters"),
        ("nul\0nul\0nul", "characters"),
        ("tab\tbed in", "characters"),
        ("next\x85line", "characters"),
        ("\ud800" * 8, "characters"),
        ("\ufffe not a character", "characters"),
        ("\ufdd0 not a character", "characters"),
        ("\U0010ffff not a character", "characters"),
    ],
)
def test_what_cannot_be_a_password_is_rejected_with_a_reason(raw: str, code: str) -> None:
    assert code_of(raw) == code


@pytest.mark.parametrize("raw", ["x" * 256, "\U0001f43b" * 256, "x"])
def test_256_code_points_are_room_for_any_password(raw: str) -> None:
    assert passwords.prepare(raw) == raw


def test_composed_and_combining_characters_are_the_same_password() -> None:
    assert passwords.prepare("caf\u00e9 caf\u00e9") == passwords.prepare("cafe\u0301 cafe\u0301")


def test_every_kind_of_space_is_the_same_and_their_number_counts() -> None:
    assert passwords.prepare("Correct\u3000\u00a0Horse") == "Correct  Horse"


def test_case_and_width_count() -> None:
    assert len({passwords.prepare(raw) for raw in ("Horse", "horse", "\uff28orse")}) == 3


@pytest.mark.parametrize("newer", [UNKNOWN_HERE[0] * 10, "".join(UNKNOWN_HERE[-10:])])
def test_characters_that_this_python_does_not_know_are_kept_as_they_are(newer: str) -> None:
    """Another Python does not change them either: see the next test."""
    assert passwords.prepare(newer) == newer
    assert passwords.prepare(f"caf\u00e9 {newer}") == passwords.prepare(f"cafe\u0301 {newer}")


@pytest.mark.parametrize(
    "newer",
    [
        "\u1ae5\u1acf",  # combining marks of Unicode 17 and 14, not in canonical order
        "\U0001e4ee\U0001e4ec",  # of Unicode 15
        "\U00011382\U000113c9",  # letter and vowel of Unicode 16, which have a composed form
    ],
    ids=ascii,
)
def test_no_python_reorders_or_composes_what_others_do_not_know(newer: str) -> None:
    assert passwords.prepare(newer) == newer


@pytest.mark.parametrize("emoji", ["\U0001faef", "\u2764\ufe0f", "\U0001f469\u200d\U0001f680"])
def test_emoji_are_characters_too(emoji: str) -> None:
    assert passwords.prepare(emoji * 5) == emoji * 5


@given(st.text(ASSIGNED_EVERYWHERE, min_size=1, max_size=40))
@example("\u1100\u1161\u11a8")
def test_what_the_profile_accepts_gets_the_form_that_it_gives(raw: str) -> None:
    """RFC 8265, OpaqueString."""
    try:
        wanted = get_profile("OpaqueString").enforce(raw)
    except UnicodeEncodeError:
        return
    assert passwords.prepare(raw) == wanted


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40))
def test_preparing_twice_changes_nothing(raw: str) -> None:
    try:
        once = passwords.prepare(raw)
    except InvalidInput:
        return
    assert passwords.prepare(once) == once


@pytest.mark.parametrize(
    "raw",
    ["\u0661" * 8_150, "\u0301" * 256, "\u0301\u0316" * 128, "\uac00" * 256, "\ufdfa" * 256],
    ids=["Arabic digits", "accents", "accents out of order", "Hangul", "ligatures"],
)
def test_no_password_takes_a_millisecond_to_prepare(raw: str) -> None:
    def once() -> float:
        started = time.thread_time()
        try:
            passwords.prepare(raw)
        except InvalidInput:
            assert len(raw) > passwords.MAX_LENGTH
        return time.thread_time() - started

    assert min(once() for _ in range(5)) < 0.001, sys.version
