"""The Pareto front: what can be had of one objective at what of another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice

from hpsearch.report.facts import Facts
from hpsearch.report.plot import GREY, INK, ORANGE, Plot, finite, robust_range, titled
from hpsearch.trial import Json, TrialState

_MOST_PAIRS = 6


def front_plots(facts: Facts) -> Iterator[Plot]:
    """A figure for each pair of objectives; none where there is one objective."""
    objectives = facts.seen.history.objectives
    completed = [t for t in facts.rated if t.state is TrialState.COMPLETED]
    if not completed:
        return
    for i, j in islice(combinations(range(len(objectives)), 2), _MOST_PAIRS):
        axes = []
        for k in (i, j):
            scale = robust_range([facts.value(t, k) for t in completed], objectives[k].goal)
            axes.append(titled(f"{objectives[k].metric} ({objectives[k].goal})", zeroline=False, **({"range": scale} if scale else {})))
        yield Plot(
            f"front-{i}-{j}",
            f"{objectives[i].metric} against {objectives[j].metric}",
            "Trials on the front are those that no other beats in everything.",
            list(_traces(facts, i, j)),
            {"xaxis": axes[0], "yaxis": axes[1], "hovermode": "closest"},
            height=420,
        )


def _traces(facts: Facts, i: int, j: int) -> Iterator[dict[str, Json]]:
    front = sorted(facts.best, key=lambda t: (facts.value(t, i) or 0.0, t.number))
    on_it = {t.number for t in front}
    others = facts.some([t for t in facts.rated if t.state is TrialState.COMPLETED and t.number not in on_it])
    groups = [
        ("completed", others, {"color": GREY, "size": 6, "opacity": 0.6}),
        ("front", front, {"color": ORANGE, "size": 9}),
        (
            "baseline",
            [facts.baseline] if facts.baseline else [],
            {"color": INK, "size": 11, "symbol": "diamond-open", "line": {"width": 2}},
        ),
    ]
    for name, trials, marker in groups:
        if trials:
            is_line = name == "front" and len(facts.seen.history.objectives) == 2
            yield {
                "type": "scatter", "mode": "lines+markers" if is_line else "markers", "name": name, "marker": marker,
                "line": {"color": ORANGE, "width": 1, "dash": "dot"},
                "x": [finite(facts.value(t, i)) for t in trials], "y": [finite(facts.value(t, j)) for t in trials],
                "customdata": [t.number for t in trials], "hovertemplate": "trial %{customdata}: %{x}, %{y}<extra></extra>",
            }  # fmt: skip
