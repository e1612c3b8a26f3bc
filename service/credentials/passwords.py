"""What a password is, before anybody asks how good it is."""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import NewType

from service.errors import FieldError, InvalidInput

METHOD = "password"  # among the methods by which a session's user has authenticated
MAX_LENGTH = 256  # code points; NIST SP 800-63B-4, section 3.1.1.2, asks for room for at least 64

PreparedPassword = NewType("PreparedPassword", str)


def prepare(raw: str) -> PreparedPassword:
    """Normalize a password, so that every keyboard, system and Python produces the same bytes.

    RFC 8265, OpaqueString: every kind of space becomes an ASCII space, composition is normalized,
    and case and width are kept. Any character is allowed that can be stored and typed again, also
    one that Unicode does not know yet.

    Raises:
        InvalidInput: it is empty, too long, or contains a control character, a lone surrogate or a
            noncharacter.
    """
    if len(raw) > MAX_LENGTH:  # before anything looks at the characters
        raise InvalidInput(FieldError("password", "too_long", {"limit": MAX_LENGTH}))
    if raw and raw.isascii() and raw.isprintable():
        return PreparedPassword(raw)  # which stays as it is
    if not raw or any(map(_is_forbidden, raw)):
        raise InvalidInput(FieldError("password", "characters"))
    runs = groupby(map(_with_ascii_space, raw), _is_known_everywhere)
    return PreparedPassword("".join(_normalized("".join(run), known) for known, run in runs))


def _is_known_everywhere(character: str) -> bool:
    """Whether the character is in Unicode 3.2, which every Python knows."""
    return unicodedata.ucd_3_2_0.category(character) != "Cn"


def _normalized(run: str, known: bool) -> str:
    """Pythons agree on how to normalize what all of them know, and leave the rest alone."""
    return unicodedata.normalize("NFC", run) if known else run


def _is_forbidden(character: str) -> bool:
    point = ord(character)
    is_noncharacter = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
    return is_noncharacter or unicodedata.category(character) in ("Cc", "Cs")


def _with_ascii_space(character: str) -> str:
    return " " if unicodedata.category(character) == "Zs" else character
