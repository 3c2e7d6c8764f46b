"""What may vary: Float, Int, Categorical. One that cannot be searched cannot exist: making it raises `SpaceError`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from typing import TypeAlias

from hpsearch.space.values import SpaceError, check_number, check_value, same, show
from hpsearch.trial import Json

When: TypeAlias = Mapping[str, tuple[Json, ...]]
"""By parent, the values of which it must have one; with several parents, all must."""

LARGEST_INT = 2**53
"""Beyond it, neighbouring integers are the same float, and samplers compute with floats."""

MOST_VALUES = 1000

FINEST_STEP = 1e-7
"""Of a Float, as a share of its largest value: finer ones drown in rounding."""


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [min, max]; with `step`, one of min, min + step, …, max."""

    min: float
    max: float
    log: bool = False
    step: float | None = None
    when: When = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("min", "max", "step"):
            if name != "step" or self.step is not None:
                check_number(name, getattr(self, name))
        _check_range(self.min, self.max, self.log, smallest="a small positive value such as 1e-6")
        if self.step is not None:
            _check_step(self.step, self.min, self.max, self.log)
        for name in ("min", "max") if self.step is None else ("min", "max", "step"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.max - self.min == float("inf"):
            raise SpaceError(f"the range from {show(self.min)} to {show(self.max)} is too large for floating-point numbers; narrow it")
        if self.step is not None:
            if self.step < FINEST_STEP * max(abs(self.min), abs(self.max)):
                raise SpaceError(f"step {show(self.step)} is too fine for values up to {show(self.max)}; leave step out", "step")
            _check_divisible(Decimal(str(self.min)), Decimal(str(self.max)), Decimal(str(self.step)))
        object.__setattr__(self, "when", _normal_when(self.when))

    @property
    def size(self) -> int | None:
        """How many values there are; None without `step`."""
        return None if self.step is None else self._place(self.max) + 1

    def values_in_order(self) -> Iterator[float]:
        """All values; only with `step`."""
        return map(self._point, range(self.size or 0))

    def normal(self, value: Json) -> float:
        """The one way to write a value. Raises `SpaceError` unless it is one of this parameter's."""
        _check_within(value, self.min, self.max)
        if self.step is None:
            return float(value)
        if abs((value - self.min) / self.step - self._place(value)) > 1e-8:
            raise SpaceError(_off_step(value, self.step, self.min, self._point(self._place(value))))
        return self._point(self._place(value))

    def _place(self, value: float) -> int:
        assert self.step is not None
        return round((value - self.min) / self.step)

    def _point(self, place: int) -> float:
        return float(Decimal(str(self.min)) + place * Decimal(str(self.step)))  # 0.1 + 2 * 0.1 is 0.3


@dataclass(frozen=True, slots=True)
class Int:
    """An integer from `min` to `max`, both inclusive, in steps of `step`."""

    min: int
    max: int
    log: bool = False
    step: int = 1
    when: When = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("min", "max", "step"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise SpaceError(f"{name} must be an integer, got {show(value)}", name)
            if abs(value) > LARGEST_INT:
                raise SpaceError(f"{name} must be at most 2**53 in size, got {show(value)}; use min and max with a decimal point", name)
        _check_range(self.min, self.max, self.log, smallest="1 or more")
        _check_step(self.step, self.min, self.max, self.log and self.step != 1)
        _check_divisible(Decimal(self.min), Decimal(self.max), Decimal(self.step))
        object.__setattr__(self, "when", _normal_when(self.when))

    @property
    def size(self) -> int:
        """How many values there are."""
        return (self.max - self.min) // self.step + 1

    def values_in_order(self) -> Iterator[int]:
        """All values."""
        return iter(range(self.min, self.max + 1, self.step))

    def normal(self, value: Json) -> int:
        """The one way to write a value. Raises `SpaceError` unless it is one of this parameter's."""
        _check_within(value, self.min, self.max)
        if value != int(value):
            raise SpaceError(f"must be an integer, got {show(value)}")
        if (int(value) - self.min) % self.step:
            nearest = self.min + round((value - self.min) / self.step) * self.step
            raise SpaceError(_off_step(value, self.step, self.min, nearest))
        return int(value)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of `values`: strings, numbers, true, false, null, or lists of these."""

    values: tuple[Json, ...]
    when: When = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not isinstance(self.values, Sequence):
            raise SpaceError(f"values must be a list, got {show(self.values)}; for example values: [a, b]", "values")
        if not self.values:
            raise SpaceError("values must not be empty; name at least one, or leave the parameter out", "values")
        try:
            object.__setattr__(self, "values", tuple(check_value(value) for value in self.values))
        except SpaceError as error:
            raise SpaceError(f"each of values {error}", "values") from None
        if len(self.values) > MOST_VALUES:
            raise SpaceError(f"values has {len(self.values)} items, more than {MOST_VALUES}; use min, max and step, or fewer", "values")
        for a, b in combinations(self.values, 2):
            if a == b or same(a, b):  # true == 1, and Optuna cannot tell those apart
                raise SpaceError(f"values has {show(a)} and {show(b)}, which count as the same; remove one", "values")
        object.__setattr__(self, "when", _normal_when(self.when))

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def values_in_order(self) -> Iterator[Json]:
        """All values."""
        return iter(self.values)

    def normal(self, value: Json) -> Json:
        """The one way to write a value. Raises `SpaceError` unless it is one of this parameter's."""
        for known in self.values:
            if same(known, value):
                return list(known) if isinstance(known, list) else known
        raise SpaceError(f"must be one of {', '.join(map(show, self.values))}, got {show(value)}")


Parameter: TypeAlias = Float | Int | Categorical


def _check_range(low: float, high: float, log: object, smallest: str) -> None:
    if not isinstance(log, bool):
        raise SpaceError(f"log must be true or false, got {show(log)}", "log")
    if low == high:
        raise SpaceError(f"min and max are both {show(low)}; to fix the value, write it alone in place of min and max")
    if low > high:
        raise SpaceError(f"min must be less than max, got min {show(low)} and max {show(high)}; swap them")
    if log and low <= 0:
        raise SpaceError(f"min must be > 0 with log: true, got {show(low)}; use {smallest}", "min")


def _check_step(step: float, low: float, high: float, log: bool) -> None:
    if step <= 0:
        raise SpaceError(f"step must be > 0, got {show(step)}", "step")
    if log:
        raise SpaceError(f"step {show(step)} and log: true do not go together; remove one of them", "step")
    if Decimal(str(step)) > Decimal(str(high)) - Decimal(str(low)):  # as written: 0.3 - 0.2 < 0.1 in floats
        raise SpaceError(f"step {show(step)} is more than the range from {show(low)} to {show(high)}; use a smaller one", "step")


def _check_divisible(low: Decimal, high: Decimal, step: Decimal) -> None:
    whole = (high - low) // step
    if low + whole * step != high:
        below, above = (f"{(low + n * step).normalize():f}" for n in (whole, whole + 1))
        raise SpaceError(f"max {high} is not min {low} plus a multiple of step {step}; use max {below} or {above}", "max")


def _check_within(value: Json, low: float, high: float) -> None:
    check_value(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpaceError(f"must be a number from {show(low)} to {show(high)}, got {show(value)}")
    if not low <= value <= high:
        raise SpaceError(f"must be from {show(low)} to {show(high)}, got {show(value)}")


def _off_step(value: float, step: float, low: float, nearest: float) -> str:
    return f"must be {show(low)} plus a multiple of step {show(step)}, got {show(value)}; the nearest is {show(nearest)}"


def _normal_when(when: object) -> When:
    """`{optimizer: sgd}` and `{optimizer: [sgd, rmsprop]}` are both allowed in a file."""
    if not isinstance(when, Mapping):
        raise SpaceError(f"when must name a parameter and its value, got {show(when)}; for example when: {{optimizer: sgd}}", "when")
    normal: dict[str, tuple[Json, ...]] = {}
    for parent, value in when.items():
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not values:
            raise SpaceError(f"when {parent} has one of no values; name at least one", "when", str(parent))
        try:
            normal[parent] = tuple(check_value(item) for item in values)
        except SpaceError as error:
            raise SpaceError(f"a value of when {error}", "when", str(parent)) from None
    return normal
