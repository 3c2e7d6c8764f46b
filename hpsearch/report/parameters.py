"""What mattered: importance, parallel coordinates, and a slice for each hyperparameter."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from hpsearch.report.axis import Axis
from hpsearch.report.facts import Facts
from hpsearch.report.plot import BLUE, FAINT, GREEN, GREY, ORANGE, Plot, finite, letters, robust_range
from hpsearch.search.history import TrialRecord
from hpsearch.trial import Json, TrialState
from hpsearch.words import number

MOST_AXES = 10
"""Of parallel coordinates: more are no longer followed by the eye."""

_MOST_LINES = 400
_MOST_MARKS = 12_000
"""Of all slices together."""

_UNSET = -0.14
"""Where a line passes the axis of a hyperparameter that its trial has not."""


def axes(facts: Facts, importance: Mapping[str, float]) -> list[Axis]:
    """The hyperparameters that may vary, the most important first, the others in the file's order."""
    parameters = facts.seen.config.space.parameters
    names = [*importance, *(name for name in parameters if name not in importance)]
    return [Axis(name, parameters[name]) for name in names]


def importance_plot(importance: Mapping[str, float], several: bool = False, most: int = 25) -> Iterator[Plot]:
    """Bars, the most important on top; nothing where it is not known. `several`: objectives."""
    if not importance:
        return
    shown = list(importance.items())[:most][::-1]
    yield Plot(
        "importance",
        "Importance",
        f"How much each hyperparameter decides whether a trial is {'near the Pareto front' if several else 'among the best tenth'} "
        "(PED-ANOVA); the shares sum to 100 %."
        + (f" The {most} most important of {len(importance)}." if len(importance) > most else ""),
        [
            {
                "type": "bar", "orientation": "h", "marker": {"color": BLUE},
                "x": [finite(100 * share) for _, share in shown], "y": list(range(len(shown))),
                "text": [f"{100 * share:.0f} %" for _, share in shown], "textposition": "outside", "cliponaxis": False,
                "hoverinfo": "none",
            }
        ],
        {
            "xaxis": {"visible": False, "range": [0, 115 * max(share for _, share in shown) or 1]},
            "yaxis": {
                "tickvals": list(range(len(shown))), "ticktext": [letters(n, 24) for n, _ in shown], "showgrid": False, "zeroline": False,
            },
            "showlegend": False,
            "bargap": 0.4,
        },
        height=max(420, 60 + 26 * len(shown)),
    )  # fmt: skip


def parallel_plot(facts: Facts, importance: Mapping[str, float]) -> Iterator[Plot]:
    """A line for each completed trial across the axes of its hyperparameters, to its objectives at the right."""
    completed = [t for t in facts.rated if t.state is TrialState.COMPLETED]
    shown_axes = axes(facts, importance)[:MOST_AXES]
    if len(completed) < 2 or not shown_axes:
        return
    scales = [_Scale.of(facts, completed, i) for i in range(len(facts.seen.history.objectives))]
    count = len(shown_axes) + len(scales)
    shown = facts.some(completed, _MOST_LINES)
    more = len(facts.seen.config.space.parameters) - len(shown_axes)
    text = "A line is a completed trial; axes from the most important at the left to the objective at the right."
    text += f" The {len(shown_axes)} most important hyperparameters; {more} more are left out." if more else ""
    text += (
        f" {len(shown)} of {len(completed):,} trials: the best, and others spread over the search." if len(shown) < len(completed) else ""
    )
    yield Plot(
        "parallel",
        "Parallel coordinates",
        text,
        [_band(facts, name, group, shown_axes, scales, style) for name, group, style in _bands(facts, shown)],
        {
            "xaxis": _names([a.name for a in shown_axes] + [s.metric for s in scales]),
            "yaxis": {"visible": False, "range": [-0.24, 1.1], "fixedrange": True},
            "shapes": [{"type": "line", "x0": i, "x1": i, "y0": 0, "y1": 1, "line": {"color": GREY, "width": 1}} for i in range(count)],
            "annotations": [*_ends(shown_axes, scales), *_unset(shown, shown_axes)],
            "hovermode": "closest",
            "legend": {"y": -0.02, "yanchor": "top"},
            "margin": {"l": 20, "r": 20, "t": 30, "b": 50},
        },
        height=440,
        min_width=100 * count,
    )


class _Scale:
    """An objective as an axis: the best on top."""

    def __init__(self, metric: str, index: int, worst: float, best: float) -> None:
        self.metric, self.index, self.worst, self.best = metric, index, worst, best

    @classmethod
    def of(cls, facts: Facts, trials: Sequence[TrialRecord], index: int) -> _Scale:
        objective = facts.seen.history.objectives[index]
        values = [v for t in trials if (v := finite(facts.value(t, index))) is not None] or [0.0]
        scale = robust_range(values, objective.goal) or [min(values), max(values)]
        low, high = max(scale[0], min(values)), min(scale[1], max(values))
        return cls(objective.metric, index, *((low, high) if objective.goal == "maximize" else (high, low)))

    def share(self, value: float | None) -> float | None:
        if (known := finite(value)) is None:
            return None
        return min(1.0, max(0.0, (known - self.worst) / (self.best - self.worst))) if self.best != self.worst else 1.0


def _bands(facts: Facts, trials: Sequence[TrialRecord]) -> list[tuple[str, list[TrialRecord], Json]]:
    """The trials by rank, the worst first, so that the best are drawn over the others."""
    sign = -1 if facts.seen.history.objectives[0].goal == "maximize" else 1
    ranked = sorted(trials, key=lambda t: (sign * v if (v := finite(facts.value(t))) is not None else float("inf"), t.number))
    tenth, half = max(1, len(ranked) // 10), max(1, len(ranked) // 2)
    groups = [
        ("the others", ranked[half:], {"color": FAINT, "width": 1}),
        ("better half", ranked[tenth:half], {"color": BLUE, "width": 1}),
        ("best tenth", ranked[:tenth], {"color": ORANGE, "width": 2.5}),
    ]
    return [(name, group, style) for name, group, style in groups if group]


def _band(
    facts: Facts, name: str, trials: Sequence[TrialRecord], shown_axes: Sequence[Axis], scales: Sequence[_Scale], style: Json
) -> dict[str, Json]:
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str | None] = []
    for trial in trials:
        jitter = random.Random(trial.number)
        places: list[float | None] = [_share(axis, trial, jitter) for axis in shown_axes]
        places += [scale.share(facts.value(trial, scale.index)) for scale in scales]
        told = [number(facts.value(trial, scale.index)) for scale in scales]
        x += [*range(len(places)), None]
        y += [*map(finite, places), None]
        texts += [*[f"trial {trial.number}: {', '.join(told)}"] * len(places), None]
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "text": texts, "line": style,
        "opacity": 1 if style["width"] > 1 else 0.5, "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _share(axis: Axis, trial: TrialRecord, jitter: random.Random) -> float:
    """Lines of one choice are spread a little: they would hide each other."""
    if axis.name not in trial.parameters:
        return _UNSET
    spread = 0.5 / axis.parameter.size * (jitter.random() - 0.5) if axis.is_choice and axis.parameter.size else 0.0
    return axis.share(trial.parameters[axis.name]) + spread


def _names(names: Sequence[str]) -> dict[str, Json]:
    return {
        "tickvals": list(range(len(names))), "ticktext": [letters(name, 18) for name in names], "side": "top", "showgrid": False,
        "zeroline": False, "range": [-0.4, len(names) - 0.6], "fixedrange": True, "tickangle": 0,
    }  # fmt: skip


def _ends(shown_axes: Sequence[Axis], scales: Sequence[_Scale]) -> Iterator[dict[str, Json]]:
    for i, axis in enumerate(shown_axes):
        if axis.is_choice and axis.parameter.size is not None and axis.parameter.size <= 8:
            yield from (_label(i, axis.share(v), axis.layout()["ticktext"][k]) for k, v in enumerate(axis.parameter.values_in_order()))
        else:
            low, high = axis.ends()
            yield from (_label(i, 0, letters(low, 14), below=True), _label(i, 1, letters(high, 14), above=True))
    for i, scale in enumerate(scales, len(shown_axes)):
        yield from (_label(i, 0, number(scale.worst), below=True), _label(i, 1, number(scale.best), above=True))


def _label(x: int, y: float, text: str, *, above: bool = False, below: bool = False) -> dict[str, Json]:
    """Beside its axis; what is at an end, above or below it."""
    place = {"xanchor": "center", "yanchor": "bottom" if above else "top"} if above or below else {"xanchor": "left", "xshift": 5}
    return {"x": x, "y": y, "text": text, "showarrow": False, "font": {"size": 11}, **place}


def _unset(trials: Sequence[TrialRecord], shown_axes: Sequence[Axis]) -> Iterator[dict[str, Json]]:
    for i, axis in enumerate(shown_axes):
        if any(axis.name not in t.parameters for t in trials):
            yield _label(i, _UNSET, "not set", below=True)


def slice_plots(facts: Facts, importance: Mapping[str, float]) -> Iterator[Plot]:
    """The first objective over each hyperparameter by itself."""
    shown_axes = axes(facts, importance)
    if not facts.rated or not shown_axes:
        return
    objective = facts.seen.history.objectives[0]
    trials = facts.some(
        [t for t in facts.rated if t.state in (TrialState.COMPLETED, TrialState.PRUNED)], max(60, min(600, _MOST_MARKS // len(shown_axes)))
    )
    scale = robust_range([facts.value(t) for t in trials], objective.goal)
    for i, axis in enumerate(shown_axes):
        share = f" · {100 * importance[axis.name]:.0f} % of importance" if axis.name in importance else ""
        yield Plot(
            f"slice-{i}",
            axis.name,
            f"{objective.metric}{share}",
            list(_slice(facts, axis, trials)),
            {
                "xaxis": axis.layout(),
                "yaxis": {**({"range": scale} if scale else {}), "zeroline": False},
                "hovermode": "closest",
                "showlegend": False,
            },
            height=250,
        )


def _slice(facts: Facts, axis: Axis, trials: Sequence[TrialRecord]) -> Iterator[dict[str, Json]]:
    having = [t for t in trials if axis.name in t.parameters]
    best = {t.number for t in facts.best}
    groups = (
        ([t for t in having if t.state is TrialState.PRUNED], {"color": GREY, "size": 5, "symbol": "circle-open"}, "pruned"),
        ([t for t in having if t.state is TrialState.COMPLETED and t.number not in best], {"color": BLUE, "size": 6, "opacity": 0.7}, ""),
        ([t for t in having if t.number in best], {"color": GREEN, "size": 12, "symbol": "star"}, "the best"),
    )
    for group, marker, word in groups:
        yield {
            "type": "scatter", "mode": "markers", "marker": marker,
            "x": [_spread(axis, t) for t in group], "y": [finite(facts.value(t)) for t in group], "customdata": [t.number for t in group],
            "hovertemplate": f"trial %{{customdata}}{', ' + word if word else ''}: %{{y}}<extra></extra>",
        }  # fmt: skip


def _spread(axis: Axis, trial: TrialRecord) -> float | None:
    place = axis.place(trial.parameters[axis.name])
    return finite(place + random.Random(trial.number).uniform(-0.18, 0.18)) if axis.is_choice else finite(place)
