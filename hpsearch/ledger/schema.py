"""Brings a database to the tables of `tables.py`: a new one at once, an older one by the migrations."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from hpsearch.errors import StoreError
from hpsearch.ledger.connect import store_errors, writing
from hpsearch.ledger.tables import REVISIONS, VERSION_TABLE, metadata

_ADVISORY_LOCK = 0x6870_7365  # "hpse": any number that all of us use
_versions = sa.table(VERSION_TABLE, sa.column("version_num"))


def bring_up_to_date(engine: Engine) -> None:
    """Raises `StoreError` where the database is of a newer hpsearch or of another program."""
    with store_errors(engine):
        with engine.connect() as connection:
            if _version(connection) == REVISIONS[-1]:
                return
        with writing(engine).begin() as connection:
            _wait_for_others(connection)
            _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    version = _version(connection)
    if version is None:
        _create(connection)
    elif version not in ("", *REVISIONS):
        raise StoreError(
            f"the ledger was made by a newer hpsearch (its schema is {version}, this program knows up to {REVISIONS[-1]}); "
            "install that version, or name another ledger with --home or --store"
        )
    elif version != REVISIONS[-1]:
        migrate(connection)


def _version(connection: Connection) -> str | None:
    """The schema's revision; empty before the first, None where there is no version table at all."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(_versions.c.version_num)).scalar() or ""


def _wait_for_others(connection: Connection) -> None:
    """SQLite's write lock is held already; PostgreSQL would let two of us create the same tables."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


def _create(connection: Connection) -> None:
    """As the migrations would, without the time it takes to import Alembic."""
    foreign = sorted(metadata.tables.keys() & set(sa.inspect(connection).get_table_names()))
    if foreign:
        fact = f"the ledger's database holds another program's tables ({', '.join(foreign)})"
        raise StoreError(f"{fact}; name another with --home or --store")
    metadata.create_all(connection)
    _version_table().create(connection)
    connection.execute(_versions.insert(), {"version_num": REVISIONS[-1]})


def _version_table() -> sa.Table:
    """As Alembic makes it."""
    key = sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc")
    return sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32), nullable=False), key)


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest revision, in the transaction that `connection` is in."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
