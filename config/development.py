"""What differs on a developer's machine."""

DEFAULTS = {"log_format": "console"}
