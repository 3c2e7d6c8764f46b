"""A ledger that cannot be opened says what is wrong and what to do, and never a password."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
import traceback
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from hpsearch import ledger as ledgers
from hpsearch.errors import StoreError
from hpsearch.events import SweepOpened
from hpsearch.ledger import connect, leasing
from hpsearch.ledger.connect import connect as engine_of
from hpsearch.ledger.sql import SqlLedger

SECRET = "gehe1m"


def refusal(url: str) -> str:
    """The message; nothing that Python would print with it holds the password."""
    with pytest.raises(StoreError) as caught:
        ledgers.open(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "cannot be read; use sqlite:////absolute"),
        ("ledger.db", "cannot be read; use sqlite:////absolute"),
        (f"postgresql//user:{SECRET}@host/db", "cannot be read"),
        (f"postgresql://user:{SECRET}@host:port/db", "it begins with 'postgresql'"),
        (f"postgresql://user:a@{SECRET}@host/db", "has more than one @"),
        (f"mysql://user:{SECRET}@host/db", r"cannot be kept in 'mysql' \(mysql://user:\*\*\*@host/db\); use sqlite"),
        ("sqlite+aiosqlite:///a.db", "cannot be kept in 'sqlite"),
        (f"postgresql+asyncpg://u:{SECRET}@h/d", "cannot be kept in"),
        ("sqlite://", "does not name a file on a local disk"),
        ("sqlite:///:memory:", "does not name a file"),
        ("sqlite://server/share/ledger.db", "sqlite"),
        ("sqlite://///server/share/ledger.db", "does not name a file"),
        ("sqlite:///file:ledger.db?mode=ro&uri=true", "does not name a file"),
        ("sqlite:////tmp/ledger.db?timeout=1", "does not name a file"),
    ],
)
def test_urls_that_are_no_ledger(url: str, message: str) -> None:
    assert re.search(message, refusal(url))


def test_passwords_are_masked_wherever_they_are() -> None:
    for url in (f"postgresql://u:{SECRET}@h/d", f"postgresql://u@h/d?password={SECRET}&sslpassword={SECRET}"):
        assert SECRET not in connect.masked(sa.make_url(url))


@pytest.mark.parametrize("where", [f"u:{SECRET}@127.0.0.1:1/d", f"u@127.0.0.1:1/d?password={SECRET}"])
def test_a_server_that_is_down(where: str) -> None:
    message = refusal(f"postgresql://{where}")
    assert message.startswith("the ledger postgresql+psycopg://u")
    assert "refused" in message
    assert message.endswith("see that the server runs and can be reached")


@pytest.mark.slow
def test_a_database_that_does_not_exist(postgres_server: str) -> None:
    message = refusal(postgres_server.replace("/postgres?", "/nowhere?"))
    assert 'database "nowhere" does not exist; create it' in message


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be made: Not a directory; choose another" in refusal(f"sqlite:///{tmp_path}/file/sub/ledger.db")
    assert "is a folder; name a file in it" in refusal(f"sqlite:///{tmp_path}")


def test_a_folder_is_made(tmp_path: Path) -> None:
    ledgers.open(f"sqlite:///{tmp_path}/a/b/ledger.db").close()
    assert (tmp_path / "a/b/ledger.db").exists()


@pytest.mark.parametrize("content", [b"not a database, this" * 500, b"SQLite format 3\0" + b"\xff" * 5000], ids=["other", "damaged"])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(content)
    message = refusal(f"sqlite:///{file}")
    assert message.startswith(f"the ledger {file}: ")
    assert "not a database; it is damaged or another program's file; move it away" in message
    assert file.read_bytes() == content


def test_a_damaged_page_is_named_when_it_is_met(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    opened = ledgers.open(f"sqlite:///{file}")
    opened.create("digits", {}, [])
    opened.close()
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(StoreError, match="malformed; it is damaged; restore it from a backup"):
        ledgers.open(f"sqlite:///{file}").sweeps()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="drops its rights")
def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    ledgers.open(f"sqlite:///{file}").close()
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    for folder in (tmp_path, *tmp_path.parents[:3]):  # pytest makes them for us alone, one more where it runs several processes
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    code = f"""
import os
import hpsearch.ledger.sql
from hpsearch import errors, ledger
if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)
try: ledger.open("sqlite:///{file}").create("digits", {{}}, [])
except errors.StoreError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    tmp_path.chmod(0o755)
    assert done.stderr == ""
    assert f"the ledger {file}: " in done.stdout
    assert "for this user, or name another place" in done.stdout or "this user may write in it" in done.stdout


def test_a_network_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_file_system", lambda _: "nfs4")
    assert "lies on a network disk (nfs4), where SQLite loses data; use a local disk or PostgreSQL" in refusal(f"sqlite:///{tmp_path}/a.db")


def test_the_file_system_is_found_by_its_nearest_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = (
        "/dev/a / ext4 rw 0 0\nserver:/x /mnt/my\\040disk nfs4 rw 0 0\n/dev/b /mnt ext4 rw 0 0\ntmpfs /mnt/my\\040disk/fast tmpfs rw 0 0\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda *_: mounts)
    found = [connect._file_system(Path(place)) for place in ("/home", "/mnt/my disk/a/b", "/mnt/my", "/mnt/my disk/fast/x")]
    assert found == ["ext4", "nfs4", "ext4", "tmpfs"]


def test_a_locked_file_is_waited_for_and_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.2)
    opened = ledgers.open(f"sqlite:///{tmp_path}/ledger.db")
    blocker = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked; another process kept it locked"):
        opened.create("digits", {}, [])
    assert opened.sweeps() == []
    blocker.execute("COMMIT")
    blocker.close()
    opened.create("digits", {}, [])
    opened.close()


def test_sqlite_is_set_up_for_many_processes(tmp_path: Path) -> None:
    engine = engine_of(f"sqlite:///{tmp_path}/ledger.db")
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.slow
def test_postgresql_is_set_to_utc(postgres_url: str) -> None:
    engine = engine_of(postgres_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW TIME ZONE").scalar() == "UTC"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "30s"
    engine.dispose()


@pytest.mark.slow
def test_a_connection_that_breaks_is_an_error_once(postgres_url: str) -> None:
    opened = ledgers.open(postgres_url)
    lease = opened.acquire(opened.create("digits", {}, []).id, "controller", "me", 10)
    opened.commit(lease, [SweepOpened("a")])
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreError):
        opened.commit(lease, [SweepOpened("lost")])
    assert [event.seq for event in opened.commit(lease, [SweepOpened("b")])] == [2]
    assert [event.body for event in opened.events(lease.sweep)] == [SweepOpened("a"), SweepOpened("b")]
    opened.close()


def test_the_time_is_the_databases(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller's clock that is a day late must not let its lease outlive, nor cut short, another's."""
    opened = ledgers.open(url)
    sweep = opened.create("digits", {}, [])
    assert abs(sweep.created_ms / 1000 - time.time()) < 30
    is_postgresql = url.startswith("postgresql")
    if is_postgresql:
        now = time.time_ns()
        monkeypatch.setattr(leasing.time, "time_ns", lambda: now - 86_400 * 10**9)
    lease = opened.acquire(sweep.id, "controller", "me", 10)
    at_ms = opened.commit(lease, [SweepOpened("me")])[0].at_ms
    assert abs(at_ms - sweep.created_ms) < 30_000
    assert opened.holder(sweep.id, "controller") == "me"
    opened.close()


def test_rights_to_a_closed_ledger_are_given_back(tmp_path: Path) -> None:
    """Nothing of SQLite's log stays behind an orderly end, and what is closed can be opened again."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    opened = ledgers.open(url)
    assert isinstance(opened, SqlLedger)
    opened.create("digits", {}, [])
    opened.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ledger.db"]
    again = ledgers.open(url)
    assert [sweep.name for sweep in again.sweeps()] == ["digits"]
    again.close()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_ledger_that_is_removed_while_it_is_in_use_takes_nothing_more(tmp_path, is_replaced):
    file = tmp_path / "ledger.db"
    ledger = ledgers.open(f"sqlite:///{file}")
    lease = ledger.acquire(ledger.create("digits", {}, []).id, "controller", "me", 60)
    file.rename(tmp_path / "elsewhere.db")
    if is_replaced:
        ledgers.open(f"sqlite:///{file}").close()
    with pytest.raises(StoreError, match="was removed or replaced while it was in use"):
        ledger.commit(lease, [SweepOpened("me")])
    ledger.close()
