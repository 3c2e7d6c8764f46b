"""How numbers, times and comparisons are written for people, wherever they are read."""

from __future__ import annotations

from datetime import UTC, datetime

from hpsearch.trial import Json, Objective

NONE = "–"


def number(value: object) -> str:
    """`0.9815`, `12,480`, `1e-05`; a dash where there is none."""
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def value_text(value: Json) -> str:
    """A hyperparameter's value."""
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or "[]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """`0.4 s`, `41 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`."""
    return " ".join(f"{n} {unit}" for n, unit in in_units(seconds))


def in_units(seconds: float) -> list[tuple[float, str]]:
    """The one or two units that a time is told in: `[(3, "min"), (12, "s")]`."""
    if seconds < 10:
        return [(round(max(float(seconds), 0.0), 1), "s")]
    whole = round(seconds)
    if whole < 60:
        return [(whole, "s")]
    if whole < 3600:
        parts = [(whole // 60, "min"), (whole % 60, "s")]
    elif whole < 86_400:
        parts = [(whole // 3600, "h"), (whole // 60 % 60, "min")]
    else:
        parts = [(whole // 86_400, "d"), (whole // 3600 % 24, "h")]
    return [part for part in parts if part[0]]


def count(n: int, noun: str) -> str:
    """`1 trial`, `1,200 trials`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def day(ms: int) -> str:
    """`26 November 2026, 19:02 UTC`."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def share(part: float, whole: float) -> str:
    """`31 %`; empty where there is no whole."""
    return f"{100 * part / whole:.0f} %" if whole else ""


def gain(objective: Objective, best: float, baseline: float) -> str:
    """`better than the baseline's 0.963 by 0.0185 (1.9 %)`."""
    if best == baseline:
        return f"equal to the baseline's {number(baseline)}"
    word = "better" if objective.better(best, baseline) else "worse"
    percent = 100 * abs(best - baseline) / abs(baseline) if baseline else None
    relative = "" if percent is None else f" ({percent:.2g} %)" if percent < 99.5 else f" ({percent:,.0f} %)"
    return f"{word} than the baseline's {number(baseline)} by {abs(best - baseline):.3g}{relative}"
