"""Clients that ask for pages, as browsers do."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

AS_BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def browser(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_ACCEPT"] = AS_BROWSER["Accept"]
    return client
