"""One figure of the page, in plotly's terms: https://plotly.com/javascript/reference/."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hpsearch.trial import Json, TrialState

INK = "#1f2933"
BLUE = "#0072b2"
GREEN = "#009e73"
ORANGE = "#d98a00"
VERMILLION = "#c8500a"
PURPLE = "#a8568c"
GREY = "#8b95a1"
FAINT = "#c5ccd4"
PAPER = "#ffffff"

DARK = {
    INK: "#e6e9ed",
    BLUE: "#56b4e9",
    GREEN: "#2fc79a",
    ORANGE: "#f0b429",
    VERMILLION: "#ff8c5a",
    PURPLE: "#d99bc4",
    GREY: "#8793a1",
    FAINT: "#5a6673",
    PAPER: "#171b21",
    "#eef3f8": "#1d2731",
    "#bcd6ea": "#24455d",
    "#7fb3d9": "#2f6f9b",
    "#3b8bc0": "#4c9fd4",
    "#0b5a8c": "#a5dbff",
}
"""What the page puts in place of each colour where the reader's system is dark. The hues are those of Okabe and Ito, which people who
cannot tell red from green can tell apart."""

SCALE = [[0, "#eef3f8"], [0.25, "#bcd6ea"], [0.5, "#7fb3d9"], [0.75, "#3b8bc0"], [1, "#0b5a8c"]]
"""From worst to best."""

STATE_COLOURS = {
    TrialState.COMPLETED: BLUE,
    TrialState.PRUNED: GREY,
    TrialState.RUNNING: GREEN,
    TrialState.PAUSED: GREEN,
    TrialState.WAITING: FAINT,
    TrialState.DIVERGED: PURPLE,
    TrialState.FAILED: VERMILLION,
    TrialState.OUT_OF_MEMORY: INK,
    TrialState.TIMED_OUT: ORANGE,
    TrialState.INFEASIBLE: FAINT,
    TrialState.CANCELLED: FAINT,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure with its words. `title` and `text` are plain text; all text in `data` and `layout` has gone through `letters`.

    Attributes:
        key: its place in the page; letters, digits and dashes.
        height: in CSS pixels.
        min_width: in CSS pixels; on a narrower screen the figure, and not the page, scrolls sideways.
    """

    key: str
    title: str
    text: str
    data: Sequence[Json]
    layout: Json = field(default_factory=dict)
    height: int = 360
    min_width: int = 0


def letters(text: object, limit: int = 80) -> str:
    """`text` so that plotly, which takes some HTML in texts, shows it letter by letter; cut where it is long."""
    plain = "".join(c if c.isprintable() else " " for c in str(text))
    plain = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def finite(value: float | None) -> float | None:
    """Six digits of it, which is more than any screen shows; None, a gap in plotly, where it is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def titled(text: str, **axis: Json) -> dict[str, Json]:
    """An axis with a title that is plain text."""
    return {"title": {"text": letters(text)}, **axis}


def robust_range(values: Iterable[float | None], goal: str) -> list[float] | None:
    """A range for the objective's axis in which the few worst values, which may be any number, do not flatten all others.

    None leaves it to plotly: there are few values, or none is far off.
    """
    known = sorted(v for v in values if v is not None and math.isfinite(v))
    if len(known) < 8:
        return None
    low, high = known[0], known[-1]
    quarter, three = known[len(known) // 4], known[3 * len(known) // 4]
    reach = 3 * (three - quarter)
    if goal == "maximize" and reach > 0 and low < quarter - reach:
        low = quarter - reach
    elif goal == "minimize" and reach > 0 and high > three + reach:
        high = three + reach
    else:
        return None
    margin = 0.06 * (high - low)
    return [low - margin, high + margin]
