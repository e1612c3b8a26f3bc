"""The package `config`, wherever it is: an installation has it inside of `service`, because an
application may well have a `config` of its own."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("service.config") is None:
    import config
else:
    config = import_module("service.config")

__all__ = ["config"]
