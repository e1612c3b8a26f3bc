"""What people read about an error: one catalogue of sentences, and the one function that composes
them."""

from __future__ import annotations

from service.errors import CoatcheckError, FieldError, InvalidInput

# By the code of an error; by field and code, or by "*" and code if the field makes no difference;
# by the status of a response that says no more.
SENTENCES = {
    "migration_failed": "The database could not be migrated: {reason}",
    "session_store_unavailable": "Sessions are unavailable at the moment.",
    "eviction_unknown": "Redis does not say whether it deletes sessions when it is full.",
    "username_cache_unavailable": "The username cache is unavailable at the moment.",
    "database_unavailable": "Accounts are unavailable at the moment.",
    "registration_unresolved": (
        "It is not yet clear whether you are registered. Try again with the same input."
    ),
    "rival_too_slow": "Someone else is registering that name right now.",
    "too_many_hashes": "Too many people are signing in or registering right now.",
    "busy": "The service is too busy right now.",
    "no_host": "The request has no Host header.",
    "body_too_large": "The body is larger than {limit} bytes.",
    "body_too_slow": "The body did not arrive in time.",
    "wrong_media_type": "The body must be {expected}.",
    "not_json": "The body is not valid JSON.",
    "not_an_object": "The body must be a JSON object.",
    "unreadable_form": "The form is not readable.",
    "username_taken": "That username is taken.",
    "no_such_account": "There is no account with that name.",
    "invalid_credentials": "The username or password is wrong.",
    "wrong_password": "That is not your current password.",
    "no_such_session": "You have no such session.",
    "session_too_large": "A session holds at most {limit} bytes of data.",
    "session_revoked": "Your account changed while you were signing in. Sign in again.",
    "not_signed_in": "You are not signed in.",
    "cross_site": "This request was rejected because it comes from another site.",
    "username/too_short": "A username has at least {limit} characters.",
    "username/too_long": "A username has at most {limit} characters.",
    "username/characters": (
        "A username consists of letters, digits and common symbols, without spaces, and has at "
        "least one letter or digit."
    ),
    "username/mixed_scripts": "A username must not mix alphabets that look alike.",
    "username/reserved": "That username is reserved.",
    "password/too_short": "A password has at least {limit} characters.",
    "password/too_long": "A password has at most {limit} characters.",
    "password/characters": "That password contains characters that cannot be typed.",
    "Idempotency-Key/malformed": "An Idempotency-Key is 1 to {limit} visible ASCII characters.",
    "remember/type": "remember must be true or false.",
    "scope/invalid": "scope must be others or all.",
    "*/missing": "{field} is missing.",
    "*/type": "{field} must be a string.",
    "400": "The service does not understand this request.",
    "404": "There is nothing at this address.",
    "405": "This address does not allow that method.",
    "408": "The request did not arrive in time.",
    "413": "The request is too large.",
    "414": "The request line is too long.",
    "415": "The service does not accept that kind of body.",
    "431": "The headers of the request are too large.",
    "500": "Something went wrong.",
    "501": "That transfer coding is not supported.",
}


def sentence(error: CoatcheckError | FieldError) -> str:
    """The error in a sentence; in one for each field if the input is invalid."""
    if isinstance(error, InvalidInput):
        return " ".join(map(sentence, error.errors))
    if isinstance(error, CoatcheckError):
        return SENTENCES[error.code].format(**error.parameters)
    own = SENTENCES.get(f"{error.field}/{error.code}")
    return (own or SENTENCES[f"*/{error.code}"]).format(field=error.field, **error.parameters)
