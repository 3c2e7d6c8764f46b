"""Every shipped sweep file in full: its baseline, its best, and whether it reaches the figure that its family promises.

`python -m benchmarks.families [NAME…] [--json]`; the exit status is 1 where a figure is missed, or took too long.
"""

from __future__ import annotations

import argparse
import json
import math
import operator
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.command import ROOT, run_hpsearch

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig
    from hpsearch.trial import Objective

FOLDER = ROOT / "search_spaces"
MOST_S = 180.0
"""How long a sweep may take on two quiet cores."""


@dataclass(frozen=True)
class Promise:
    """What the best trial of a file has to reach. A metric of the test split is measured by training it once more, as a re-test."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    def is_kept(self, value: float) -> bool:
        return all(_RELATIONS[sign](value, bound) for sign, bound in self._bounds())

    def __str__(self) -> str:
        return ", ".join(f"{self.metric} {sign} {bound:.4g}" for sign, bound in self._bounds())

    def _bounds(self) -> list[tuple[str, float]]:
        said = {">=": self.at_least, "<=": self.at_most, ">": self.above, "<": self.below}
        return [(sign, bound) for sign, bound in said.items() if bound is not None]


_RELATIONS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


PROMISES: Mapping[str, Promise] = {
    "breast_cancer_mlp": Promise("val_accuracy", at_least=0.97),
    "diabetes_mlp": Promise("test_r2", at_least=0.40),
    "digits_anomaly": Promise("val_auroc", at_least=0.90),
    "digits_clusters": Promise("val_nmi", at_least=0.75),
    "digits_cnn": Promise("val_accuracy", at_least=0.985),
    "digits_gan": Promise("val_frechet_ratio", at_most=0.2),
    "digits_function": Promise("val_accuracy", at_least=0.97),
    "keras_script": Promise("val_accuracy", at_least=0.96),
    "rows_lstm": Promise("val_accuracy", at_least=0.97),
    "series_gru": Promise("val_skill", at_least=0.3),
    "text_reviews": Promise("val_accuracy", at_least=0.97),
    "robust_digits": Promise("robust_accuracy", at_least=0.85),
}
"""By the name of a file that ships; every other one has to beat its baseline."""


@dataclass(frozen=True)
class Swept:
    """One file's sweep."""

    name: str
    task: str
    model: str
    metric: str
    baseline: float
    best: float
    trials: int
    wall_s: float
    promise: str
    reached: float
    is_kept: bool
    is_in_time: bool

    def line(self) -> str:
        """As a row of the table."""
        kept = "MISSED" if not self.is_kept else "kept" if self.is_in_time else "SLOW"
        return (
            f"{self.name:18} {self.task:20} {self.model:12} {self.metric:22} {self.baseline:9.4f} {self.best:9.4f} "
            f"{self.trials:6} {self.wall_s:7.1f}  {kept:6} {self.promise} (reached {self.reached:.4f})"
        )


HEAD = f"{'file':18} {'task':20} {'model':12} {'metric':22} {'baseline':>9} {'best':>9} {'trials':>6} {'seconds':>7}"


def sweep(file: Path, folder: Path) -> Swept:
    """Run a file in a home of its own."""
    from hpsearch import load

    config = load(file)
    home = ("--home", str(folder / "home"))
    result = run_hpsearch(folder, "run", str(file), *home)
    trials = run_hpsearch(folder, "show", config.name, *home)["trials"]
    promise = PROMISES.get(file.stem)
    objective = next((each for each in config.objectives if promise and each.metric == promise.metric), config.objectives[0])
    better = max if objective.goal == "maximize" else min
    best = better(result["best"], key=lambda trial: trial["values"][objective.metric])  # of a front, where there are several objectives
    value = best["values"][objective.metric]
    baseline = better(_baselines(trials, objective.metric), default=math.nan)
    promise = promise or _beats(objective.metric, objective.goal, baseline)
    if promise.metric.startswith("test_"):
        shown = run_hpsearch(folder, "show", config.name, str(best["trial"]), *home)
        reached = retested(config, shown, folder)[promise.metric]
    else:
        reached = value
    return Swept(
        file.stem, config.task.kind, model_of(config), objective.metric, baseline, value, len(trials),
        result["wall_s"], str(promise), reached, promise.is_kept(reached), result["wall_s"] <= MOST_S,
    )  # fmt: skip


def model_of(config: SweepConfig) -> str:
    """The family that is trained; - where the task brings its own code."""
    from hpsearch.tasks import TASKS

    return config.task.model or next(iter(TASKS[config.task.kind].models), "-")


def _baselines(trials: list[dict[str, Any]], metric: str) -> list[float]:
    """What they reached, where they came to a first report."""
    return [trial["values"][metric] for trial in trials if trial["kind"] == "baseline" and trial["values"]]


def _beats(metric: str, goal: str, baseline: float) -> Promise:
    return Promise(metric, above=baseline) if goal == "maximize" else Promise(metric, below=baseline)


def retested(config: SweepConfig, trial: Mapping[str, Any], folder: Path) -> Mapping[str, float]:
    """The metrics of a trial that is trained once more, with its own seed, and measured on the test split at the step that counts.

    Args:
        trial: as `show NAME TRIAL --json` has it.
    """
    from hpsearch.config.home import Home
    from hpsearch.plan import make_plan
    from hpsearch.training import run_assignment
    from hpsearch.trial import Assignment, Report, TrialKind

    plan = make_plan(config)
    plan.prepare(Home(folder / "retest", "", ""))
    steps: list[Mapping[str, float]] = []

    class Kept:
        def report(self, report: Report, last: bool) -> None:
            steps.append(report.metrics)

    number, until = trial["number"], counted_step(config.objectives[0], trial)
    assignment = Assignment(number, 1, TrialKind.RETEST, trial["params"], trial["seed"], until)
    run_assignment(plan.task, assignment, Kept(), folder / "checkpoints")
    return steps[-1]


def counted_step(objective: Objective, trial: Mapping[str, Any]) -> int:
    """The step at which the trial's objective was taken: its last, or with `at: best` its best, after which it may have over-fitted."""
    if objective.at == "last":
        return int(trial["steps"])
    curve: list[float] = trial["curves"][objective.metric]
    better = max if objective.goal == "maximize" else min
    return curve.index(better(curve)) + 1


def sweeps(names: list[str]) -> Iterator[Swept]:
    """One after another, a line each as they end."""
    files = sorted(file for file in FOLDER.glob("*.yaml") if not names or file.stem in names)
    for file in files:
        with tempfile.TemporaryDirectory(prefix="hpsearch-families-") as folder:
            swept = sweep(file, Path(folder))
        print(swept.line(), file=sys.stderr, flush=True)
        yield swept


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of search_spaces, without .yaml (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - {file.stem for file in FOLDER.glob("*.yaml")}):
        parser.error(f"search_spaces/ has no {', '.join(unknown)}")
    print(HEAD, file=sys.stderr)
    done = list(sweeps(chosen.names))
    if chosen.json:
        print(json.dumps([asdict(each) for each in done]))
    else:
        print("\n".join([HEAD, *(each.line() for each in done)]))
    return 0 if all(each.is_kept and each.is_in_time for each in done) else 1


if __name__ == "__main__":
    sys.exit(main())
