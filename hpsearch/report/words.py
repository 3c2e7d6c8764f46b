"""How numbers and times are written on the page."""

from __future__ import annotations

from datetime import UTC, datetime

from hpsearch.trial import Json

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
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole, 60, "min", "s")
    if whole < 86_400:
        return _two(whole // 60, 60, "h", "min")
    return _two(whole // 3600, 24, "d", "h")


def _two(whole: int, base: int, large: str, small: str) -> str:
    more, rest = divmod(whole, base)
    return f"{more} {large} {rest} {small}" if rest else f"{more} {large}"


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
