"""Every kind of ledger, under a clock that a test can set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hpsearch import ledger as ledgers
from hpsearch.ledger import Ledger
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.ledger.tables import metadata

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.slow)


class Clock:
    """Milliseconds since 1970 UTC, as a test says."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms

    def advance(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", POSTGRESQL])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: str) -> str:
    """A ledger that one test after the other empties: to make one takes a fifth of a second."""
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE shared_ledger")
    url = postgres_server.replace("/postgres?", "/shared_ledger?")
    ledgers.open(url).close()
    return url


@pytest.fixture(params=["sqlite", POSTGRESQL])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty ledger in a database."""
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else emptied(request)


def emptied(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("shared_postgres_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
    return url


@pytest.fixture
def sql(store_url: str, clock: Clock) -> Iterator[Ledger]:
    """An empty ledger in a database."""
    opened = ledgers.open(store_url, clock)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", POSTGRESQL, "memory"])
def ledger(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    match request.param:
        case "memory":
            opened: Ledger = MemoryLedger(clock)
        case "sqlite":
            opened = ledgers.open(f"sqlite:///{tmp_path}/ledger.db", clock)
        case _:
            opened = ledgers.open(emptied(request), clock)
    yield opened
    opened.close()
