"""The best so far, over trials and over time."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.report.facts import Facts
from hpsearch.report.plot import BLUE, GREY, INK, Plot, finite, robust_range, titled
from hpsearch.search.history import TrialRecord
from hpsearch.trial import Json, TrialState


def best_so_far(facts: Facts, objective: int = 0) -> Iterator[tuple[int, float, float]]:
    """For each completed trial that was better than all before it: which of the ended trials it was (from 1), when (seconds), its value."""
    for place, trial, value in facts.seen.improvements(objective):
        assert trial.ended_ms is not None
        yield place, facts.clock(trial.ended_ms), value


def progress_plots(facts: Facts) -> Iterator[Plot]:
    """Two figures for each objective; none before a trial has completed."""
    for i, objective in enumerate(facts.seen.history.objectives):
        if not (steps := list(best_so_far(facts, i))):
            continue
        rivals = {t.number for t in facts.rated if t.state is TrialState.COMPLETED}
        trials = [(place, t) for place, t in enumerate(facts.ended, 1) if t.number in rivals]
        shown = {t.number for t in facts.some([t for _, t in trials])}
        marks = [(place, t) for place, t in trials if t.number in shown]
        scale = robust_range([facts.value(t, i) for _, t in trials], objective.goal)
        y = titled(objective.metric, **({"range": scale} if scale else {}))
        last = len(facts.ended)
        yield Plot(
            f"best-over-trials-{i}",
            f"Best {objective.metric} over trials",
            "The line is the best so far; each dot is a completed trial.",
            _traces(facts, i, [(x, v) for x, _, v in steps], last, [(place, t) for place, t in marks]),
            {"xaxis": titled("trials ended"), "yaxis": y},
        )
        timed = [(facts.clock(t.ended_ms), t) for _, t in marks if t.ended_ms is not None]
        yield Plot(
            f"best-over-time-{i}",
            f"Best {objective.metric} over time",
            "The time between a stop and a resume does not count.",
            _traces(facts, i, [(x, v) for _, x, v in steps], facts.clock.total_s, timed),
            {"xaxis": titled("seconds"), "yaxis": y},
        )


def _traces(
    facts: Facts, i: int, steps: list[tuple[float, float]], last: float, marks: list[tuple[float, TrialRecord]]
) -> list[dict[str, Json]]:
    stairs = [*steps, (last, steps[-1][1])]
    traces: list[dict[str, Json]] = [
        {
            "type": "scatter", "mode": "markers", "name": "trials",
            "x": [finite(x) for x, _ in marks], "y": [finite(facts.value(t, i)) for _, t in marks],
            "customdata": [t.number for _, t in marks], "hovertemplate": "trial %{customdata}: %{y}<extra></extra>",
            "marker": {"color": GREY, "size": 6, "opacity": 0.55},
        },
        {
            "type": "scatter", "mode": "lines", "name": "best so far", "line": {"shape": "hv", "color": BLUE, "width": 2.5},
            "x": [finite(x) for x, _ in stairs], "y": [finite(v) for _, v in stairs], "hovertemplate": "best so far: %{y}<extra></extra>",
        },
    ]  # fmt: skip
    return [*traces, *_baseline(facts, i, last)]


def _baseline(facts: Facts, i: int, last: float) -> Iterator[dict[str, Json]]:
    if facts.baseline is not None:
        value = finite(facts.value(facts.baseline, i))
        yield {
            "type": "scatter", "mode": "lines", "name": "baseline", "x": [0, finite(last)], "y": [value, value],
            "line": {"color": INK, "dash": "dash", "width": 1.5}, "hovertemplate": "baseline: %{y}<extra></extra>",
        }  # fmt: skip
