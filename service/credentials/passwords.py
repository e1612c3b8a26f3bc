"""What a password is, before anybody asks how good it is."""

from __future__ import annotations

import unicodedata
from typing import NewType

from service.errors import FieldError, InvalidInput

METHOD = "password"  # among the methods by which a session's user has authenticated
MAX_LENGTH = 256  # code points; NIST SP 800-63B-4, section 3.1.1.2, asks for room for at least 64

PreparedPassword = NewType("PreparedPassword", str)

# Python versions disagree about characters that are new in Unicode. All of them have version 3.2
# for good, and it leaves newer characters alone, so every Python produces the same bytes.
_normalize = unicodedata.ucd_3_2_0.normalize


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
    return PreparedPassword(_normalize("NFC", "".join(map(_with_ascii_space, raw))))


def _is_forbidden(character: str) -> bool:
    point = ord(character)
    is_noncharacter = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
    return is_noncharacter or unicodedata.category(character) in ("Cc", "Cs")


def _with_ascii_space(character: str) -> str:
    return " " if unicodedata.category(character) == "Zs" else character
