"""Runs one sweep by the command line in a home of its own, and reads from its ledger what happened when."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent


@dataclass(frozen=True)
class SweepRun:
    """A command from its start to its exit; the times of each begin, report and end, in order, from the ledger's clock."""

    wall_s: float
    result: Mapping[str, Any]
    begun_s: tuple[float, ...]
    reported_s: tuple[float, ...]
    ended_s: tuple[float, ...]


def environment() -> dict[str, str]:
    """Ours, without what would send a run anywhere but where the benchmark says, and with nothing said over the network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "OPTUNA_"))}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}


def run_hpsearch(folder: Path, *words: str) -> dict[str, Any]:
    """The JSON object that a command of hpsearch, run in `folder`, prints at last."""
    script = str(Path(sys.executable).with_name("hpsearch"))
    done = subprocess.run([script, *words, "--json"], cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"hpsearch {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def run_sweep(
    file: str,
    trials: int,
    home: Path,
    watch: Callable[[int], None] = lambda _: None,
    *,
    changes: Sequence[str] = (),
    settings: Mapping[str, str] = MappingProxyType({}),
) -> SweepRun:
    """Run `benchmarks/FILE`, with `changes` (KEY=VALUE) and `settings` by variable, such as HPSEARCH_STORE.

    `watch` is called with the command's pid every 50 ms while it runs.
    """
    script = str(Path(sys.executable).with_name("hpsearch"))
    command = [script, "run", str(HERE / file), f"budget.trials={trials}", *changes, "--home", str(home), "--json"]
    began = time.perf_counter()
    with (home.parent / "stderr").open("w+") as errors:
        variables = {**environment(), **settings}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=variables, cwd=home.parent)
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(timeout=0.05)
                break
            watch(process.pid)
        wall_s = time.perf_counter() - began
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"hpsearch ended with {process.returncode}:\n{errors.read()}")
    result = json.loads(output.splitlines()[-1])
    return SweepRun(wall_s, result, *_times(settings.get("HPSEARCH_STORE") or ledger_url(home), result["sweep"]))


def ledger_url(home: Path) -> str:
    """Where the ledger of a home is, unless a setting says otherwise."""
    return f"sqlite:///{home / 'ledger.db'}"


def _times(url: str, name: str) -> Iterator[tuple[float, ...]]:
    from hpsearch import ledger
    from hpsearch.events import Begun, Ended, Reported

    with contextlib.closing(ledger.open(url)) as opened:
        events = opened.events(opened.find(name).id)
    for kind in (Begun, Reported, Ended):
        yield tuple(event.at_ms / 1000 for event in events if isinstance(event.body, kind))
