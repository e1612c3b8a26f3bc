from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from precis_i18n import get_profile

from service.accounts import usernames
from service.accounts.usernames import Username
from service.errors import InvalidInput


def rejected(raw: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        usernames.parse(raw)
    (error,) = caught.value.errors
    assert error.field == "username"
    return error.code


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bob", "bob"),
        ("BOB", "bOb"),
        ("Bob", "Bob"),  # full-width
        ("é" + "a", "e\u0301a"),  # composed and combining
        ("Ёлка", "ёлка"),
    ],
)
def test_spellings_of_one_name_are_one_name(one: str, other: str) -> None:
    assert usernames.parse(one).canonical == usernames.parse(other).canonical


@given(st.text(alphabet=[chr(code) for code in range(128)], min_size=1, max_size=30))
def test_the_short_way_for_ascii_leads_where_the_profiles_lead(raw: str) -> None:
    raw = f"x{raw}y"  # long enough, and with letters, so that only the profiles can refuse it
    try:
        canonical = get_profile("UsernameCaseMapped").enforce(raw)
    except UnicodeEncodeError:
        assert rejected(raw)
    else:
        spelling = get_profile("UsernameCasePreserved").enforce(raw)
        assert usernames.parse(raw) == Username(canonical, spelling)


def test_different_names_stay_different() -> None:
    names = ["bob", "bob1", "b.ob", "b-ob", "b_ob", "böb", "李雷", "محمد"]
    assert len({usernames.parse(name).canonical for name in names}) == len(names)


def test_the_spelling_is_kept_for_show() -> None:
    assert usernames.parse("BoB").spelling == "BoB"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "characters"),
        ("x", "too_short"),
        ("x" * 33, "too_long"),
        ("x" * 10_000_000, "too_long"),
        ("two words", "characters"),
        ("nul\0", "characters"),
        ("new\nline", "characters"),
        ("\ud800x", "characters"),
        ("zero\u200bwidth", "characters"),
        ("--", "characters"),
        ("a\u202eb", "characters"),
        ("p\u0430ypal", "mixed_scripts"),  # Cyrillic a
        ("\u0412ob", "mixed_scripts"),  # Cyrillic Ve
        ("\u03bfmega", "mixed_scripts"),  # Greek omicron
        ("محمدbob", "characters"),  # breaks the Bidi Rule of RFC 5893
    ],
)
def test_a_name_that_is_no_username_is_rejected_with_a_reason(raw: str, code: str) -> None:
    assert rejected(raw) == code


def test_two_and_thirty_two_characters_are_enough_and_not_too_many() -> None:
    assert usernames.parse("ab")
    assert usernames.parse("x" * 32)


@pytest.mark.parametrize(
    "raw",
    ["李雷", "محمد", "Ёлка", "ταβ", "カナ漢字kanji", "한글han", "हिन्दी", "m\u0131ke", "a1._-"],
)
def test_a_name_in_the_script_of_its_language_is_a_username(raw: str) -> None:
    assert usernames.parse(raw).spelling == raw


def test_the_dotless_i_is_a_letter_of_its_own() -> None:
    """Case rules that fold it into i hand one person another's account (CVE-2019-19844)."""
    assert usernames.parse("m\u0131ke").canonical != usernames.parse("mike").canonical
    assert usernames.parse("MIKE").canonical == usernames.parse("mike").canonical


@pytest.mark.parametrize("raw", ["admin", "Admin", "ROOT", "support"])
def test_reserved_names_are_reserved_in_every_spelling(raw: str) -> None:
    assert usernames.parse(raw).is_reserved


def test_every_reserved_name_is_canonical() -> None:
    for name in usernames.RESERVED:
        assert usernames.parse(name).canonical == name


@given(st.text(min_size=1, max_size=40))
def test_a_canonical_name_is_its_own_canonical_form(raw: str) -> None:
    try:
        canonical = usernames.parse(raw).canonical
    except InvalidInput:
        return
    assert usernames.parse(canonical).canonical == canonical
