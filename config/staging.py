"""Staging is production, seen by fewer people."""

from config.production import DEFAULTS

__all__ = ["DEFAULTS"]
