"""Production uses the defaults of Settings."""

DEFAULTS: dict[str, object] = {}
