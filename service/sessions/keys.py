"""The keys and fields of a session in Redis; only this module and the scripts know them.

LOCATOR is the first 12 characters of a session's id, DIGEST the SHA-256 of the id.

- `coatcheck:{LOCATOR}:session:DIGEST`, a hash: `.` for the metadata (msgpack), `created`, `seen`
  and `deadline` (Unix ms on Redis' clock), `:NAME` for each key of `flask.session` and `=NAME` for
  each key of the API's session data (msgpack). It expires at `seen` + idle limit or at `deadline`,
  whichever is earlier. `authenticated` (the same clock) is added when the user authenticates again;
  until then, they did at `created`. `was` is the digest of its former id, if it has had one.
  `epoch` is the account's session epoch as of the last time; an
  anonymous session has none, and a session of an account without it counts as 0. `remember` (0 or
  1) replaces what the metadata says as soon as a view changes it. `idle` (ms) is there if a view
  chose the idle limit, which may be shorter than that of the settings.
- `coatcheck:{LOCATOR}:sessions`, a sorted set: the digests of an account's sessions, scored by
  their expiry. It expires with the last of them.
- `coatcheck:{LOCATOR}:epoch`, a string: the account's session epoch as of the last revocation of
  all its sessions. A sign-in that read a lower one from Postgres is rejected.

All keys of one locator are in one slot of a Redis Cluster.
"""

METADATA = b"."
CREATED, SEEN, DEADLINE = b"created", b"seen", b"deadline"
AUTHENTICATED = b"authenticated"
REMEMBER, IDLE = b"remember", b"idle"
# They precede the names of keys, so that no key collides with the fields above or with a key of the
# other namespace: clients write the API's data, and must not write what the application trusts.
FLASK, DATA = b":", b"="


def session_key(locator: str, digest: str) -> str:
    """The key of a session; with an empty digest, the prefix of all keys of its account."""
    return f"coatcheck:{{{locator}}}:session:{digest}"


def index_key(locator: str) -> str:
    """The list of an account's sessions."""
    return f"coatcheck:{{{locator}}}:sessions"


def epoch_key(locator: str) -> str:
    """The account's session epoch."""
    return f"coatcheck:{{{locator}}}:epoch"
