"""A bound on what is known of a configuration before it is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hpsearch.space.values import SpaceError, check_number, show


@dataclass(frozen=True, slots=True)
class Constraint:
    """`metric` must be at least `min` and at most `max`; either may be None."""

    metric: str
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise SpaceError(f"metric must be the name of a metric, got {show(self.metric)}; for example parameters", "metric")
        for name in ("min", "max"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name))
        if self.min is None and self.max is None:
            raise SpaceError("bounds nothing; give max, min or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise SpaceError(f"min must not be more than max, got min {show(self.min)} and max {show(self.max)}; swap them")

    def violation(self, value: float) -> float:
        """By how much `value` is out of bounds; <= 0 where it is within."""
        if math.isnan(value):
            return math.inf
        above = -math.inf if self.max is None else value - self.max
        below = -math.inf if self.min is None else self.min - value
        return max(above, below)

    def describe(self, value: float) -> str:
        """`parameters is 250,000, more than max 200,000`."""
        known = f"{self.metric} is {value:,}"
        if self.max is not None and value > self.max:
            return f"{known}, more than max {self.max:,}"
        if self.min is not None and value < self.min:
            return f"{known}, less than min {self.min:,}"
        return f"{known}, within bounds"
