"""Every metric, named once. gunicorn.conf.py has all workers count into one directory."""

from __future__ import annotations

from prometheus_client import Counter

HASHES = Counter("coatcheck_password_hashes", "Passwords hashed or verified.", ["kind"])
REGISTRATIONS = Counter("coatcheck_registrations", "Registrations, by outcome.", ["outcome"])
SESSION_READS = Counter("coatcheck_session_reads", "Sessions looked for, by outcome.", ["outcome"])
