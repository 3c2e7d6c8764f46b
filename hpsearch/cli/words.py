"""How numbers, times, names and comparisons are written where space is dear, and text from outside is not to be trusted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from hpsearch.trial import Json, Objective
from hpsearch.words import in_units

_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")


def clean(text: object) -> str:
    """Text from outside (names, values, messages) without what would steer a terminal; line breaks and tabs stay."""
    plain = _ANSI.sub("", str(text))
    return "".join(c for c in plain if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))


def number(value: object, digits: int = 4) -> str:
    """`0.9815`, `64`, `1e-05`; anything that is no float as it is."""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return clean(value)


def rate(per_second: float) -> str:
    """`182`, `7.3`, `0.05`."""
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.2g}"


def short(value: Json) -> str:
    """A parameter's value where space is dear."""
    return number(value, 3).replace(" ", "")


_SHORT_UNITS = {"d": "d", "h": "h", "min": "m", "s": "s"}


def duration(seconds: float) -> str:
    """`0.4s`, `41s`, `3m12s`, `2h05m`, `3d04h`."""
    (first, unit), *rest = in_units(seconds)
    return f"{first}{_SHORT_UNITS[unit]}" + "".join(f"{n:02.0f}{_SHORT_UNITS[unit]}" for n, unit in rest)


def clock(seconds: float) -> str:
    """`0:42`, `1:02:05`."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def moment(ms: int | None) -> str:
    """`2026-11-03 12:00:00`, UTC; empty where there is none."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(ms: int | None) -> str | None:
    """Milliseconds since 1970 as `2026-11-03T12:00:00.000Z`."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def listed(counts: Mapping[str, int], separator: str = ", ") -> str:
    """`31 completed, 29 pruned`."""
    return separator.join(f"{n} {str(state).replace('_', ' ')}" for state, n in counts.items() if n)


def gain_in_short(objective: Objective, best: float, baseline: float) -> str:
    """`0.019 better than the baseline's 0.963`."""
    if best == baseline:
        return f"equal to the baseline's {number(baseline)}"
    word = "better" if objective.better(best, baseline) else "worse"
    return f"{number(abs(best - baseline), 2)} {word} than the baseline's {number(baseline)}"


def inline(parameters: Mapping[str, Json], names: Mapping[str, str]) -> str:
    """`lr=0.0123 bs=64`: the parameters that have a short name in `names`, in its order."""
    return " ".join(f"{shown}={short(parameters[name])}" for name, shown in names.items() if name in parameters)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """`{"learning_rate": "lr", "dropout": "drop"}`; two that would be called the same keep their names."""
    shown = {name: _short_name(name) for name in names}
    taken = list(shown.values())
    return {name: clean(s if taken.count(s) == 1 else name) for name, s in shown.items()}


def _short_name(name: str) -> str:
    words = [word for word in name.split("_") if word]
    return "".join(word[0] for word in words) if len(words) > 1 else name[:4]
