"""The tables, as they are now. `migrations/` brings older databases here; a test holds the two together.

Times are milliseconds since 1970 UTC. People and dashboards may read every table with plain SQL; only this room writes them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Double, ForeignKey, ForeignKeyConstraint, Index, Integer, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.types import UserDefinedType

REVISIONS = ("0001", "0002")
"""Every schema that there has been, oldest first."""

VERSION_TABLE = "hpsearch_version"


class _Json(UserDefinedType[str]):
    """PostgreSQL's `json`, given and taken as text: the codec alone reads and writes JSON."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"


JSON = Text().with_variant(_Json(), "postgresql")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _sweep() -> Column[int]:
    return Column("sweep", Integer, ForeignKey("sweeps.id"), primary_key=True, autoincrement=False)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("config", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("created_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    sqlite_autoincrement=True,  # never give a deleted sweep's number to another: its controller may still speak
)

trials = Table(
    "trials",
    metadata,
    _sweep(),
    _number("number"),
    Column("kind", Text, nullable=False),
    Column("parent", Integer),
    Column("parameters", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("until_step", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("attempt", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Index(None, "sweep", "state"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("sweep", Integer, primary_key=True, autoincrement=False),
    _number("trial"),
    _number("attempt"),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("place", Text, nullable=False),
    Column("worker", Text),
    Column("from_step", Integer),
    Column("until_step", Integer, nullable=False),
    Column("assigned_ms", BigInteger, nullable=False),
    Column("begun_ms", BigInteger),
    Column("ended_ms", BigInteger),
    ForeignKeyConstraint(["sweep", "trial"], ["trials.sweep", "trials.number"]),
    sqlite_with_rowid=False,
)

reports = Table(
    "reports",
    metadata,
    Column("sweep", Integer, primary_key=True, autoincrement=False),
    _number("trial"),
    _number("step"),
    Column("seq", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("duration_s", Double),
    Column("checkpoint", JSON),
    ForeignKeyConstraint(["sweep", "trial"], ["trials.sweep", "trials.number"]),
    UniqueConstraint("sweep", "seq"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    _sweep(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("trial", Integer),
    Column("payload", JSON, nullable=False),
    Column("search_state", JSON),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    _sweep(),
    Column("role", Text, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text),
    Column("expires_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

requests = Table(
    "requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sweep", Integer, ForeignKey("sweeps.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("taken_ms", BigInteger),
    sqlite_autoincrement=True,
)

projections = Table(
    "projections",
    metadata,
    _sweep(),
    Column("seq", BigInteger, nullable=False),
    Column("experiment_id", Text),
    Column("run_id", Text),
)

models = Table(
    "models",
    metadata,
    _sweep(),
    Column("registered", JSON, nullable=False),
)

trial_runs = Table(
    "trial_runs",
    metadata,
    _sweep(),
    _number("trial"),
    Column("run_id", Text, nullable=False),
    sqlite_with_rowid=False,
)
