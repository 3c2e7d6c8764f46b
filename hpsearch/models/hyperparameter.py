"""What a model, a training or a task lets the space vary: name, default, what is allowed, a line of documentation. No torch here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hpsearch.errors import unknown
from hpsearch.trial import Json


@dataclass(frozen=True, slots=True)
class Ints:
    """Whole numbers from `min` to `max`, both inclusive; `max=None` is unbounded."""

    min: int
    max: int | None = None

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= self.min and (self.max is None or value <= self.max)

    def __str__(self) -> str:
        return f"an integer from {self.min} to {self.max}" if self.max is not None else f"an integer of at least {self.min}"


@dataclass(frozen=True, slots=True)
class Floats:
    """Finite numbers from `min` to `max`; `above` and `below` exclude the bound."""

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        low = (self.min is None or value >= self.min) and (self.above is None or value > self.above)
        return low and (self.max is None or value <= self.max) and (self.below is None or value < self.below)

    def __str__(self) -> str:
        bounds = ((">=", self.min), (">", self.above), ("<=", self.max), ("<", self.below))
        return "a number " + " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Choices:
    """One of the given values; `true` is not 1."""

    values: tuple[str | bool | None, ...]

    def __contains__(self, value: object) -> bool:
        return any(value is choice or (isinstance(value, str) and value == choice) for choice in self.values)

    def __str__(self) -> str:
        shown = [value if isinstance(value, str) else json.dumps(value) for value in self.values]
        return "one of " + ", ".join(shown) if len(shown) > 1 else shown[0]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of `min_length` to `max_length` of `items`."""

    items: Ints | Floats
    min_length: int = 1
    max_length: int = 64

    def __contains__(self, value: object) -> bool:
        return isinstance(value, list | tuple) and self.min_length <= len(value) <= self.max_length and all(v in self.items for v in value)

    def __str__(self) -> str:
        return f"a list of {self.min_length} to {self.max_length}, each {self.items}"


Allowed: TypeAlias = Ints | Floats | Choices | ListOf


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A hyperparameter that a space may name; `allowed` are alternatives, of which one must hold.

    `only_with`: by another hyperparameter, of which one chooses, the values with which this one does anything.
    """

    name: str
    default: Json
    doc: str
    allowed: tuple[Allowed, ...]
    only_with: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)

    def check(self, value: Json) -> None:
        """Raises ValueError, with the value and what is allowed, unless `value` is allowed."""
        if any(value in allowed for allowed in self.allowed):
            return
        choices = [str(choice) for allowed in self.allowed if isinstance(allowed, Choices) for choice in allowed.values]
        if isinstance(value, str) and len(choices) > 2:
            raise ValueError(unknown(self.name, value, choices))
        ways = ", or ".join(map(str, self.allowed))
        raise ValueError(f"{self.name} must be {ways}, got {value!r}; the default is {self.default!r}")


def complete(hyperparameters: Iterable[Hyperparameter], parameters: Mapping[str, Json]) -> dict[str, Json]:
    """The value of each hyperparameter: the one in `parameters`, else its default. What is not among them is left out.

    Raises:
        ValueError: a value is not allowed.
    """
    values = {}
    for hyperparameter in hyperparameters:
        values[hyperparameter.name] = parameters.get(hyperparameter.name, hyperparameter.default)
        hyperparameter.check(values[hyperparameter.name])
    return values
