"""Settings: read once from the environment, checked before anything starts."""

from config.safety import Finding, Severity, findings, require_safe
from config.settings import ConfigurationError, Settings, load

__all__ = [
    "ConfigurationError",
    "Finding",
    "Settings",
    "Severity",
    "findings",
    "load",
    "require_safe",
]
