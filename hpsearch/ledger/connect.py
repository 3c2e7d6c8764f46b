"""From a URL to an engine of SQLite or PostgreSQL, and from their errors to words that help."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from hpsearch.errors import StoreError

BUSY_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10
_KNOWN = "use sqlite:////absolute/path/ledger.db or postgresql://user@host/database"
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "fuse.sshfs", "fuse.glusterfs", "fuse.rclone"}
)


def connect(url: str) -> Engine:
    """An engine for the ledger's URL; it has connected to nothing yet, but a folder for SQLite's file exists.

    Raises:
        StoreError: The URL names no SQLite file on a local disk and no PostgreSQL database, or the folder cannot be made.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed)


def masked(url: URL) -> str:
    """The URL without its password, wherever in it that is."""
    hidden = {name: "***" for name in url.query if "password" in name.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


@contextmanager
def store_errors(engine: Engine) -> Iterator[None]:
    """Turns the database's errors into `StoreError`: no password, no chain of exceptions that might hold one."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(_message(error, engine.url)) from None


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        scheme = url.partition(":")[0][:20]  # the rest may hold a password
        raise StoreError(f"the ledger's URL (it begins with {scheme!r}) cannot be read; {_KNOWN}") from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgres" | "postgresql+psycopg":
            if "@" in (parsed.host or ""):
                raise StoreError("the ledger's URL has more than one @; write those of the password as %40, and each / in it as %2F")
            return parsed.set(drivername="postgresql+psycopg")
    raise StoreError(f"the ledger cannot be kept in {parsed.drivername!r} ({masked(parsed)}); {_KNOWN}")


def _sqlite(url: URL) -> Engine:
    is_elsewhere = url.host or url.port or url.username or url.query
    if is_elsewhere or not url.database or url.database.startswith((":memory:", "file:", "//", "\\\\")):
        raise StoreError(f"the ledger's URL {masked(url)} does not name a file on a local disk; use sqlite:////absolute/path/ledger.db")
    file = Path(url.database).absolute()
    _prepare_folder(file)
    engine = create_engine(
        url.set(database=str(file)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=2,
        max_overflow=8,
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise StoreError(f"the ledger {file} is a folder; name a file in it, such as sqlite:///{file}/ledger.db")
    except OSError as error:
        fact = f"the ledger's folder {file.parent} cannot be made: {error.strerror}"
        raise StoreError(f"{fact}; choose another with --home or --store") from None
    kind = _file_system(file.parent.resolve())
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StoreError(f"the ledger {file} lies on a network disk ({kind}), where SQLite loses data; use a local disk or PostgreSQL")


def _file_system(folder: Path) -> str | None:
    """The type of the file system that holds `folder`, where /proc can tell."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return None
    points = {Path(mount[1].replace("\\040", " ")): mount[2] for mount in mounts}
    return next((points[place] for place in (folder, *folder.parents) if place in points), None)


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver begins nothing on its own: _begin_sqlite says how
    _set_write_ahead_log(connection)
    connection.execute("PRAGMA synchronous=FULL")  # NORMAL, the habit with this log, may forget commits when the power fails
    connection.execute("PRAGMA foreign_keys=ON")


def _set_write_ahead_log(connection: sqlite3.Connection) -> None:
    """The change of mode does not wait for others as everything else does, so we do."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def file_identity(engine: Engine) -> tuple[int, int] | None:
    """Device and inode of SQLite's file. (An open file that was removed takes whatever is written, and nobody ever sees it again.)"""
    if engine.dialect.name != "sqlite":
        return None
    try:
        stat = Path(str(engine.url.database)).stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions take SQLite's write lock at once: one that reads first could fail busy, however long it waits."""
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def _postgresql(url: URL) -> Engine:
    defaults = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "hpsearch"}
    engine = create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        pool_size=2,
        max_overflow=3,
        pool_pre_ping=True,
        pool_timeout=BUSY_TIMEOUT_S,
        json_deserializer=_text,
    )
    event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _set_up_postgresql(connection: Any, _: object) -> None:
    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute(f"SET lock_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
    connection.commit()


def _text(json: bytes | str) -> str:
    return json.decode() if isinstance(json, bytes) else json


_CURES = {
    "not a database": "it is damaged or another program's file; move it away, or name another with --home or --store",
    "malformed": "it is damaged; restore it from a backup, or move it away to begin anew",
    "readonly": "make the file and its folder writable for this user, or name another place with --home or --store",
    "unable to open": "see that its folder exists and that this user may write in it, or name another place with --home or --store",
    "locked": f"another process kept it locked for {BUSY_TIMEOUT_S:.0f} s; see which one with `fuser`, and end it",
    "lock timeout": f"another session kept it locked for {BUSY_TIMEOUT_S:.0f} s; see which one in pg_stat_activity, and end it",
    "disk is full": "free some space; what was committed is safe",
    "disk I/O": "see that the disk is local and sound; what was committed is safe",
    "password authentication": "see the user and the password in HPSEARCH_STORE (or HPSEARCH_STORE_FILE)",
    "no password": "give the password in HPSEARCH_STORE (or HPSEARCH_STORE_FILE)",
    "does not exist": "create it, or name another in HPSEARCH_STORE",
    "permission denied": "give this user the rights, or name another in HPSEARCH_STORE",
}


def _message(error: SQLAlchemyError, url: URL) -> str:
    fact = _fact(error, url)
    place = url.database if url.get_backend_name() == "sqlite" else masked(url)
    known = next((cure for sign, cure in _CURES.items() if sign in fact), None)
    cure = known or ("see that the server runs and can be reached" if url.get_backend_name() != "sqlite" else "see that the file is sound")
    return f"the ledger {place}: {fact}; {cure}"


def _fact(error: SQLAlchemyError, url: URL) -> str:
    """The driver's own words without statement and parameters, in one line, and without the password should it be in them."""
    words = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    secrets = [url.password, *(value for name, value in url.query.items() if "password" in name.lower())]
    for secret in filter(None, secrets):
        words = words.replace(str(secret), "***")
    return words[:500]
