"""`POST /register` with JSON, answered as the clients of the original tutorial expect."""

from __future__ import annotations

from flask import jsonify
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from service.errors import InvalidInput, Unavailable, UsernameTaken
from service.web.bodies import json_credentials
from service.web.problems import advice
from service.web.services import services


def register() -> Response:
    """201 {message, username}; 409, 400 or 503 {error}. Nobody is signed in."""
    try:
        credentials = json_credentials()
        account = services().registration.register(credentials.username, credentials.password)
    except BadRequest as error:
        return _answer(400, {"error": error.description or ""})
    except InvalidInput as error:
        return _answer(400, {"error": str(error)})
    except UsernameTaken as error:
        return _answer(409, {"error": str(error)})
    except Unavailable as error:
        response = _answer(503, {"error": str(error)})
        response.headers.extend(advice(error))
        return response
    return _answer(201, {"message": "User registered.", "username": account.username})


def _answer(status: int, body: dict[str, str]) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response
