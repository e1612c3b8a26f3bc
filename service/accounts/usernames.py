"""Usernames: one canonical form for the index, the cache and every lookup."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from precis_i18n import get_profile

from service.errors import FieldError, InvalidInput

MIN_LENGTH, MAX_LENGTH = 2, 32  # code points
# PRECIS rules grow with the length of what they are given; no name of 32 needs more than this.
MAX_RAW_LENGTH = 4 * MAX_LENGTH

_canonical = get_profile("UsernameCaseMapped")
_spelling = get_profile("UsernameCasePreserved")
RESERVED = frozenset(
    (Path(__file__).parent / "reserved_usernames.txt").read_text(encoding="utf-8").split()
)


@dataclass(frozen=True)
class Username:
    """A valid username. Only `parse` makes one, so that no raw string reaches cache or SQL."""

    canonical: str
    spelling: str

    @property
    def is_reserved(self) -> bool:
        """Whether nobody may register it."""
        return self.canonical in RESERVED


def parse(raw: str) -> Username:
    """Apply RFC 8265, UsernameCaseMapped: case, width and composition no longer tell names apart.

    Args:
        raw: what somebody typed.

    Returns:
        The name: `canonical` for comparing, `spelling` (UsernameCasePreserved) for showing.

    Raises:
        InvalidInput: not a username of 2 to 32 code points with a letter or digit in it.
    """
    if len(raw) > MAX_RAW_LENGTH:
        raise _invalid("too_long", f"A username has at most {MAX_LENGTH} characters.")
    try:
        canonical, spelling = _canonical.enforce(raw), _spelling.enforce(raw)
    except UnicodeEncodeError:
        raise _invalid(
            "characters", "A username is made of letters, digits and common signs, without spaces."
        ) from None
    if len(canonical) < MIN_LENGTH:
        raise _invalid("too_short", f"A username has at least {MIN_LENGTH} characters.")
    if len(canonical) > MAX_LENGTH:
        raise _invalid("too_long", f"A username has at most {MAX_LENGTH} characters.")
    if not any(unicodedata.category(character)[0] in "LN" for character in canonical):
        raise _invalid("characters", "A username has at least one letter or digit.")
    return Username(canonical, spelling)


def _invalid(code: str, message: str) -> InvalidInput:
    return InvalidInput(FieldError("username", code, message))
