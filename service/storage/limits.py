"""How long anything may wait for Redis, in seconds. The waits add up to less than a second."""

REQUEST_LIMIT = 0.9  # for all failing calls of one request together
CALL_SHARE = 0.7  # of the remaining time, so that a later call gets some, too
CALL_LIMIT = CALL_SHARE * REQUEST_LIMIT
CONNECT_LIMIT = 0.25
ANSWER_LIMIT = 0.4
SENTINEL_LIMIT = 0.1  # short, so that even after three that hang, there is time to respond
