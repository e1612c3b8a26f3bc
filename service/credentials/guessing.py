"""How easy a password is to guess, as zxcvbn estimates it, in a bounded time."""

from __future__ import annotations

import math
import re
import threading
from typing import Any

from zxcvbn import matching, zxcvbn

from service.errors import FieldError

SITE_NAME = "coatcheck"
SHORTEST_WORD = 3  # characters of a username, or of a part of it, that others would try
# Guesses. Each costs a hash, so this many keep a few dozen cores busy for a day. zxcvbn gives its
# score of 3 for as many; its 2, from 10^6, resists only guesses that go through the service.
GOOD_ENOUGH = 10**8

# zxcvbn's time grows with the cube of the length, and with the number of ways in which digits and
# symbols can stand for letters: seconds for 72 hostile characters.
MAX_LENGTH = 32
MAX_READINGS = 8
LETTERS = str.maketrans("@({[<!|$+%", "acccciistx")

TOO_COMMON = FieldError("password", "too_common")
TOO_EASY = FieldError("password", "too_easy")
CONTAINS_USERNAME = FieldError("password", "contains_username")
SEQUENCE = FieldError("password", "sequence")
DATE = FieldError("password", "date")
WEAKNESSES = {  # by the pattern that explains most of the password
    "repeat": FieldError("password", "repeats"),
    "sequence": SEQUENCE,
    "spatial": SEQUENCE,
    "date": DATE,
    "regex": DATE,  # a year
}

_one_at_a_time = threading.Lock()  # zxcvbn keeps the words of a call in a global


def weakness(password: str, username: str) -> FieldError | None:
    """Why the password is easy to guess; None if it is not.

    A long password is as good as its beginning.

    Args:
        password: at least one character.
        username: of its account, which guessers know.
    """
    beginning = _readable(password[:MAX_LENGTH])
    own_words = _words(username)
    with _one_at_a_time:
        estimate = zxcvbn(beginning, [*own_words, SITE_NAME])
    if estimate["guesses"] >= GOOD_ENOUGH:
        return None
    return _explanation(estimate["sequence"], own_words)


def _readable(password: str) -> str:
    """The same password with letters for symbols, if there are too many ways to read it."""
    readings = matching.relevant_l33t_subtable(password, matching.L33T_TABLE).values()
    return password.translate(LETTERS) if math.prod(map(len, readings)) > MAX_READINGS else password


def _words(username: str) -> list[str]:
    """What somebody who knows the username tries first: the name and its parts."""
    parts = re.split(r"[\W_]+", username.lower())
    words = (username.lower(), "".join(parts), *parts)
    return [word for word in dict.fromkeys(words) if len(word) >= SHORTEST_WORD]


def _explanation(matches: list[dict[str, Any]], own_words: list[str]) -> FieldError:
    if any(match.get("matched_word") in own_words for match in matches):
        return CONTAINS_USERNAME
    most = max(matches, key=lambda match: len(match["token"]))
    if len(matches) == 1 and most.get("dictionary_name") == "passwords":
        return TOO_COMMON
    return WEAKNESSES.get(most["pattern"], TOO_EASY)
