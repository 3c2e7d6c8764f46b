"""The tables that are made at once are those that the migrations make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch import ledger
from hpsearch.errors import StoreError
from hpsearch.ledger.connect import connect, writing
from hpsearch.ledger.schema import bring_up_to_date, migrate
from hpsearch.ledger.tables import REVISIONS, metadata

pytestmark = pytest.mark.slow

POSTGRES_SCHEMA = """
    SELECT 'column', table_name, ordinal_position::text, column_name, data_type, is_nullable, column_default, is_identity
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', '', ''
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '', '', '' FROM pg_indexes WHERE schemaname = 'public'
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def schema(engine: sa.Engine) -> set[tuple[object, ...]]:
    """Every column, constraint and index, as the database itself describes them; version table included."""
    statement = "SELECT type, name, tbl_name, sql FROM sqlite_master" if engine.dialect.name == "sqlite" else POSTGRES_SCHEMA
    with engine.connect() as connection:
        return {tuple(" ".join(str(x).split()) for x in row) for row in connection.execute(sa.text(statement))}


def drop_all(engine: sa.Engine) -> None:
    with writing(engine).begin() as connection:
        metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE hpsearch_version"))


def test_migrations_make_the_same_tables(url: str) -> None:
    engine = connect(url)
    bring_up_to_date(engine)
    at_once = schema(engine)
    drop_all(engine)
    with writing(engine).begin() as connection:
        migrate(connection)
    assert schema(engine) == at_once
    assert all(any(name in row for row in at_once) for name in metadata.tables)
    engine.dispose()


def test_the_migrations_end_where_the_program_thinks() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(ledger.__file__).with_name("migrations")))
    assert tuple(reversed([revision.revision for revision in script.walk_revisions()])) == REVISIONS


def test_an_older_database_is_migrated_when_it_is_opened(url: str) -> None:
    engine = connect(url)
    with writing(engine).begin() as connection:
        connection.execute(sa.text("CREATE TABLE hpsearch_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    engine.dispose()
    opened = ledger.open(url)
    assert opened.sweeps() == []
    opened.close()


def test_a_newer_database_is_refused(url: str) -> None:
    ledger.open(url).close()
    engine = connect(url)
    with writing(engine).begin() as connection:
        connection.execute(sa.text("UPDATE hpsearch_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"newer hpsearch \(its schema is 9999, this program knows up to 0002\); install"):
        ledger.open(url)


def test_another_programs_database_is_refused(url: str) -> None:
    engine = connect(url)
    with writing(engine).begin() as connection:
        connection.execute(sa.text("CREATE TABLE trials (trial_id INTEGER PRIMARY KEY)"))
    with pytest.raises(StoreError, match=r"another program's tables \(trials\)"):
        ledger.open(url)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["trials"]
    engine.dispose()


def test_it_shares_a_database_with_alembics_own_table(url: str) -> None:
    engine = connect(url)
    with writing(engine).begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(sa.text("CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL PRIMARY KEY)"))  # one of MLflow's
    ledger.open(url).close()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM alembic_version")).scalar() == 0
    engine.dispose()


@pytest.mark.slow
def test_many_processes_open_a_new_database_at_once(url: str) -> None:
    code = f"from hpsearch import ledger; ledger.open({url!r}).close()"
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == [""] * 4


def test_opening_a_new_file_needs_no_alembic(tmp_path: Path) -> None:
    code = f"import sys; from hpsearch import ledger; ledger.open('sqlite:///{tmp_path}/a.db').close(); print('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_importing_the_room_needs_no_sqlalchemy() -> None:
    code = "import sys; import hpsearch.ledger; print('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
