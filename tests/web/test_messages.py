"""The catalogue has a sentence for whatever the service can raise, and no other."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import service
from service.errors import CoatcheckError, FieldError, InvalidInput, RegistrationUnresolved
from service.web.messages import SENTENCES, sentence

SOURCES = Path(service.__file__).parent.rglob("*.py")


def error_classes(base: type[CoatcheckError] = CoatcheckError) -> Iterator[type[CoatcheckError]]:
    """Every class that is raised: those without subclasses."""
    for error in base.__subclasses__():
        yield from error_classes(error) if error.__subclasses__() else (error,)


def example(error: type[CoatcheckError]) -> CoatcheckError:
    """An error of this class, with whatever it requires."""
    required = [
        parameter
        for parameter in inspect.signature(error).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return error(*(7 for _ in required))


def field_errors() -> Iterator[FieldError]:
    """Every field error that the sources construct; "*" is any field."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("FieldError"):
                field, code, *parameters = node.args
                names = [ast.literal_eval(key) for each in parameters for key in each.keys]
                yield FieldError(
                    field.value if isinstance(field, ast.Constant) else "*",
                    ast.literal_eval(code),
                    dict.fromkeys(names, 7),
                )


ERRORS = [error for error in error_classes() if error is not InvalidInput]
FIELD_ERRORS = list(field_errors())


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_a_sentence_that_its_parameters_complete(
    error: type[CoatcheckError],
) -> None:
    assert sentence(example(error))


@pytest.mark.parametrize("error", FIELD_ERRORS, ids=str)
def test_every_field_error_has_a_sentence_that_its_parameters_complete(error: FieldError) -> None:
    assert sentence(error)


def test_no_sentence_is_without_an_error() -> None:
    raised = {error.code for error in ERRORS}
    raised |= {f"{error.field}/{error.code}" for error in FIELD_ERRORS}
    assert raised == {key for key in SENTENCES if not key.isdigit()}


def test_invalid_input_has_a_sentence_for_each_field() -> None:
    error = InvalidInput(FieldError("username", "too_short", {"limit": 2}), FieldError("a", "type"))
    assert sentence(error) == "A username needs at least 2 characters. a must be a string."


def test_a_log_shows_code_and_parameters_and_nothing_secret() -> None:
    error = InvalidInput(FieldError("username", "too_long", {"limit": 32}))
    assert str(error) == "invalid_input, username/too_long limit=32"
    assert str(RegistrationUnresolved("the client's key")) == "registration_unresolved"
