"""Options of samplers and schedulers: what each takes, checked with one clear message."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hpsearch.errors import InputError, unknown
from hpsearch.trial import Json


@dataclass(frozen=True, slots=True)
class Option:
    """What a value may be: of a kind, between `low` and `high` (inclusive), or literally one of `words`."""

    kind: Literal["integer", "number", "boolean", "word", "scheduler"]
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str | None, ...] = ()

    def accepts(self, value: Json) -> bool:
        if (value is None or isinstance(value, str)) and value in self.words:
            return True
        if self.kind in ("boolean", "word"):
            return self.kind == "boolean" and isinstance(value, bool)
        if self.kind == "scheduler":
            return isinstance(value, str | Mapping)
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "integer" else int | float):
            return False
        return math.isfinite(value) and self.low <= value <= self.high

    @property
    def wanted(self) -> str:
        """`an integer of at least 1, or auto`."""
        plain = {"integer": "an integer", "number": "a number", "boolean": "true or false", "word": "", "scheduler": "a scheduler"}[
            self.kind
        ]
        words = [str("null" if w is None else w) for w in self.words]
        return ", or ".join([*([plain + self._range] if plain else []), *words])

    @property
    def _range(self) -> str:
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f" from {self.low:g} to {self.high:g}"
        return f" of at least {self.low:g}" if math.isfinite(self.low) else ""


def check_options(owner: str, known: Mapping[str, Option], given: Mapping[str, Json]) -> None:
    """Raises `InputError` unless each of the `given` is known and acceptable. `owner`: `sampler tpe`."""
    for name, value in given.items():
        if not known:
            raise InputError(f"{owner} takes no options, got {name!r}; remove it")
        if name not in known:
            raise InputError(unknown(f"option of {owner}", name, known))
        if not known[name].accepts(value):
            raise InputError(f"{owner}: {name} must be {known[name].wanted}, got {value!r}")
