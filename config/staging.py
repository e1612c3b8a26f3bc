"""Staging is configured like production."""

from .production import DEFAULTS

__all__ = ["DEFAULTS"]
