"""Settings: read once from the environment, checked before anything starts."""

from config.safety import Finding, Severity, findings, is_remote, require_safe
from config.settings import ConfigurationError, Settings, load

__all__ = [
    "ConfigurationError",
    "Finding",
    "Settings",
    "Severity",
    "findings",
    "is_remote",
    "load",
    "require_safe",
]
