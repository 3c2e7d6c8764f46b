"""Several sweeps beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.config.home import Home
from hpsearch.errors import InputError
from hpsearch.ledger.face import Ledger
from hpsearch.report.facts import Facts
from hpsearch.report.page import render, replace_file
from hpsearch.report.plot import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILLION, Plot, finite, letters, titled
from hpsearch.report.progress import best_so_far
from hpsearch.trial import Json

FEWEST = 2
MOST = 20

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, INK, GREY)
_DASHES = ("solid", "dash", "dot")


@dataclass(frozen=True, slots=True)
class Standing:
    """What one sweep came to, in the objective that all have first. Times in seconds; `gain` is how much better than the baseline."""

    name: str
    state: str
    best: float | None
    baseline: float | None
    gain: float | None
    trials: Mapping[str, int]
    epochs: int
    time_s: float
    training_s: float

    def to_json(self) -> dict[str, Json]:
        """Flat, as `compare --json` gives it."""
        return {
            "sweep": self.name, "state": self.state, "best": self.best, "baseline": self.baseline, "gain": self.gain,
            "trials": dict(self.trials), "epochs": self.epochs, "time_s": round(self.time_s, 3), "training_s": round(self.training_s, 3),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """The sweeps in the order that they were named. `metric` and `goal`: of the objective that they are compared by."""

    metric: str
    goal: str
    standings: Sequence[Standing]
    sweeps: Sequence[Facts]

    @property
    def winner(self) -> Standing | None:
        """The one with the best trial, the first of equals; None where no trial has completed."""
        known = [s for s in self.standings if s.best is not None]
        sign = -1 if self.goal == "maximize" else 1
        return min(known, key=lambda s: sign * (s.best or 0.0)) if known else None


def compare(ledger: Ledger, names: Sequence[str]) -> Comparison:
    """Raises `InputError`: fewer than two or too many sweeps, one of them twice or unknown, or different objectives."""
    if not FEWEST <= len(names) <= MOST:
        raise InputError(f"compare takes {FEWEST} to {MOST} sweeps, got {len(names)}; for example: hpsearch compare first second")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{twice!r} is named twice; name each sweep once")
    sweeps = [Facts.read(ledger, name) for name in names]
    first = sweeps[0].seen.history.objectives[0]
    for facts in sweeps[1:]:
        other = facts.seen.history.objectives[0]
        if (other.metric, other.goal) != (first.metric, first.goal):
            raise InputError(
                f"{facts.name!r} {other.goal}s {other.metric}, and {sweeps[0].name!r} {first.goal}s {first.metric}; "
                "compare sweeps that have the same first objective"
            )
    return Comparison(first.metric, first.goal, [_standing(facts) for facts in sweeps], sweeps)


def _standing(facts: Facts) -> Standing:
    objective = facts.seen.history.objectives[0]
    values = [v for _, _, v in best_so_far(facts)]
    best = values[-1] if values else None
    baseline = finite(facts.value(facts.baseline)) if facts.baseline else None
    gain = None if best is None or baseline is None else (best - baseline) * (1 if objective.goal == "maximize" else -1)
    return Standing(
        facts.name, facts.seen.state, best, baseline, gain, facts.seen.counts(), facts.cost.epochs, facts.clock.total_s, facts.cost.busy_s
    )


def write_comparison(home: Home, comparison: Comparison, output: Path | None = None) -> Path:
    """Write its page; by default into `<home>/reports/`, under the sweeps' names. Raises `InputError` where that cannot be."""
    name = "-vs-".join(s.name for s in comparison.standings)
    path = home.report_of(name if len(name) <= 120 else f"{name[:119]}…") if output is None else output
    replace_file(path, html_of(comparison))
    return path


def html_of(comparison: Comparison) -> str:
    """The page."""
    plots = {"progress": list(_plots(comparison))}
    winner = comparison.winner
    states = list(dict.fromkeys(state for s in comparison.standings for state in s.trials))
    content = {"comparison": comparison, "winner": winner, "plots": plots, "states": states}
    return render("compare.html", " · ".join(s.name for s in comparison.standings), content, plots, {})


def _plots(comparison: Comparison) -> Iterator[Plot]:
    runs = [(facts, list(best_so_far(facts))) for facts in comparison.sweeps]
    if not any(steps for _, steps in runs):
        return
    for key, title, x_title, place in (("trials", "trials", "trials ended", 0), ("time", "time", "seconds", 1)):
        yield Plot(
            f"best-over-{key}",
            f"Best {comparison.metric} over {title}",
            "The best so far of each sweep.",
            [_trace(i, facts, [(step[place], step[2]) for step in steps], place) for i, (facts, steps) in enumerate(runs) if steps],
            {"xaxis": titled(x_title), "yaxis": titled(comparison.metric)},
            height=420,
        )


def _trace(i: int, facts: Facts, steps: Sequence[tuple[float, float]], place: int) -> dict[str, Json]:
    """Twenty sweeps are told apart by colour and dash."""
    stairs = [*steps, (len(facts.ended) if place == 0 else facts.clock.total_s, steps[-1][1])]
    return {
        "type": "scatter", "mode": "lines", "name": letters(facts.name, 40),
        "line": {"shape": "hv", "width": 2.5, "color": _COLOURS[i % len(_COLOURS)], "dash": _DASHES[i // len(_COLOURS)]},
        "x": [finite(x) for x, _ in stairs], "y": [finite(v) for _, v in stairs],
        "text": [letters(facts.name, 40)] * len(stairs), "hovertemplate": "%{text}: %{y}<extra></extra>",
    }  # fmt: skip
