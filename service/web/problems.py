"""What a response to an error says: status, code, headers and sentence.

The API, the pages, the event loop and the JSON form of POST /register all show a `Problem`.
"""

from __future__ import annotations

from typing import NamedTuple

from service import errors
from service.errors import (
    CoatcheckError,
    InvalidInput,
    LimitUsedUp,
    RegistrationUnresolved,
    RevocationPending,
    StepUpRequired,
    TooManyRequests,
    Unavailable,
)
from service.web.answers import TITLES, Answer, Headers, encode
from service.web.messages import SENTENCES, sentence

PROBLEM = "application/problem+json"

OUTCOMES: dict[type[CoatcheckError], tuple[int, str]] = {
    errors.NoHost: (400, "malformed"),
    errors.NotJson: (400, "malformed"),
    errors.UnreadableForm: (400, "malformed"),
    errors.InvalidCredentials: (401, "invalid_credentials"),
    errors.SessionRevoked: (401, "invalid_credentials"),
    errors.NotSignedIn: (401, "not_signed_in"),
    errors.NoSuchAccount: (401, "not_signed_in"),  # of a session that outlived its account
    errors.WrongPassword: (403, "wrong_password"),
    errors.StepUpRequired: (403, "step_up_required"),
    errors.CrossSite: (403, "cross_site"),
    errors.NoSuchSession: (404, "not_found"),
    errors.BodyTooSlow: (408, "refused"),
    errors.UsernameTaken: (409, "username_taken"),
    errors.BodyTooLarge: (413, "too_large"),
    errors.SessionTooLarge: (413, "too_large"),
    errors.WrongMediaType: (415, "unsupported_media_type"),
    errors.InvalidInput: (422, "invalid"),
    errors.TooManyRequests: (429, "too_many_requests"),
    errors.Unavailable: (503, "unavailable"),
}
# For errors that come from Flask.
CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


class Problem(NamedTuple):
    """What a client learns about an error."""

    status: int
    code: str
    detail: str
    headers: Headers = ()  # what the client can do next
    errors: tuple[dict[str, str], ...] = ()  # one for each field: field, code, message
    factors: tuple[str, ...] = ()  # any of which is enough to go on
    is_saved: bool = False  # what the request changes, so that nobody should repeat it

    @property
    def title(self) -> str:
        """The status in words."""
        return TITLES[self.status]

    def answer(self, *headers: tuple[str, str]) -> Answer:
        """The problem document (RFC 9457), with additional headers."""
        document = {
            "type": f"urn:coatcheck:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            document["errors"] = self.errors
        if self.factors:
            document["factors"] = self.factors
        all_headers = (("Content-Type", PROBLEM), *self.headers, *headers)
        return Answer(self.status, all_headers, encode(document))


def problem_of(error: CoatcheckError) -> Problem:
    """The problem that a client learns about from an error."""
    status, code = next(OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)
    headers: Headers = ()
    if isinstance(error, Unavailable):
        headers = (("Retry-After", str(error.retry_after)),)
    if isinstance(error, TooManyRequests):
        headers = rate_limit_headers(error)
    if isinstance(error, RegistrationUnresolved):
        headers += (("Idempotency-Key", error.idempotency_key),)
    fields: tuple[dict[str, str], ...] = ()
    if isinstance(error, InvalidInput):
        fields = tuple(
            {"field": each.field, "code": each.code, "message": sentence(each)}
            for each in error.errors
        )
    factors = error.factors if isinstance(error, StepUpRequired) else ()
    is_saved = isinstance(error, RevocationPending)
    return Problem(status, code, sentence(error), headers, fields, factors, is_saved)


def rate_limit_headers(error: TooManyRequests) -> Headers:
    """The limit that is used up, and when to come back, if that helps (RFC 9110, section 10.2.3;
    draft-ietf-httpapi-ratelimit-headers-10)."""
    policy = ("RateLimit-Policy", f'"{error.limit}";q={error.amount};w={error.window}')
    if not isinstance(error, LimitUsedUp):
        return policy, ("RateLimit", f'"{error.limit}";r=0')
    return (
        ("Retry-After", str(error.retry_after)),
        policy,
        ("RateLimit", f'"{error.limit}";r=0;t={error.retry_after}'),
    )


def http_problem(status: int, detail: str | None = None, headers: Headers = ()) -> Problem:
    """The problem if only a status is known, and perhaps a sentence (`detail`)."""
    code = CODES.get(status, "internal" if status >= 500 else "refused")
    detail = detail or SENTENCES.get(str(status)) or TITLES[status]
    return Problem(status, code, detail, headers)
