"""How long anything may wait for Redis, in seconds. Together they stay below one second."""

REQUEST_LIMIT = 0.9  # what the failing calls of a request take together
CALL_SHARE = 0.7  # of what is left: the next call, perhaps to another server, finds some time too
CALL_LIMIT = CALL_SHARE * REQUEST_LIMIT
CONNECT_LIMIT = 0.25
ANSWER_LIMIT = 0.4
SENTINEL_LIMIT = 0.1  # three that hang leave time to say so
