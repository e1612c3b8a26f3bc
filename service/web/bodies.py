"""What a client sent, brought into shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from service.errors import FieldError, InvalidInput

JSON = "application/json"
MAX_BODY, LARGEST_BODY = 16 * 1024, 64 * 1024  # bytes: of most routes; of session data
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Credentials:
    """A username and a password, as typed."""

    username: str
    password: str
    remember: bool


def json_object() -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        UnsupportedMediaType: the body is declared as something else.
        BadRequest: it is no JSON, or no object.
    """
    if request.mimetype != JSON:
        raise UnsupportedMediaType(f"The body must be {JSON}.")
    return parsed_object(request.get_data())


def parsed_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that `raw` spells.

    Raises:
        BadRequest: it is no JSON, or no object.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


def json_credentials() -> Credentials:
    """Those in the JSON body; raises what `json_object` and `credentials_in` raise."""
    return credentials_in(json_object())


def credentials_in(body: dict[str, Any]) -> Credentials:
    """Username, password and, if given, remember.

    Raises:
        InvalidInput: one is missing or has another type; names each.
    """
    errors = _not_strings(body, "username", "password")
    if not isinstance(body.get("remember", False), bool):
        errors.append(FieldError("remember", "type", "remember must be true or false."))
    if errors:
        raise InvalidInput(*errors)
    return Credentials(body["username"], body["password"], body.get("remember", False))


def json_strings(*fields: str) -> dict[str, str]:
    """The string members of the JSON body that have these names.

    Raises:
        InvalidInput: one is missing or has another type; names each.
    """
    body = json_object()
    if errors := _not_strings(body, *fields):
        raise InvalidInput(*errors)
    return {field: body[field] for field in fields}


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` after the JSON merge patch `patch` (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, change in patch.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), change)
    return merged


def _not_strings(body: dict[str, Any], *fields: str) -> list[FieldError]:
    return [
        FieldError(field, "missing", f"{field} is missing.")
        if body.get(field) is None
        else FieldError(field, "type", f"{field} must be a string.")
        for field in fields
        if not isinstance(body.get(field), str)
    ]


def form_credentials() -> Credentials:
    """The same from a form; what is missing is empty.

    Raises:
        UnsupportedMediaType: the body is declared as something else.
        BadRequest: it is not UTF-8.
    """
    if request.mimetype != FORM:
        raise UnsupportedMediaType(f"The body must be {FORM}.")
    try:
        # Not request.form: it keeps bytes that are no UTF-8 as percent signs, a valid name.
        form = dict(parse_qsl(request.get_data().decode(), errors="strict", max_num_fields=20))
    except ValueError:
        raise BadRequest("The form cannot be read.") from None
    return Credentials(form.get("username", ""), form.get("password", ""), "remember" in form)
