"""The keys and fields of a session in Redis. No other module knows them.

LOCATOR is the first 12 characters of a session's id, DIGEST the SHA-256 of the id.

- `coatcheck:{LOCATOR}:session:DIGEST`, a hash: `.` for the metadata (msgpack), `created`, `seen`
  and `deadline` (Unix ms by Redis' clock), and `:NAME` for each key of the session (msgpack). It
  expires at the earlier of `seen` + idle limit and `deadline`. `authenticated` (the same clock) is
  there once the user has authenticated again; until then, `created` is when they did.
- `coatcheck:{LOCATOR}:sessions`, a sorted set: the digests of an account's sessions, scored by
  their expiry. It expires with the last of them.
- `coatcheck:{LOCATOR}:epoch`, a string: the least session epoch that a sign-in must have read from
  Postgres.

All keys of one locator are in one slot of a Redis Cluster.
"""

METADATA = b"."
CREATED, SEEN, DEADLINE = b"created", b"seen", b"deadline"
AUTHENTICATED = b"authenticated"
DATA = b":"  # before the name of each session key, so that none collides with a field of ours


def session_key(locator: str, digest: str) -> str:
    """The session's own key; with an empty digest, what the keys of all its sessions begin with."""
    return f"coatcheck:{{{locator}}}:session:{digest}"


def index_key(locator: str) -> str:
    """The list of an account's sessions."""
    return f"coatcheck:{{{locator}}}:sessions"


def epoch_key(locator: str) -> str:
    """The account's session epoch."""
    return f"coatcheck:{{{locator}}}:epoch"
