"""Settings: read once from the environment, checked before anything starts."""

from config.settings import ConfigurationError, Settings, load

__all__ = ["ConfigurationError", "Settings", "load"]
