"""Learning curves of all trials: a line each, in as few traces as there are kinds of line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hpsearch.report.facts import WENT_WRONG, Facts
from hpsearch.report.plot import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILLION, Plot, finite, robust_range, titled
from hpsearch.search.history import TrialRecord
from hpsearch.trial import Json, TrialState

MOST_POINTS = 40_000
"""Of all curves of a figure together; long ones are thinned to it."""

_CROWD = 200
"""So many lines are drawn thinner."""


def curve_plots(facts: Facts) -> Iterator[Plot]:
    """A figure for each objective; none before the first report."""
    if not facts.rated:
        return
    each = max(8, MOST_POINTS // len(facts.rated))
    for i, objective in enumerate(facts.seen.history.objectives):
        values = [v for t in facts.rated for v in t.curve(objective.metric)]
        scale = robust_range(values, objective.goal)
        yield Plot(
            f"curves-{i}",
            f"{objective.metric} of every trial",
            "A line for each trial; a dot where the scheduler stopped it.",
            list(_traces(facts, objective.metric, each)),
            {
                "xaxis": titled("epoch"),
                "yaxis": titled(objective.metric, **({"range": scale} if scale else {})),
                "hovermode": "closest",
            },
            height=440,
        )


def _traces(facts: Facts, metric: str, each: int) -> Iterator[dict[str, Json]]:
    best, baseline = facts.best[:1], facts.baseline
    bold = {t.number for t in best} | ({baseline.number} if baseline else set())
    others = [t for t in facts.rated if t.number not in bold]
    groups = {
        "pruned": ([t for t in others if t.state is TrialState.PRUNED], GREY, 0.6),
        "went wrong": ([t for t in others if t.state in WENT_WRONG], VERMILLION, 0.7),
        "completed": ([t for t in others if t.state is TrialState.COMPLETED], BLUE, 0.6),
        "not ended": ([t for t in others if not t.state.is_terminal or t.state is TrialState.CANCELLED], PURPLE, 0.6),
    }
    for name, (trials, colour, opacity) in groups.items():
        if trials:
            is_crowd = len(trials) > _CROWD
            yield _lines(name, trials, metric, each, {"color": colour, "width": 0.4 if is_crowd else 1}, opacity)
    if ends := [t for t in others if t.state is TrialState.PRUNED]:
        yield _pruned_at(ends, metric)
    if baseline is not None:
        yield _lines("baseline", [baseline], metric, 1_000, {"color": INK, "dash": "dash", "width": 2})
    if best and best != [baseline]:
        what = "best" if len(facts.seen.history.objectives) == 1 else "on the front"
        yield _lines(f"{what} (trial {best[0].number})", best, metric, 1_000, {"color": GREEN, "width": 3})


def _lines(name: str, trials: Iterable[TrialRecord], metric: str, each: int, line: Json, opacity: float = 1.0) -> dict[str, Json]:
    """Their curves one after another, with a gap between two."""
    x: list[int | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial in trials:
        curve = trial.curve(metric)
        steps = _thinned(len(curve), each)
        x += [*(step + 1 for step in steps), None]
        y += [*(finite(curve[step]) for step in steps), None]
        numbers += [*(trial.number for _ in steps), None]
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "customdata": numbers, "line": line, "opacity": opacity,
        "hovertemplate": "trial %{customdata}, epoch %{x}: %{y}<extra></extra>",
    }  # fmt: skip


def _pruned_at(trials: Sequence[TrialRecord], metric: str) -> dict[str, Json]:
    size = 6 if len(trials) <= _CROWD else 3
    return {
        "type": "scatter", "mode": "markers", "name": "pruned here", "marker": {"color": ORANGE, "size": size, "opacity": 0.8},
        "x": [t.step for t in trials], "y": [finite(t.curve(metric)[-1]) for t in trials], "customdata": [t.number for t in trials],
        "hovertemplate": "trial %{customdata} was pruned after epoch %{x} at %{y}<extra></extra>",
    }  # fmt: skip


def _thinned(length: int, most: int) -> list[int]:
    """Which of its steps are drawn, the first and the last among them."""
    if length <= most:
        return list(range(length))
    return sorted({round(i * (length - 1) / (most - 1)) for i in range(most)})
