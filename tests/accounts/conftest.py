from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from service.accounts.repository import AccountRepository
from service.storage.postgres import Postgres


@pytest.fixture
def accounts(database: psycopg.Connection, postgres_url: str) -> Iterator[AccountRepository]:
    postgres = Postgres(postgres_url)
    yield AccountRepository(postgres, quarantine=86400)
    postgres.close()
