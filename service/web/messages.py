"""What people read about an error: the catalogue of sentences, and how they are composed."""

from __future__ import annotations

import math

from service.errors import CoatcheckError, FieldError, InvalidInput, LimitUsedUp

# The keys are an error's code; a field and a code, or "*" and a code for any field; or the status
# of a response about which nothing more is known.
SENTENCES = {
    "session_store_unavailable": "Sessions are unavailable at the moment.",
    "revocation_pending": (
        "The change is saved, so there is no need to repeat it. The sessions that it ends will end"
        " as soon as the session store answers."
    ),
    "eviction_unknown": "Redis does not say whether it deletes sessions when it is full.",
    "username_cache_unavailable": "The username cache is unavailable at the moment.",
    "database_unavailable": "Accounts are unavailable at the moment.",
    "registration_unresolved": (
        "We do not know yet whether you are registered. Try again with the same name and password."
    ),
    "rival_too_slow": "Someone else is registering that username right now.",
    "name_just_released": "That username has just become free. Try again.",
    "too_many_hashes": "Too many people are signing in or registering right now.",
    "busy": "The service is too busy right now.",
    "limit_used_up": "Too many attempts. Try again in {wait}.",
    "guesses_used_up": (
        "Too many wrong passwords in a row. Sign in on a device on which you have signed in "
        "before, or ask the operator of this site to unlock your account."
    ),
    "no_host": "The request has no Host header.",
    "body_too_large": "The body is larger than {limit} bytes.",
    "body_too_slow": "The body did not arrive in time.",
    "wrong_media_type": "The body must be {expected}.",
    "not_json": "The body must be a JSON object.",
    "unreadable_form": "The form cannot be read.",
    "username_taken": "That username is taken.",
    "no_such_account": "No account has that username.",
    "invalid_credentials": "The username or password is wrong.",
    "wrong_password": "That is not your current password.",
    "no_such_session": "That session does not exist.",
    "session_too_large": "A session can hold at most {keys} keys and {limit} bytes of data.",
    "session_revoked": "Your account has just changed. Sign in again.",
    "not_signed_in": "You are not signed in.",
    "step_up_required": "Confirm that it is you: enter your password again.",
    "cross_site": "This request comes from another site, so it was rejected.",
    "username/too_short": "A username needs at least {limit} characters.",
    "username/too_long": "A username can have at most {limit} characters.",
    "username/characters": (
        "A username can contain letters, digits and common symbols, but no spaces. It needs at "
        "least one letter or digit."
    ),
    "username/mixed_scripts": "A username cannot mix alphabets that look alike.",
    "username/reserved": "That username is reserved.",
    "password/too_short": "A password needs at least {limit} characters.",
    "password/too_long": "A password can have at most {limit} characters.",
    "password/characters": "That password contains characters that a password cannot have.",
    "password/too_common": (
        "Many people have used that password, so it is among the first that attackers try."
    ),
    "password/too_easy": "That password is easy to guess. Add a word or two that nobody expects.",
    "password/contains_username": (
        "That password is easy to guess, because it contains your username."
    ),
    "password/repeats": "That password is easy to guess, because it repeats itself.",
    "password/sequence": (
        "That password is easy to guess, because it follows the alphabet or the keyboard."
    ),
    "password/date": "That password is easy to guess, because it is mostly a date.",
    "Idempotency-Key/malformed": "An Idempotency-Key has 1 to {limit} visible ASCII characters.",
    "remember/type": "remember must be true or false.",
    "before/invalid": "before must be the id of an entry.",
    "scope/invalid": "scope must be others or all.",
    "body/nesting": "Values can be nested {limit} levels deep at most.",
    "body/number": "A whole number must fit into 64 bits.",
    "*/missing": "{field} is missing.",
    "*/type": "{field} must be a string.",
    "400": "The service cannot understand this request.",
    "404": "There is nothing at this address.",
    "405": "This address does not support that method.",
    "408": "The request did not arrive in time.",
    "413": "The request is too large.",
    "414": "The request line is too long.",
    "415": "This address does not accept that type of body.",
    "431": "The headers of the request are too large.",
    "500": "Something went wrong.",
    "501": "That transfer coding is not supported.",
}
SAME_RULES = {"new_password": "password"}  # fields with the sentences of another
UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def sentence(error: CoatcheckError | FieldError) -> str:
    """The sentence for an error. Invalid input has one for each error in a field."""
    if isinstance(error, InvalidInput):
        return " ".join(map(sentence, error.errors))
    if isinstance(error, CoatcheckError):
        codes = (getattr(kind, "code", None) for kind in type(error).__mro__)
        text = next(SENTENCES[code] for code in codes if code in SENTENCES)
        if isinstance(error, LimitUsedUp):
            return text.format(wait=_duration(error.retry_after))
        return text.format(**error.parameters)
    field = SAME_RULES.get(error.field, error.field)
    own = SENTENCES.get(f"{field}/{error.code}")
    return (own or SENTENCES[f"*/{error.code}"]).format(field=error.field, **error.parameters)


def _duration(seconds: int) -> str:
    """How long, at least a second, in the largest unit that fits, rounded up: "4 minutes"."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size)
    count = math.ceil(seconds / size)
    return f"{count} {unit}{'' if count == 1 else 's'}"
