"""What each worker did when, and why trials failed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpsearch.overview import Attempt
from hpsearch.report.facts import WENT_WRONG, Facts
from hpsearch.report.plot import FAINT, STATE_COLOURS, VERMILLION, Plot, finite, letters, titled
from hpsearch.trial import Json, TrialState
from hpsearch.words import duration

_REASONS = (*WENT_WRONG, TrialState.INFEASIBLE, TrialState.CANCELLED)
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def timeline_plot(facts: Facts) -> Iterator[Plot]:
    """A row for each place, a bar for each attempt."""
    bars = [(trial, a) for trial, tries in facts.attempts.items() for a in tries if a.begun_ms is not None]
    if not bars:
        return
    places = sorted({a.place for _, a in bars}, key=_natural)
    row = {place: i for i, place in enumerate(places)}
    by_state: dict[TrialState, list[tuple[int, Attempt]]] = defaultdict(list)
    for trial, attempt in bars:
        by_state[attempt.state].append((trial, attempt))
    yield Plot(
        "timeline",
        "Workers",
        "What each worker trained when; a gap is a worker that waited."
        + (" Dotted lines: here the sweep was resumed." if facts.clock.breaks_s else ""),
        [_bars(facts, state, by_state[state], row) for state in TrialState if state in by_state],
        {
            "barmode": "overlay",
            "bargap": 0.25,
            "xaxis": titled("seconds"),
            "yaxis": {
                "tickvals": list(row.values()), "ticktext": [letters(p, 20) for p in places], "autorange": "reversed", "showgrid": False,
                "zeroline": False,
            },
            "shapes": [_resumed(finite(at)) for at in facts.clock.breaks_s],
            "hovermode": "closest",
        },
        height=150 + max(26, min(48, 600 // len(places))) * len(places),
    )  # fmt: skip


def _resumed(at: float | None) -> dict[str, Json]:
    line = {"dash": "dot", "color": FAINT}
    return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _natural(name: str) -> list[tuple[int, int, str]]:
    """`worker 2` comes before `worker 10`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def _bars(facts: Facts, state: TrialState, bars: Sequence[tuple[int, Attempt]], row: dict[str, int]) -> dict[str, Json]:
    spans = [(facts.clock(a.begun_ms or 0), facts.clock(a.ended_ms) if a.ended_ms else facts.clock.total_s) for _, a in bars]
    return {
        "type": "bar", "orientation": "h", "name": str(state).replace("_", " "),
        "y": [row[a.place] for _, a in bars], "base": [finite(begin) for begin, _ in spans],
        "x": [finite(max(end - begin, 0.0)) for begin, end in spans],
        "text": [_told(trial, attempt, end - begin) for (trial, attempt), (begin, end) in zip(bars, spans, strict=True)],
        "textposition": "none", "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
        "marker": {"color": STATE_COLOURS[state], "line": {"width": 0}},
    }  # fmt: skip


def _told(trial: int, attempt: Attempt, seconds: float) -> str:
    return f"trial {trial}{f', attempt {attempt.number}' if attempt.number > 1 else ''}: {duration(seconds)}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Trials that ended badly for one reason, up to its numbers; `reason` is that of the first."""

    state: TrialState
    reason: str
    trials: tuple[int, ...]


def failures(facts: Facts) -> list[Failure]:
    """The most frequent first."""
    groups: dict[tuple[TrialState, str], list[int]] = defaultdict(list)
    said: dict[tuple[TrialState, str], str] = {}
    for trial in facts.seen.history.in_state(*_REASONS):
        reason = next(iter((trial.reason or "").strip().splitlines()), "") or "no reason was given"
        key = (trial.state, _NUMBER.sub("#", reason))
        groups[key].append(trial.number)
        said.setdefault(key, reason)
    found = [Failure(key[0], said[key], tuple(numbers)) for key, numbers in groups.items()]
    return sorted(found, key=lambda f: (-len(f.trials), f.trials))


def failures_plot(found: Sequence[Failure], most: int = 12) -> Iterator[Plot]:
    """A bar for each reason."""
    if not found:
        return
    shown = found[:most][::-1]
    yield Plot(
        "failures",
        "Why trials failed",
        "Trials by state and reason; reasons that differ in numbers alone are one."
        + (f" The {most} most frequent of {len(found)}." if len(found) > most else ""),
        [
            {
                "type": "bar", "orientation": "h", "x": [len(f.trials) for f in shown], "y": list(range(len(shown))),
                "text": [str(len(f.trials)) for f in shown], "textposition": "outside", "cliponaxis": False, "hoverinfo": "none",
                "marker": {"color": [STATE_COLOURS[f.state] if f.state is not TrialState.CANCELLED else VERMILLION for f in shown]},
            }
        ],
        {
            "xaxis": {"visible": False, "range": [0, 1.15 * len(found[0].trials)]},
            "yaxis": {
                "tickvals": list(range(len(shown))), "showgrid": False, "zeroline": False,
                "ticktext": [letters(f"{str(f.state).replace('_', ' ')}: {f.reason}", 34) for f in shown],
            },
            "showlegend": False,
        },
        height=90 + 30 * len(shown),
    )  # fmt: skip
