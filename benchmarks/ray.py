"""What trials and reports cost on a Ray cluster of this machine: hpsearch, and Ray Tune with OptunaSearch and its MLflow callback.

`python -m benchmarks.ray [--trials N] [--json]`; the exit status is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.command import environment, run_sweep
from benchmarks.ten_reports import STEPS

WORKERS = 2
LESS = 4
"""Ray Tune as it is gets a quarter of the trials: a second or more each."""

TALKERS = 8
"""Workers whose every report is a result of Tune's."""

THOUSAND = 1000 / 10
"""Reports/s of 1,000 workers that report every ten seconds."""


def hpsearch(trials: int, folder: Path) -> float:
    """Trials/s. MLflow is written beside."""
    return _rate(run_sweep("ten_reports.yaml", trials, folder / "home").ended_s, trials)


def ray_tune(mode: str, trials: int, folder: Path) -> float:
    """Trials/s. MLflow is written by Tune's callback."""
    words = [sys.executable, "-m", "benchmarks.ray_tune", str(trials), str(WORKERS), str(folder), mode]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"benchmarks.ray_tune ended with {done.returncode}:\n{done.stderr[-3000:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    if said["errors"]:
        sys.exit(f"{said['errors']} trials of Ray Tune failed")
    return _rate(said["ended_s"], trials)


def _rate(ended_s: Sequence[float], trials: int) -> float:
    """From the first trial's end to the last one's: how long workers take to start is left out on every side."""
    if len(ended_s) != trials:
        sys.exit(f"{trials} trials were to end, and {len(ended_s)} did")
    return (trials - 1) / (ended_s[-1] - ended_s[0])


def reports(function: str, workers: int, steps: int, folder: Path) -> float:
    """Reports/s while `workers` trials of `steps` steps each run side by side: from the last one's begin to the first one's end."""
    changes = [f"task.target=ten_reports:{function}", f"training.epochs={steps}", f"resources.workers={workers}"]
    run = run_sweep("ten_reports.yaml", workers, folder / "home", changes=changes)
    began, ended = run.begun_s[-1], run.ended_s[0]
    return sum(began < at <= ended for at in run.reported_s) / (ended - began)


SIDES: dict[str, Callable[[int, Path], float]] = {
    "hpsearch": hpsearch,
    "Ray Tune": lambda trials, folder: ray_tune("function", trials // LESS, folder),
    "Ray Tune, reuse_actors": lambda trials, folder: ray_tune("reuse", trials, folder),
}
TARGETS = {"Ray Tune": 10.0, "Ray Tune, reuse_actors": 2.0}
"""How many times its trials/s are asked of hpsearch."""

REPORTS: dict[str, Callable[[Path], float]] = {
    "gathered": lambda folder: reports("train_for_ever_so_long", WORKERS, 20_000, folder),
    "each a result of Tune's": lambda folder: reports("train_slowly", TALKERS, 1000, folder),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=100, help="trials of each side (default: 100)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    chosen = parser.parse_args()
    rates = {name: _measured(name, lambda folder, side=side: side(chosen.trials, folder), "trials") for name, side in SIDES.items()}
    told = {name: _measured(name, side, "reports") for name, side in REPORTS.items()}
    times = {name: rates["hpsearch"] / rates[name] for name in TARGETS}
    if chosen.json:
        print(json.dumps({"trials": chosen.trials, "workers": WORKERS, "trials_per_s": rates, "times": times, "reports_per_s": told}))
    else:
        print(f"{STEPS} reports a trial, {WORKERS} workers")
        print("\n".join(f"{name:24} {rate:8.2f} trials/s" for name, rate in rates.items()))
        print("\n".join(f"{times[name]:6.1f} times {name}, asked {asked:g}" for name, asked in TARGETS.items()))
        print("\n".join(f"{name:24} {rate:8.0f} reports/s, {1000 / rate:.2f} ms each" for name, rate in told.items()))
    return 0 if all(times[name] >= asked for name, asked in TARGETS.items()) and max(told.values()) >= THOUSAND else 1


def _measured(name: str, side: Callable[[Path], float], unit: str) -> float:
    with tempfile.TemporaryDirectory(prefix="hpsearch-ray-") as folder:
        rate = side(Path(folder))
    print(f"{name}: {rate:.2f} {unit}/s", file=sys.stderr)
    return rate


if __name__ == "__main__":
    sys.exit(main())
