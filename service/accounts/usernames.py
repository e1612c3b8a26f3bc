"""Usernames: one canonical form for the index, the cache and every lookup."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from confusable_homoglyphs import categories
from precis_i18n import get_profile

from service.errors import FieldError, InvalidInput

MIN_LENGTH, MAX_LENGTH = 2, 32  # code points
# PRECIS is slow for long input, and no name of MAX_LENGTH code points needs more than this.
MAX_RAW_LENGTH = 4 * MAX_LENGTH

# Scripts that languages combine. Any other mixture could imitate a name.
MIXTURES = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)

_canonical = get_profile("UsernameCaseMapped")
_spelling = get_profile("UsernameCasePreserved")
RESERVED = frozenset(
    (Path(__file__).parent / "reserved_usernames.txt").read_text(encoding="utf-8").split()
)


@dataclass(frozen=True)
class Username:
    """A valid username. Only `parse` creates one, so no raw string reaches the cache or SQL."""

    canonical: str
    spelling: str

    @property
    def is_reserved(self) -> bool:
        """Whether the name is closed to registration."""
        return self.canonical in RESERVED


@lru_cache(maxsize=4096)  # a name under attack comes again and again
def parse(raw: str) -> Username:
    """Apply RFC 8265, UsernameCaseMapped, which ignores case, width and composition.

    Args:
        raw: as typed.

    Returns:
        The name: `canonical` for comparison, `spelling` (UsernameCasePreserved) for display.

    Raises:
        InvalidInput: the name is too short or too long, contains a character that is not allowed,
            has no letter or digit, or mixes scripts as no language does.
    """
    if len(raw) > MAX_RAW_LENGTH:
        raise InvalidInput(FieldError("username", "too_long", {"limit": MAX_LENGTH}))
    canonical, spelling = _forms(raw)
    if len(canonical) < MIN_LENGTH:
        raise InvalidInput(FieldError("username", "too_short", {"limit": MIN_LENGTH}))
    if len(canonical) > MAX_LENGTH:
        raise InvalidInput(FieldError("username", "too_long", {"limit": MAX_LENGTH}))
    if _mixes_scripts(canonical):
        raise InvalidInput(FieldError("username", "mixed_scripts"))
    if not any(unicodedata.category(character)[0] in "LN" for character in canonical):
        raise InvalidInput(FieldError("username", "characters"))
    return Username(canonical, spelling)


def _forms(raw: str) -> tuple[str, str]:
    if raw and raw.isascii() and raw.isprintable() and " " not in raw:
        return raw.lower(), raw  # what the profiles would return, but much sooner
    try:
        return _canonical.enforce(raw), _spelling.enforce(raw)
    except UnicodeEncodeError:
        raise InvalidInput(FieldError("username", "characters")) from None


def _mixes_scripts(name: str) -> bool:
    """Whether the name violates the level "Highly Restrictive" of UTS #39, section 5.2."""
    if name.isascii():
        return False
    scripts = categories.unique_aliases(name) - {"COMMON", "INHERITED"}
    return len(scripts) > 1 and not any(scripts <= mixture for mixture in MIXTURES)
