"""Real processes: killed in the middle of a commit, fighting over a lease, stopped past its end."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch import ledger as ledgers
from hpsearch.errors import LeaseHeld
from hpsearch.events import SweepExtended, SweepOpened, TrialCreated
from hpsearch.trial import TrialState

pytestmark = pytest.mark.slow

PRELUDE = """
import sys, time
from hpsearch import ledger as ledgers
from hpsearch.errors import LeaseHeld, LeaseLost
from hpsearch.events import *
from hpsearch.trial import *
ledger = ledgers.open(sys.argv[1])
sweep = ledger.find("digits").id
"""

COMMITS = (
    PRELUDE
    + """
lease = ledger.acquire(sweep, "controller", ledgers.holder(), 60)
first = ledger.find("digits").last_seq
for batch in range(100_000):
    numbers = [first + 20 * batch + i for i in range(20)]
    ledger.commit(lease, [TrialCreated(n, TrialKind.SEARCH, {"x": n, "pad": "x" * 500}, n, 3) for n in numbers])
    print(numbers[-1] + 1, flush=True)
"""
)

FIGHTS = (
    PRELUDE
    + """
print("ready", flush=True)
sys.stdin.readline()
me, rounds, held = int(sys.argv[2]), 0, 0
while rounds < 15:
    try:
        lease = ledger.acquire(sweep, "controller", ledgers.holder(), 30)
    except LeaseHeld:
        held += 1
        time.sleep(0.001)
        continue
    for part in range(3):
        ledger.commit(lease, [SweepExtended(trials=me), SweepExtended(trials=me * 1000 + rounds)])
        time.sleep(0.01)
    ledger.release(lease)
    rounds += 1
    time.sleep(0.002)
print(held)
"""
)

STOPS = (
    PRELUDE
    + """
lease = ledger.acquire(sweep, "controller", ledgers.holder(), 0.5)
ledger.commit(lease, [SweepOpened("first")])
print("holding", flush=True)
sys.stdin.readline()
for act in (lambda: ledger.commit(lease, [SweepOpened("late")]), lambda: ledger.renew(lease)):
    try:
        act()
    except LeaseLost:
        print("lost", flush=True)
"""
)


def start(code: str, url: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, url, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    read = process.stdout.readline()
    assert read, process.communicate()[1]
    return read.strip()


def test_killed_in_the_middle_of_a_commit(url: str) -> None:
    """Only whole commits are there, all that were acknowledged, and whoever comes next need not wait for the lease to run out."""
    ledger = ledgers.open(url)
    ledger.create("digits", {}, [])
    chance = random.Random(0)
    for _ in range(3):
        process = start(COMMITS, url)
        acknowledged = int(line(process))
        time.sleep(chance.random() * 0.1)
        process.kill()
        acknowledged = int(([str(acknowledged), *process.communicate()[0].split()])[-1])
        ledger.release(ledger.acquire(1, "controller", ledgers.holder(), 60))
        events = ledger.events(1)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len(events) % 20 == 0
        assert len(events) - acknowledged in (0, 20)
        assert [body.trial for body in (event.body for event in events) if isinstance(body, TrialCreated)] == list(range(len(events)))
        assert ledger.find("digits").trials == {TrialState.WAITING: len(events)}
    ledger.close()
    if url.startswith("sqlite"):
        with sqlite3.connect(Path(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_processes_that_fight_over_a_lease(url: str) -> None:
    """Whoever holds it commits its three pairs undisturbed, and no number is missing or given twice."""
    ledger = ledgers.open(url)
    ledger.create("digits", {}, [])
    processes = [start(FIGHTS, url, me) for me in (1, 2, 3)]
    assert [line(process) for process in processes] == ["ready"] * 3
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=90) for process in processes]
    assert [errors for _, errors in results] == [""] * 3
    assert sum(int(held) for held, _ in results) > 0, "they never met"
    events = ledger.events(1)
    assert [event.seq for event in events] == list(range(1, 3 * 15 * 6 + 1))
    totals = [event.body.trials for event in events if isinstance(event.body, SweepExtended)]
    turns = [totals[i : i + 6] for i in range(0, len(totals), 6)]
    assert all(turn == [me, me * 1000 + turn[1] % 1000] * 3 for turn in turns if (me := turn[0]))
    assert len({turn[1] for turn in turns}) == 3 * 15
    ledger.close()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process")
def test_a_holder_that_slept_past_its_lease(url: str) -> None:
    ledger = ledgers.open(url)
    ledger.create("digits", {}, [])
    process = start(STOPS, url)
    assert line(process) == "holding"
    with pytest.raises(LeaseHeld, match=f"process {process.pid} on "):
        ledger.acquire(1, "controller", ledgers.holder(), 10)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.6)
    lease = ledger.acquire(1, "controller", ledgers.holder(), 10)
    ledger.commit(lease, [SweepOpened("second")])
    os.kill(process.pid, signal.SIGCONT)
    assert process.communicate("go\n", timeout=30) == ("lost\nlost\n", "")
    assert [event.body for event in ledger.events(1)] == [SweepOpened("first"), SweepOpened("second")]
    ledger.close()


def test_a_reader_never_sees_half_a_commit_nor_a_gap(url: str) -> None:
    """As the projector reads: in parts, from where it was, while the controller commits."""
    ledger = ledgers.open(url)
    ledger.create("digits", {}, [])
    process = start(COMMITS, url)
    line(process)
    seen = 0
    for _ in range(40):
        events = ledger.events(1, seen)
        assert [event.seq for event in events] == list(range(seen + 1, seen + len(events) + 1))
        assert len(events) % 20 == 0
        seen += len(events)
    process.kill()
    process.communicate()
    assert seen > 20
    ledger.close()
