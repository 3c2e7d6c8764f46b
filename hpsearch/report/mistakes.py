"""What the winner gets wrong: its re-tests' mistakes on examples that no search has seen, put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hpsearch.report.facts import Facts
from hpsearch.report.plot import BLUE, INK, SCALE, Plot, finite, letters, titled
from hpsearch.tasks.mistakes import Confusion, Mistakes, Residuals, read
from hpsearch.trial import Json, TrialKind, TrialState
from hpsearch.words import count

MOST_CLASSES = 40
"""In the picture: those that are confused most."""

_MOST_NUMBERS = 15
"""Classes up to which each square has its number written in it."""


def mistakes_plots(facts: Facts, outputs: Path) -> Iterator[Plot]:
    """A confusion matrix, or residuals. `outputs`: the folder of what the sweep's trials have left."""
    found = left_by_retests(facts, outputs)
    if confusions := _alike([one for one in found if isinstance(one, Confusion)]):
        yield _matrix(confusions)
    if residuals := [one for one in found if isinstance(one, Residuals)]:
        yield _residuals(residuals)


def left_by_retests(facts: Facts, outputs: Path) -> list[Mistakes]:
    """Of the winner, in order of their numbers."""
    if facts.winner is None:
        return []
    retests = [
        t.number
        for t in facts.seen.history.in_state(TrialState.COMPLETED)
        if t.kind is TrialKind.RETEST and t.parent == facts.winner.trial.number
    ]
    return [found for number in retests if (found := read(outputs / f"trial-{number:05d}")) is not None]


def _alike(found: Sequence[Confusion]) -> list[Confusion]:
    """Those of the same classes on the same split as the first."""
    return [one for one in found if (one.classes, one.split) == (found[0].classes, found[0].split)]


def _matrix(found: Sequence[Confusion]) -> Plot:
    counts = np.sum([one.counts for one in found], axis=0)
    shown = _most_confused(counts)
    part, names = counts[np.ix_(shown, shown)], [letters(found[0].classes[i], 24) for i in shown]
    of_row = counts.sum(axis=1)[shown, None]
    shares = np.divide(part, of_row, out=np.zeros(part.shape), where=of_row > 0)
    right, whole = int(np.trace(counts)), int(counts.sum())
    places = list(range(len(names)))
    axis: dict[str, Json] = {"tickvals": places, "ticktext": names, "constrain": "domain"}
    fewer = f" The {len(names)} classes that are confused most, of {len(counts)}." if len(names) < len(counts) else ""
    return Plot(
        "mistakes",
        f"What the winner takes for what, {_on(found)}",
        f"{right:,} of {whole:,} are right ({100 * right / max(whole, 1):.1f} %). "
        f"A row is a true class: the stronger the blue, the larger its share.{fewer}",
        [
            {
                "type": "heatmap", "x": places, "y": places, "z": [[finite(v) for v in row] for row in shares.tolist()],
                "zmin": 0, "zmax": 1, "colorscale": SCALE, "showscale": False, "xgap": 1, "ygap": 1,
                "customdata": [[[names[i], names[j], n] for j, n in enumerate(row)] for i, row in enumerate(part.tolist())],
                "hovertemplate": "%{customdata[2]} of class %{customdata[0]} are taken for %{customdata[1]} (%{z:.1%})<extra></extra>",
                **({"text": part.tolist(), "texttemplate": "%{text}"} if len(names) <= _MOST_NUMBERS else {}),
            }
        ],
        {"xaxis": titled("predicted", **axis, showgrid=False), "yaxis": titled("true", **axis, autorange="reversed", showgrid=False)},
        height=min(760, 180 + 36 * len(names)),
        min_width=min(900, 120 + 36 * len(names)),
    )  # fmt: skip


def _most_confused(counts: np.ndarray) -> list[int]:
    """The rows and columns to be shown, in their order."""
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    return sorted(np.argsort(-wrong, kind="stable")[:MOST_CLASSES].tolist())


def _residuals(found: Sequence[Residuals]) -> Plot:
    true = [value for one in found for value in one.true]
    errors = [p - t for one in found for t, p in zip(one.true, one.predicted, strict=True)]
    known = [t for t in true if finite(t) is not None] or [0.0]
    target = found[0].target
    return Plot(
        "mistakes",
        f"How far off the winner is, {_on(found)}",
        "A dot is an example: where it lies above the line, the prediction is too high. "
        "Dots that fan out or follow a curve are a pattern that the network has missed.",
        [
            {
                "type": "scatter", "mode": "markers", "showlegend": False, "x": [finite(t) for t in true], "y": [finite(e) for e in errors],
                "marker": {"color": BLUE, "size": 5, "opacity": 0.6}, "hovertemplate": "true %{x}, off by %{y}<extra></extra>",
            },
            {
                "type": "scatter", "mode": "lines", "showlegend": False, "hoverinfo": "skip",
                "x": [finite(min(known)), finite(max(known))], "y": [0, 0], "line": {"color": INK, "width": 1},
            },
        ],
        {"xaxis": titled(f"true {target}"), "yaxis": titled("predicted less true"), "hovermode": "closest"},
    )  # fmt: skip


def _on(found: Sequence[Mistakes]) -> str:
    """`on the test split, over 3 seeds`."""
    return f"on the {letters(found[0].split, 20)} split, over {count(len(found), 'seed')}"
