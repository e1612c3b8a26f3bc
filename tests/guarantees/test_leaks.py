"""No secret of a client is ever kept: not in a log, not in the audit trail, not in a store."""

from __future__ import annotations

import psycopg
from redis import Redis

from tests.journeys import Journey
from tests.leaks import Secrets, postgres_contents, redis_contents
from tests.run import SharedPostgres
from tests.servers import Server
from tests.ways import fresh_name


def test_no_secret_of_a_client_is_found_anywhere_on_the_server(
    server: Server,
    redis: Redis,
    postgres_engine: SharedPostgres,
    database: psycopg.Connection,
) -> None:
    """G8, and OWASP ASVS 5.0, 16.2.5: ids, passwords, device marks and idempotency keys."""
    secrets = Secrets()

    def places() -> dict[str, bytes]:
        return {
            "the log": server.log.read_bytes(),
            "Redis": redis_contents(redis),
            "Postgres": postgres_contents(postgres_engine.url),
        }

    with Journey(server.url, secrets, fresh_name("leaky")) as journey:
        journey.live()
        meanwhile = places()
        journey.leave()
    afterwards = places()
    assert not {status for status in journey.statuses if status >= 500}
    assert secrets.kinds.keys() >= {"a password", "a cookie", "an idempotency key"}
    assert b"sign_in_refused" in meanwhile["the log"]
    assert b"session" in meanwhile["Redis"]
    assert b"leaky" in meanwhile["Postgres"]
    assert secrets.found_in(meanwhile) == []
    assert secrets.found_in(afterwards) == []
