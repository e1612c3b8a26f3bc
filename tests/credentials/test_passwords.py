from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from precis_i18n import get_profile

from service.credentials import passwords
from service.errors import InvalidInput


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("seven77", "too_short"),
        ("x" * 257, "too_long"),
        ("nul\0nul\0nul", "characters"),
        ("\ud800" * 8, "characters"),
    ],
)
def test_an_unacceptable_password_is_rejected_with_a_reason(raw: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        passwords.check_new(raw)
    assert [(error.field, error.code) for error in caught.value.errors] == [("password", code)]
    assert raw not in str(caught.value)


def test_composed_and_combining_characters_are_the_same_password() -> None:
    assert passwords.prepare("caf\u00e9 caf\u00e9") == passwords.prepare("cafe\u0301 cafe\u0301")


def test_case_and_inner_spaces_count() -> None:
    assert passwords.check_new("Correct  Horse") == "Correct  Horse"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_the_shortcut_for_printable_ascii_agrees_with_the_profile(raw: str) -> None:
    assert passwords.prepare(raw) == get_profile("OpaqueString").enforce(raw)
