"""The first tables. A migration is frozen: it says what it made then, not what `tables.py` says now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, Double, ForeignKeyConstraint, Integer, PrimaryKeyConstraint, Text, UniqueConstraint
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

JSON = sa.Text().with_variant(postgresql.JSON(), "postgresql")
KEYED = {"sqlite_with_rowid": False}


def upgrade() -> None:
    _sweeps()
    _trials()
    _attempts()
    _reports()
    _events()
    _leases()
    _requests()
    _projections()
    _trial_runs()


def _sweeps() -> None:
    op.create_table(
        "sweeps",
        Column("id", Integer, nullable=False),
        Column("name", Text, nullable=False),
        Column("config", JSON, nullable=False),
        Column("state", Text, nullable=False),
        Column("reason", Text),
        Column("created_ms", BigInteger, nullable=False),
        Column("ended_ms", BigInteger),
        PrimaryKeyConstraint("id", name="pk_sweeps"),
        UniqueConstraint("name", name="uq_sweeps_name"),
        sqlite_autoincrement=True,
    )


def _trials() -> None:
    op.create_table(
        "trials",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("number", Integer, nullable=False, autoincrement=False),
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
        PrimaryKeyConstraint("sweep", "number", name="pk_trials"),
        ForeignKeyConstraint(["sweep"], ["sweeps.id"], name="fk_trials_sweeps"),
        **KEYED,
    )
    op.create_index("ix_trials_sweep_state", "trials", ["sweep", "state"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("trial", Integer, nullable=False, autoincrement=False),
        Column("attempt", Integer, nullable=False, autoincrement=False),
        Column("state", Text, nullable=False),
        Column("reason", Text),
        Column("place", Text, nullable=False),
        Column("worker", Text),
        Column("from_step", Integer),
        Column("until_step", Integer, nullable=False),
        Column("assigned_ms", BigInteger, nullable=False),
        Column("begun_ms", BigInteger),
        Column("ended_ms", BigInteger),
        PrimaryKeyConstraint("sweep", "trial", "attempt", name="pk_attempts"),
        ForeignKeyConstraint(["sweep", "trial"], ["trials.sweep", "trials.number"], name="fk_attempts_trials"),
        **KEYED,
    )


def _reports() -> None:
    op.create_table(
        "reports",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("trial", Integer, nullable=False, autoincrement=False),
        Column("step", Integer, nullable=False, autoincrement=False),
        Column("seq", BigInteger, nullable=False),
        Column("at_ms", BigInteger, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("metrics", JSON, nullable=False),
        Column("duration_s", Double),
        Column("checkpoint", JSON),
        PrimaryKeyConstraint("sweep", "trial", "step", name="pk_reports"),
        ForeignKeyConstraint(["sweep", "trial"], ["trials.sweep", "trials.number"], name="fk_reports_trials"),
        UniqueConstraint("sweep", "seq", name="uq_reports_sweep_seq"),
        **KEYED,
    )


def _events() -> None:
    op.create_table(
        "events",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("seq", BigInteger, nullable=False, autoincrement=False),
        Column("at_ms", BigInteger, nullable=False),
        Column("kind", Text, nullable=False),
        Column("trial", Integer),
        Column("payload", JSON, nullable=False),
        Column("search_state", JSON),
        PrimaryKeyConstraint("sweep", "seq", name="pk_events"),
        ForeignKeyConstraint(["sweep"], ["sweeps.id"], name="fk_events_sweeps"),
        **KEYED,
    )


def _leases() -> None:
    op.create_table(
        "leases",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("role", Text, nullable=False),
        Column("token", BigInteger, nullable=False),
        Column("holder", Text),
        Column("expires_ms", BigInteger, nullable=False),
        PrimaryKeyConstraint("sweep", "role", name="pk_leases"),
        ForeignKeyConstraint(["sweep"], ["sweeps.id"], name="fk_leases_sweeps"),
        **KEYED,
    )


def _requests() -> None:
    op.create_table(
        "requests",
        Column("id", Integer, nullable=False),
        Column("sweep", Integer, nullable=False),
        Column("kind", Text, nullable=False),
        Column("payload", JSON, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("taken_ms", BigInteger),
        PrimaryKeyConstraint("id", name="pk_requests"),
        ForeignKeyConstraint(["sweep"], ["sweeps.id"], name="fk_requests_sweeps"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_requests_sweep", "requests", ["sweep"])


def _projections() -> None:
    op.create_table(
        "projections",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("seq", BigInteger, nullable=False),
        Column("experiment_id", Text),
        Column("run_id", Text),
        PrimaryKeyConstraint("sweep", name="pk_projections"),
        ForeignKeyConstraint(["sweep"], ["sweeps.id"], name="fk_projections_sweeps"),
    )


def _trial_runs() -> None:
    op.create_table(
        "trial_runs",
        Column("sweep", Integer, nullable=False, autoincrement=False),
        Column("trial", Integer, nullable=False, autoincrement=False),
        Column("run_id", Text, nullable=False),
        PrimaryKeyConstraint("sweep", "trial", name="pk_trial_runs"),
        ForeignKeyConstraint(["sweep"], ["sweeps.id"], name="fk_trial_runs_sweeps"),
        **KEYED,
    )
