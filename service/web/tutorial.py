"""`POST /register` with JSON, answered as the clients of the original tutorial expect."""

from __future__ import annotations

from flask import Response

from service.errors import CoatcheckError, InvalidInput
from service.web.answers import json_answer
from service.web.bodies import json_credentials
from service.web.problems import problem_of
from service.web.services import services


def register() -> Response:
    """201 {message, username}; 409, 400 or 503 {error}. Nobody is signed in."""
    try:
        credentials = json_credentials()
        account = services().registration.register(credentials.username, credentials.password)
    except CoatcheckError as error:
        problem = problem_of(error)
        status = 400 if isinstance(error, InvalidInput) else problem.status
        return json_answer(status, {"error": problem.detail}, *problem.headers).response()
    registered = {"message": "User registered.", "username": account.username}
    return json_answer(201, registered).response()
