"""What may be a password."""

from __future__ import annotations

from typing import NewType

from precis_i18n import get_profile

from service.errors import FieldError, InvalidInput

METHOD = "password"  # among the methods by which a session's user has authenticated
MIN_LENGTH, MAX_LENGTH = 8, 256  # code points; NIST SP 800-63B asks for room for at least 64

PreparedPassword = NewType("PreparedPassword", str)

_opaque_string = get_profile("OpaqueString")


def prepare(raw: str) -> PreparedPassword:
    """Normalize a password, so that every keyboard and system produces the same bytes.

    RFC 8265, OpaqueString: every kind of space becomes an ASCII space, composition is normalized,
    and case and width are kept.

    Raises:
        InvalidInput: it is empty, too long, or contains a control character or a lone surrogate.
    """
    if len(raw) > MAX_LENGTH:  # first, because the profile takes seconds over a very long one
        raise InvalidInput(FieldError("password", "too_long", {"limit": MAX_LENGTH}))
    if raw and raw.isascii() and raw.isprintable():
        return PreparedPassword(raw)  # the profile leaves it unchanged
    try:
        return PreparedPassword(_opaque_string.enforce(raw))
    except UnicodeEncodeError:
        raise InvalidInput(FieldError("password", "characters")) from None


def check_new(raw: str) -> PreparedPassword:
    """The prepared form of a new password.

    Raises:
        InvalidInput: it is too short or too long, or contains a character that is not allowed.
    """
    if len(raw) < MIN_LENGTH:
        raise InvalidInput(FieldError("password", "too_short", {"limit": MIN_LENGTH}))
    return prepare(raw)
