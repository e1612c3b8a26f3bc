"""Our pages, rendered in an environment of their own: that of an application stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, current_app
from flask.templating import Environment
from jinja2 import FileSystemLoader, StrictUndefined

# An installation has them inside of `service`.
PLACES = [Path(__file__).parents[level] / "templates" for level in (1, 2)]
KEY = "coatcheck.templates"


def prepare(app: Flask, password_min_length: int) -> None:
    """Let `app` render our pages."""
    environment = app.extensions[KEY] = Environment(
        app,
        loader=FileSystemLoader(PLACES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=app.debug,
    )
    environment.globals |= {"url_for": app.url_for, "password_min_length": password_min_length}


def has_pages() -> bool:
    """Whether the application can render our pages."""
    return KEY in current_app.extensions


def render(template: str, **values: Any) -> str:
    """A page of ours.

    Args:
        template: its path below `templates/`.
        values: its variables.
    """
    environment: Environment = current_app.extensions[KEY]
    return environment.get_template(template).render(values)
