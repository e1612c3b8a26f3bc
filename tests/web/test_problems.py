"""One error gets one response, wherever it comes from."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.errors import (
    Busy,
    CoatcheckError,
    DatabaseUnavailable,
    FieldError,
    InvalidCredentials,
    InvalidInput,
    NameJustReleased,
    RegistrationUnresolved,
    RivalTooSlow,
    TooManyHashes,
    Unavailable,
    UsernameTaken,
)
from service.front import registrations
from service.front.bridge import Bridge
from service.registration.registration import Registration
from service.web.problems import OUTCOMES, problem_of
from tests.loops import on_loop
from tests.passwords import BOB
from tests.web.test_messages import error_classes

ADVICE = {"retry-after", "idempotency-key"}
UNAVAILABLE = [
    Busy(3),
    DatabaseUnavailable(),
    NameJustReleased(),
    RegistrationUnresolved("a-key"),
    RivalTooSlow(),
    TooManyHashes(),
]
INVALID = InvalidInput(FieldError("username", "reserved"))


def response_to(error: CoatcheckError, client: FlaskClient, path: str, **body: Any) -> Any:
    """What Flask responds to a registration that fails with `error`: status, advice, content."""

    def fail(*_: object, **__: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(Registration, "register", fail)
        response = client.post(path, **body)
    return response.status_code, advice(response.headers), response


def advice(headers: Any) -> dict[str, str]:
    """The headers that say what a client can do."""
    return {name.lower(): value for name, value in dict(headers).items() if name.lower() in ADVICE}


@pytest.mark.parametrize("error", list(error_classes()))
def test_every_error_has_a_status_and_a_code(error: type[CoatcheckError]) -> None:
    status, code = next(OUTCOMES[kind] for kind in error.__mro__ if kind in OUTCOMES)
    assert 400 <= status < 500 or (status == 503 and issubclass(error, Unavailable))
    assert code


def test_a_subclass_of_an_error_gets_the_same_response() -> None:
    class LockedOut(InvalidCredentials):
        pass

    assert problem_of(LockedOut()) == problem_of(InvalidCredentials())


@pytest.mark.parametrize("error", [UsernameTaken(), INVALID, *UNAVAILABLE], ids=str)
def test_pages_api_and_tutorial_answer_an_error_alike(app: Flask, error: CoatcheckError) -> None:
    client = app.test_client()
    status, headers, document = response_to(error, client, "/api/v1/accounts", json=BOB)
    assert response_to(error, client, "/register", data=BOB)[:2] == (status, headers)
    theirs, their_headers, tutorial = response_to(error, client, "/register", json=BOB)
    assert (theirs, their_headers) == (400 if error is INVALID else status, headers)
    assert tutorial.json == {"error": document.get_json(force=True)["detail"]}


@pytest.mark.parametrize("error", UNAVAILABLE, ids=str)
def test_the_front_answers_an_error_as_the_api_does(app: Flask, error: CoatcheckError) -> None:
    status, headers, document = response_to(error, app.test_client(), "/api/v1/accounts", json=BOB)
    assert status == 503
    assert headers["retry-after"] == str(error.retry_after)
    from_the_front = front_response(error)
    assert from_the_front[0]["status"] == status
    sent = {name.decode(): value.decode() for name, value in from_the_front[0]["headers"]}
    assert advice(sent) == headers
    assert sent["content-type"] == document.content_type
    assert from_the_front[1]["body"] == document.data


def test_the_front_rejects_a_taken_name_as_the_api_does(app: Flask) -> None:
    client = app.test_client()
    status, _, document = response_to(UsernameTaken(), client, "/api/v1/accounts", json=BOB)
    assert (registrations.TAKEN.status, registrations.TAKEN.body) == (status, document.data)


def front_response(error: CoatcheckError) -> list[dict[str, Any]]:
    """What the event loop sends when a request fails with `error`."""
    sent: list[dict[str, Any]] = []

    class Failing(Bridge):
        async def answer(self, *_: object) -> Any:
            raise error

    @on_loop
    async def respond() -> None:
        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"http_version": "1.0", "method": "POST", "path": "/", "headers": []}
        await Failing(None, threads=1, longest_wait=1, max_body=1)(scope, None, send)

    respond()
    return sent


def test_a_view_that_fails_logs_its_path_in_one_line_and_without_secrets(
    app: Flask, capfd: pytest.CaptureFixture[str]
) -> None:
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.before_request
    def fail() -> None:
        raise RuntimeError

    assert app.test_client().get("/fail/a%0Aforged line%23sesame").status_code == 500
    [line] = [line for line in capfd.readouterr().out.splitlines() if "request_failed" in line]
    assert "forged" in line
    assert "sesame" not in line
