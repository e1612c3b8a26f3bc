"""Staging is configured like production."""

from config.production import DEFAULTS

__all__ = ["DEFAULTS"]
