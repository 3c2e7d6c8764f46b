"""The objective over the two hyperparameters that matter most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hpsearch.report.axis import Axis
from hpsearch.report.facts import Facts
from hpsearch.report.parameters import axes
from hpsearch.report.plot import INK, PAPER, SCALE, Plot, finite, robust_range
from hpsearch.search.history import TrialRecord
from hpsearch.space import Categorical
from hpsearch.trial import Json, TrialState

FEWEST_TRIALS = 10
_GRID = 40
_WIDTH = 0.12
"""Of the kernel, as a share of an axis."""
_FARTHEST = 2.5
"""In widths: beyond it from every trial, nothing is said."""


def contour_plot(facts: Facts, importance: Mapping[str, float]) -> Iterator[Plot]:
    """A kernel's mean of the completed trials around each place; blank where none is near."""
    if len(importance) < 2:
        return
    a, b = axes(facts, importance)[:2]
    trials = [
        t for t in facts.rated
        if t.state is TrialState.COMPLETED and a.name in t.parameters and b.name in t.parameters and finite(facts.value(t)) is not None
    ]  # fmt: skip
    if len(trials) < FEWEST_TRIALS:
        return
    objective = facts.seen.history.objectives[0]
    values = np.array([facts.value(t) for t in trials], dtype=np.float64)
    if scale := robust_range(values.tolist(), objective.goal):
        values = values.clip(scale[0], scale[1])
    z = smoothed(_places(a, trials), _places(b, trials), values, _stops(a), _stops(b), a.is_choice, b.is_choice)
    surface: dict[str, Json] = {
        "type": "heatmap" if a.is_choice or b.is_choice else "contour",
        "x": _ticks(a), "y": _ticks(b), "z": [[finite(v) for v in row] for row in z.tolist()],
        "colorscale": SCALE, "reversescale": objective.goal == "minimize", "hovertemplate": "about %{z:.4g}<extra></extra>",
        "colorbar": {"thickness": 10, "outlinewidth": 0, "len": 0.9}, "connectgaps": False,
    }  # fmt: skip
    if surface["type"] == "contour":
        surface |= {"ncontours": 14, "line": {"width": 0.5, "color": PAPER}}
    marks = facts.some(trials)
    yield Plot(
        "contour",
        f"{a.name} and {b.name} together",
        f"{objective.metric} around each place, smoothed over completed trials (dots): the stronger the blue, the better. "
        "Blank where no trial is near.",
        [
            surface,
            {
                "type": "scatter", "mode": "markers", "showlegend": False,
                "x": [finite(a.place(t.parameters[a.name])) for t in marks], "y": [finite(b.place(t.parameters[b.name])) for t in marks],
                "customdata": [[t.number, finite(facts.value(t))] for t in marks],
                "hovertemplate": "trial %{customdata[0]}: %{customdata[1]}<extra></extra>",
                "marker": {"color": INK, "size": 5, "line": {"color": PAPER, "width": 1}},
            },
        ],
        {"xaxis": a.layout(), "yaxis": b.layout(), "hovermode": "closest"},
        height=420,
    )  # fmt: skip


def smoothed(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    values: NDArray[np.float64],
    at_x: NDArray[np.float64],
    at_y: NDArray[np.float64],
    x_is_choice: bool,
    y_is_choice: bool,
) -> NDArray[np.float64]:
    """The Gaussian kernel's mean at each place.

    Args:
        x, y, values: (trials,), the places as shares of the axes.
        at_x, at_y: (columns,) and (rows,).
        x_is_choice, y_is_choice: where they are, trials of another choice do not count.

    Returns:
        (rows, columns); NaN where no trial is near.

    Reference: Nadaraya, "On Estimating Regression", Theory of Probability and its Applications 9 (1964).
    """
    away_x = _away(at_x, x, x_is_choice)
    return np.array([_row(away_x + away_y, values) for away_y in _away(at_y, y, y_is_choice)])  # all at once would be large


def _row(squared: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of one row from squared distances (columns, trials), in widths of the kernel."""
    weights = np.exp(-squared / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: NDArray[np.float64] = (weights @ values) / weights.sum(axis=1)
    mean[squared.min(axis=1) > _FARTHEST**2] = np.nan
    return mean


def _away(stops: NDArray[np.float64], places: NDArray[np.float64], is_choice: bool) -> NDArray[np.float64]:
    """Squared distances (stops, trials), in widths of the kernel."""
    distance = np.abs(stops[:, None] - places[None, :])
    return np.where(distance < 1e-6, 0.0, np.inf) if is_choice else (distance / _WIDTH) ** 2


def _places(axis: Axis, trials: Sequence[TrialRecord]) -> NDArray[np.float64]:
    return np.array([axis.share(t.parameters[axis.name]) for t in trials])


def _stops(axis: Axis) -> NDArray[np.float64]:
    if isinstance(axis.parameter, Categorical):
        return np.array([axis.share(value) for value in axis.parameter.values])
    return np.linspace(0, 1, _GRID)


def _ticks(axis: Axis) -> list[float | None]:
    if isinstance(axis.parameter, Categorical):
        return [float(i) for i in range(len(axis.parameter.values))]
    return [finite(axis.value(float(share))) for share in _stops(axis)]
