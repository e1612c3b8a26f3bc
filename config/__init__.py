"""Settings: read once from the environment, checked before anything starts."""

from .safety import Finding, Severity, findings, is_remote, require_safe
from .settings import (
    ConfigurationError,
    SessionSettings,
    Settings,
    load,
    load_for_sessions,
)

__all__ = [
    "ConfigurationError",
    "Finding",
    "SessionSettings",
    "Settings",
    "Severity",
    "findings",
    "is_remote",
    "load",
    "load_for_sessions",
    "require_safe",
]
