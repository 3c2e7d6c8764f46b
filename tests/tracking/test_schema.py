from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch.tracking import quiet, schema


@pytest.fixture(autouse=True)
def _settled() -> None:
    quiet.settle()


def _everything(path: Path) -> tuple[list[tuple[object, ...]], dict[str, list[tuple[object, ...]]], dict[str, list[tuple[object, ...]]]]:
    """All objects, columns in their order, and rows. The migrations write a table's constraints in another order each time."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = list(db.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master"))
        objects = sorted((kind, name, table, sorted(line.strip(" \t,") for line in sql.splitlines())) for kind, name, table, sql in found)
        tables = [name for kind, name, *_ in found if kind == "table"]
        columns = {name: list(db.execute(f'PRAGMA table_xinfo("{name}")')) for name in tables}
        rows = {name: sorted(db.execute(f'SELECT * FROM "{name}"'), key=repr) for name in tables}
    rows["experiments"] = [row[:2] for row in rows["experiments"]]  # id and name; the rest are its place and time
    return objects, columns, rows


@pytest.mark.slow
def test_the_script_makes_what_the_migrations_make(tmp_path: Path) -> None:
    quick, slow = tmp_path / "quick.db", tmp_path / "slow.db"
    schema.create_store(f"sqlite:///{quick}", tmp_path)
    schema._open(slow, tmp_path)
    assert _everything(quick) == _everything(slow)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", ["CREATE TABLE nonsense (", "CREATE TABLE alembic_version (version_num);\nINSERT INTO alembic_version VALUES ('x');"]
)
def test_another_mlflow_goes_its_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(schema, "SCRIPT", tmp_path / "script.sql")
    schema.SCRIPT.write_text(script)
    schema.create_store(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    quiet.client(f"sqlite:///{tmp_path}/mlflow.db").create_experiment("works")


def test_a_store_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"something")
    schema.create_store(f"sqlite:///{path}", tmp_path)
    assert path.read_bytes() == b"something"


def test_only_plain_files_are_made_here() -> None:
    assert schema.sqlite_file("sqlite:////data/mlflow.db") == Path("/data/mlflow.db")
    for uri in ("sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "postgresql://u:p@h/d", "http://h:5000", "a%20b"):
        assert schema.sqlite_file(uri) is None


@pytest.mark.slow
def test_processes_that_make_it_at_once_and_are_killed_leave_a_whole_one_or_none(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code = (
        "from hpsearch.tracking import quiet, schema; from pathlib import Path; quiet.import_mlflow(); print(flush=True);"
        f"schema.create_store({uri!r}, Path({str(tmp_path)!r}))"
    )
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-c", code]
        processes = [stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE)) for _ in range(3)]
        for process, delay in zip(processes, (0.01, 0.04, 0.1), strict=True):
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
    schema.create_store(uri, tmp_path)
    assert quiet.client(uri).search_experiments()[0].name == "Default"
