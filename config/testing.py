"""What differs under test: hashes are cheap, everything else is as in production."""

DEFAULTS = {
    "log_format": "console",
    "argon2_memory_kib": 1024,
    "argon2_time_cost": 1,
}
