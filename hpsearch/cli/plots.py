"""Small plots of text, and the numbers that stand in for them where a terminal has no letters for blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from hpsearch.cli.styles import state_text
from hpsearch.cli.words import listed, number
from hpsearch.trial import TrialState
from hpsearch.words import count

_HEIGHTS = "▁▂▃▄▅▆▇█"
_LENGTHS = "▏▎▍▌▋▊▉█"
_WIDEST = 40
_MOST_NUMBERS = 6


def curve(console: Console, values: Sequence[float], width: int = _WIDEST) -> Text:
    """A curve as the console can show it, in at most `width` columns."""
    return Text(numbers(values, width) if console.options.ascii_only else sparkline(values, width), style="cyan")


class Curve:
    """A curve as a cell of a table: it fills its column, up to 40."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = values

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, self._drawn(console, options).cell_len)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._drawn(console, options)

    def _drawn(self, console: Console, options: ConsoleOptions) -> Text:
        return curve(console, self._values, min(_WIDEST, options.max_width))


def sparkline(values: Sequence[float], width: int = _WIDEST) -> str:
    """A curve as a line of blocks, at most `width` of them, from its least finite value to its greatest.

    One that is longer is cut into `width` pieces, each shown by its last finite value. Where there is none, there is a gap.
    """
    shown = [_last_finite(piece) for piece in _pieces(values, width)]
    finite = [v for v in shown if v is not None]
    return "".join(" " if v is None else _height(v, min(finite), max(finite)) for v in shown)


def numbers(values: Sequence[float], width: int = _WIDEST) -> str:
    """As many of a curve's values, six at most, as have room in `width` columns: the last, the first, then those between."""
    for most in range(min(_MOST_NUMBERS, len(values)), 0, -1):
        places = [round(i * (len(values) - 1) / (most - 1)) for i in range(most)] if most > 1 else [-1]
        if len(text := " ".join(number(values[place]) for place in places)) <= width:
            return text
    return ""


def _pieces(values: Sequence[float], width: int) -> list[Sequence[float]]:
    many = min(width, len(values))
    return [values[i * len(values) // many : (i + 1) * len(values) // many] for i in range(many)]


def _last_finite(piece: Sequence[float]) -> float | None:
    return next((v for v in reversed(piece) if math.isfinite(v)), None)


def _height(value: float, low: float, high: float) -> str:
    return _HEIGHTS[min(len(_HEIGHTS) - 1, int(_share(value, low, high) * len(_HEIGHTS)))]


def _share(value: float, low: float, high: float) -> float:
    """Where between the two a value lies, from 0 to 1; in the middle where they are the same."""
    if low == high:
        return 0.5
    if math.isinf(high - low):
        return _share(value / 2, low / 2, high / 2)
    return (value - low) / (high - low)


def range_in_words(values: Sequence[float], noun: str) -> str:
    """`0.963 to 0.9815 over 60 trials`: the first finite value and the last of a curve that has some."""
    finite = [v for v in values if math.isfinite(v)]
    ends = dict.fromkeys([number(finite[0]), number(finite[-1])])
    return f"{' to '.join(ends)} over {count(len(values), noun)}"


def state_bars(console: Console, counts: Mapping[str, int], width: int) -> Text:
    """Trials by state: a line each, with a bar in the state's colour; the longest is at most `width` columns with its words, and 60."""
    if console.options.ascii_only or not counts:
        return Text(listed(counts) or "none yet")
    most = max(counts.values())
    digits, letters = len(str(most)), max(map(len, counts))
    room = max(1, min(width, 60) - digits - letters - 2)
    return Text("\n").join(_state_bar(TrialState(state), n, digits, letters, room * n / most) for state, n in counts.items())


def _state_bar(state: TrialState, n: int, digits: int, letters: int, length: float) -> Text:
    name = state_text(state)
    return Text.assemble(f"{n:>{digits}} ", name, " " * (letters - len(name) + 1), (_bar(length), name.style))


def _bar(length: float) -> str:
    """So many columns of blocks, to an eighth; at least one eighth."""
    eighths = max(1, round(length * len(_LENGTHS)))
    whole, rest = divmod(eighths, len(_LENGTHS))
    return _LENGTHS[-1] * whole + (_LENGTHS[rest - 1] if rest else "")
