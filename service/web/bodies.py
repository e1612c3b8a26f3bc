"""What a client sends in a body, checked and typed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, MultipartDecoder, Preamble

from service.errors import FieldError, InvalidInput, NotJson, UnreadableForm, WrongMediaType
from service.web.answers import JSON

MAX_BODY, LARGEST_BODY = 16 * 1024, 64 * 1024  # bytes: on most routes; for session data
MAX_NESTING = 32  # levels of objects and arrays; Python itself fails at a few hundred
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MERGE_PATCH = "application/merge-patch+json"
MAX_FIELDS = 20
LONGEST_BOUNDARY = 70  # characters (RFC 2046, section 5.1.1)


@dataclass(frozen=True)
class Credentials:
    """A username and a password, as typed, and whether to remember the session."""

    username: str
    password: str
    remember: bool


def json_object(*others: str) -> dict[str, Any]:
    """The JSON object in the body (RFC 8259, strictly: UTF-8, no NaN, no lone surrogates). Of two
    members with the same name, the last one counts.

    Args:
        others: media types that the body may have besides application/json.

    Raises:
        WrongMediaType: the body is declared as something else.
        NotJson: it is something else.
    """
    _require_type(JSON, *others)
    try:
        body = msgspec.json.decode(request.get_data())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotJson from None
    if not isinstance(body, dict):
        raise NotJson
    return body


def json_credentials() -> Credentials:
    """Username, password and, if it is there, remember, from the JSON body.

    Raises:
        InvalidInput: at least one of them is missing or has another type.
        WrongMediaType, NotJson: as `json_object` does.
    """
    body = json_object()
    errors = _not_strings(body, "username", "password")
    if not isinstance(body.get("remember", False), bool):
        errors.append(FieldError("remember", "type"))
    if errors:
        raise InvalidInput(*errors)
    return Credentials(body["username"], body["password"], body.get("remember", False))


def json_strings(*fields: str) -> dict[str, str]:
    """These fields of the JSON body, which must be strings.

    Raises:
        InvalidInput: at least one of them is missing or has another type.
        WrongMediaType, NotJson: as `json_object` does.
    """
    body = json_object()
    if errors := _not_strings(body, *fields):
        raise InvalidInput(*errors)
    return {field: body[field] for field in fields}


def optional_json_string(field: str) -> str | None:
    """This field of the JSON body, which must be a string; None if it or the body is missing.

    Raises:
        InvalidInput: it has another type.
        WrongMediaType, NotJson: as `json_object` does.
    """
    body = json_object() if request.get_data() else {}
    value = body.get(field)
    if value is None or isinstance(value, str):
        return value
    raise InvalidInput(FieldError(field, "type"))


def json_patch() -> dict[str, Any]:
    """The JSON merge patch in the body, an object whose values a session can hold.

    Raises:
        InvalidInput: it is nested too deeply, or has a whole number beyond 64 bits.
        WrongMediaType, NotJson: as `json_object` does.
    """
    body = json_object(MERGE_PATCH)
    if _is_nested_deeper(body, MAX_NESTING):
        raise InvalidInput(FieldError("body", "nesting", {"limit": MAX_NESTING}))
    try:
        msgspec.msgpack.encode(body)
    except OverflowError:
        raise InvalidInput(FieldError("body", "number")) from None
    return body


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


def _is_nested_deeper(body: dict[str, Any], levels: int) -> bool:
    level: list[Any] = [body]
    for _ in range(levels):
        values = chain.from_iterable(
            each.values() if type(each) is dict else each for each in level
        )
        level = [value for value in values if type(value) in (dict, list)]
    return bool(level)


def _not_strings(body: dict[str, Any], *fields: str) -> list[FieldError]:
    return [
        FieldError(field, "missing") if body.get(field) is None else FieldError(field, "type")
        for field in fields
        if not isinstance(body.get(field), str)
    ]


def form_fields() -> dict[str, str]:
    """The fields of the form in the body that are not empty, with or without multipart. Of two with
    the same name, the last one counts.

    Raises:
        WrongMediaType: the body is declared as something else.
        UnreadableForm: it is not UTF-8, has too many fields, or contains a file.
    """
    _require_type(FORM, MULTIPART)
    body = request.get_data()
    try:
        if request.mimetype == MULTIPART:
            return {name: value for name, value in _parts(body) if value}
        # request.form would turn bytes that are not UTF-8 into percent signs, a valid name.
        return dict(parse_qsl(body.decode(), errors="strict", max_num_fields=MAX_FIELDS))
    except (ValueError, RequestEntityTooLarge):
        raise UnreadableForm from None


def _parts(body: bytes) -> Iterator[tuple[str, str]]:
    """The fields of a multipart form (RFC 7578).

    Raises:
        ValueError, RequestEntityTooLarge: it is not what `form_fields` accepts.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise ValueError
    decoder = MultipartDecoder(boundary.encode("ascii"), max_parts=MAX_FIELDS)
    decoder.receive_data(body)
    decoder.receive_data(None)
    name = ""
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field) and event.name:
            name = event.name
        elif isinstance(event, Data) and not event.more_data:
            yield name, event.data.decode()
        elif not isinstance(event, Preamble):
            raise ValueError


def _require_type(*accepted: str) -> None:
    if request.mimetype not in accepted:
        raise WrongMediaType(" or ".join(accepted))
