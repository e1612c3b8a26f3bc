"""What differs in tests: hashes are cheap, and logs are for people."""

DEFAULTS = {
    "log_format": "console",
    "argon2_memory_kib": 1024,
    "argon2_time_cost": 1,
}
