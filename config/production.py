"""Production is what the fields of Settings default to."""

DEFAULTS: dict[str, object] = {}
