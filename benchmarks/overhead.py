"""What hpsearch costs: the same workload as bare processes, with hpsearch, and with Optuna and MLflow by hand, in turn.

`python -m benchmarks.overhead [--rounds N] [--trials N] [--workers N] [--json]`; the exit status is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command import environment, run_sweep

WORKERS = 2


@dataclass(frozen=True)
class Measured:
    """One run: seconds from the process's start to its exit, and trials a second while it trained, where that is known."""

    whole_s: float
    trials_per_s: float | None
    best: float


@dataclass(frozen=True)
class Target:
    """A ratio, and how small or how large it may be."""

    name: str
    ratio: float
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool:
        return (self.least is None or self.ratio >= self.least) and (self.most is None or self.ratio <= self.most)

    def describe(self) -> str:
        """`1.02   at least 0.85   met   …`."""
        limit = f"at least {self.least}" if self.least is not None else f"at most {self.most}"
        return f"{self.ratio:6.2f}   {limit:<14}  {'met' if self.is_met else 'MISSED':<6}  {self.name}"


def bare(trials: int, folder: Path) -> Measured:
    """The limit."""
    whole_s, said = _module(folder, "benchmarks.bare", str(trials), str(WORKERS))
    return Measured(whole_s, trials / said["train_s"], said["best"])


def with_hpsearch(trials: int, folder: Path) -> Measured:
    """The whole command in a fresh home; the rate from the first begin to the last end in its ledger."""
    run = run_sweep("overhead.yaml", trials, folder / "home")
    counted = run.result["trials"]
    if counted != {"completed": trials}:
        sys.exit(f"hpsearch was to complete {trials} trials, and did {counted}")
    rate = trials / (run.ended_s[-1] - run.begun_s[0])
    return Measured(run.wall_s, rate, run.result["best"][0]["values"]["val_accuracy"])


def with_optuna_and_mlflow(trials: int, folder: Path) -> Measured:
    """Both by hand, in a fresh folder."""
    whole_s, said = _module(folder, "benchmarks.optuna_mlflow", str(trials), str(WORKERS), str(folder))
    if said["trials"] != trials:
        sys.exit(f"Optuna was to make {trials} trials, and made {said['trials']}")
    return Measured(whole_s, None, said["best"])


SIDES: dict[str, Callable[[int, Path], Measured]] = {
    "bare processes": bare,
    "hpsearch": with_hpsearch,
    "Optuna + MLflow": with_optuna_and_mlflow,
}


def _module(folder: Path, *words: str) -> tuple[float, dict[str, Any]]:
    """Run it in `folder`: MLflow leaves files where it is run."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    whole_s = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"{words[0]} ended with {done.returncode}:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return whole_s, said


def measure(rounds: int, trials: int) -> dict[str, list[Measured]]:
    """Every side in each round, so that what else the machine does meets all of them."""
    runs: dict[str, list[Measured]] = {name: [] for name in SIDES}
    for number in range(1, rounds + 1):
        for name, side in SIDES.items():
            with tempfile.TemporaryDirectory(prefix="hpsearch-overhead-") as folder:
                runs[name].append(side(trials, Path(folder)))
            print(f"round {number} of {rounds}: {name} took {runs[name][-1].whole_s:.1f} s", file=sys.stderr)
    return runs


def targets(runs: dict[str, list[Measured]]) -> list[Target]:
    """Ratios of medians."""
    ours, limit, others = (runs[name] for name in ("hpsearch", "bare processes", "Optuna + MLflow"))
    return [
        Target("trials/s while training, of those of bare processes", _rate(ours) / _rate(limit), least=0.85),
        Target("the whole command's time, of that of bare processes", _whole(ours) / _whole(limit), most=1.25),
        Target("times faster than Optuna + MLflow, whole command", _whole(others) / _whole(ours), least=1.6),
    ]


def _whole(runs: Sequence[Measured]) -> float:
    return median(run.whole_s for run in runs)


def _rate(runs: Sequence[Measured]) -> float:
    return median(run.trials_per_s for run in runs if run.trials_per_s is not None)


def table(runs: dict[str, list[Measured]], trials: int) -> str:
    """Medians, a line a side."""
    rounds = len(runs["hpsearch"])
    lines = [
        f"{trials} trials of 20 epochs, {WORKERS} workers; medians of {rounds}",
        f"{'':16}  whole command  while training  best accuracy",
    ]
    for name, measured in runs.items():
        rate = "" if measured[0].trials_per_s is None else f"{_rate(measured):.1f} trials/s"
        lines.append(f"{name:16}  {_whole(measured):11.1f} s  {rate:>14}  {median(run.best for run in measured):13.4f}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (default: 3)")
    parser.add_argument("--trials", type=int, default=40, help="trials of each run (default: 40)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    chosen = parser.parse_args()
    runs = measure(chosen.rounds, chosen.trials)
    reached = targets(runs)
    if chosen.json:
        sides = {name: [asdict(run) for run in measured] for name, measured in runs.items()}
        print(json.dumps({"trials": chosen.trials, "runs": sides, "targets": [{**asdict(t), "met": t.is_met} for t in reached]}))
    else:
        print("\n".join([table(runs, chosen.trials), "", *(target.describe() for target in reached)]))
    return 0 if all(target.is_met for target in reached) else 1


if __name__ == "__main__":
    sys.exit(main())
