"""What may be a password."""

from __future__ import annotations

from precis_i18n import get_profile

from service.errors import FieldError, InvalidInput

MIN_LENGTH, MAX_LENGTH = 8, 256  # code points; NIST SP 800-63B asks for room for at least 64

_opaque_string = get_profile("OpaqueString")


def prepare(raw: str) -> str:
    """Bring a password to one form, so that another keyboard or system types the same bytes.

    RFC 8265, OpaqueString: other spaces become spaces, composition is normalised, case and width
    are kept.

    Raises:
        InvalidInput: it is too long, holds a control character or a lone surrogate, or is empty.
    """
    if len(raw) > MAX_LENGTH:  # first: the profile takes seconds over what is very long
        raise _invalid("too_long", f"A password has at most {MAX_LENGTH} characters.")
    if raw and raw.isascii() and raw.isprintable():
        return raw  # which the profile leaves as it is
    try:
        return _opaque_string.enforce(raw)
    except UnicodeEncodeError:
        raise _invalid(
            "characters", "That password holds characters that cannot be typed."
        ) from None


def check_new(raw: str) -> str:
    """The prepared form of a password that somebody wants to have from now on.

    Raises:
        InvalidInput: it is too short, too long or holds what no password may hold.
    """
    if len(raw) < MIN_LENGTH:
        raise _invalid("too_short", f"A password has at least {MIN_LENGTH} characters.")
    return prepare(raw)


def _invalid(code: str, message: str) -> InvalidInput:
    return InvalidInput(FieldError("password", code, message))
