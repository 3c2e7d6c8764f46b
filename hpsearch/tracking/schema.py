"""A new MLflow database in a SQLite file: at once, whole or not at all, and the same as MLflow's own migrations make it.

MLflow makes one by running all of its migrations: two seconds of CPU, and a process that is killed meanwhile may leave a file that MLflow
cannot open. Here the tables come from `mlflow_schema.sql`, what the migrations come to (see `docs/decisions/mlflow-schema.md`); MLflow
itself checks the result, and where it does not like it, its migrations run after all. Either way in a file beside, moved into place whole.

    python -m hpsearch.tracking.schema > hpsearch/tracking/mlflow_schema.sql     # for another version of MLflow
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hpsearch.tracking import quiet

SCRIPT = Path(__file__).with_name("mlflow_schema.sql")


def create_store(tracking_uri: str, artifacts: Path | None) -> None:
    """Make the database of a `sqlite:///` URI if there is none yet; other stores make their own."""
    path = sqlite_file(tracking_uri)
    if path is None or (path.exists() and path.stat().st_size):
        return
    try:
        with _beside(path, "quick") as part:
            _run_script(part)
            _finish(part, path, artifacts)
    except Exception:  # another version of MLflow: let it do as it does
        with _beside(path, "slow") as part:  # another name, as MLflow keeps connections by name
            _finish(part, path, artifacts)


def sqlite_file(tracking_uri: str) -> Path | None:
    """The file of a plain `sqlite:///path`."""
    prefix, path = "sqlite:///", tracking_uri.removeprefix("sqlite:///")
    return Path(path) if tracking_uri.startswith(prefix) and path and not set(path) & set("?%") and path != ":memory:" else None


@contextlib.contextmanager
def _beside(path: Path, way: str) -> Iterator[Path]:
    """A name in the same folder, so that a move is one step; what is left under it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{way}")
    try:
        part.unlink(missing_ok=True)
        yield part
    finally:
        for leftover in part.parent.glob(f"{part.name}*"):
            leftover.unlink(missing_ok=True)


def _run_script(part: Path) -> None:
    with contextlib.closing(sqlite3.connect(part)) as db:
        db.executescript(SCRIPT.read_text(encoding="utf-8"))


def _finish(part: Path, path: Path, artifacts: Path | None) -> None:
    _open(part, artifacts)
    _write_ahead(part)
    _into_place(part, path)


def _open(part: Path, artifacts: Path | None) -> None:
    """MLflow's own check of the schema (or its migrations, where there is none), and its default experiment."""
    with quiet.no_warnings():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    root = artifacts.absolute() if artifacts is not None else part.absolute().with_name("mlruns")
    SqlAlchemyStore(f"sqlite:///{part.absolute()}", root.as_uri()).engine.dispose()


def _write_ahead(part: Path) -> None:
    """A journal that lets the UI read while we write, and takes half the time; the file remembers it."""
    with contextlib.closing(sqlite3.connect(part)) as db:
        db.execute("PRAGMA journal_mode=WAL")


def _into_place(part: Path, path: Path) -> None:
    """Unless another process was quicker."""
    if path.exists() and not path.stat().st_size:
        path.unlink()
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            part.replace(path)


def dump() -> str:
    """What MLflow's own migrations make of an empty file, as SQL; without the default experiment, which has a time and a place."""
    from mlflow.version import VERSION

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mlflow.db")
        _open(path, Path(folder))
        with contextlib.closing(sqlite3.connect(path)) as db:
            lines = [line for line in db.iterdump() if not line.startswith('INSERT INTO "experiments"')]
    head = f"-- The schema of MLflow {VERSION} (Apache-2.0), as its migrations make it. Made by `python -m hpsearch.tracking.schema`."
    return "\n".join([head, *lines]) + "\n"


if __name__ == "__main__":
    quiet.import_mlflow()
    sys.stdout.write(dump())
