from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from service.accounts.repository import AccountRepository
from service.embedded import Postgres as EmbeddedPostgres
from service.storage.postgres import Postgres


@pytest.fixture
def accounts(
    database: psycopg.Connection, postgres_engine: EmbeddedPostgres
) -> Iterator[AccountRepository]:
    postgres = Postgres(postgres_engine.url)
    yield AccountRepository(postgres, quarantine=86400)
    postgres.close()
