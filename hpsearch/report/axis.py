"""A hyperparameter as an axis: numbers by their value, choices side by side in the order of the sweep file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from hpsearch.report.plot import letters, titled
from hpsearch.space import Categorical, Int, Parameter
from hpsearch.space.values import same
from hpsearch.trial import Json
from hpsearch.words import value_text


@dataclass(frozen=True, slots=True)
class Axis:
    """`place` is where plotly puts a value, `share` where it lies between the least (0) and the largest (1)."""

    name: str
    parameter: Parameter

    @property
    def is_choice(self) -> bool:
        return isinstance(self.parameter, Categorical)

    def place(self, value: Json) -> float:
        if isinstance(self.parameter, Categorical):
            return next((i for i, known in enumerate(self.parameter.values) if same(known, value)), -1)
        return float(value)

    def share(self, value: Json) -> float:
        parameter = self.parameter
        if isinstance(parameter, Categorical):
            return (self.place(value) + 0.5) / len(parameter.values)
        low, high, at = (self._scaled(float(v)) for v in (parameter.min, parameter.max, value))
        return (at - low) / (high - low)

    def value(self, share: float) -> float:
        """The number at that share; only of numbers."""
        assert not isinstance(self.parameter, Categorical)
        low, high = self._scaled(self.parameter.min), self._scaled(self.parameter.max)
        at = low + share * (high - low)
        return math.exp(at) if self.parameter.log else at

    def _scaled(self, value: float) -> float:
        return math.log(value) if not isinstance(self.parameter, Categorical) and self.parameter.log else value

    def layout(self) -> dict[str, Json]:
        """Plotly's description of it."""
        parameter = self.parameter
        if isinstance(parameter, Categorical):
            places = list(range(len(parameter.values)))
            labels = [letters(choice_text(v), 24) for v in parameter.values]
            return titled(self.name, tickvals=places, ticktext=labels, range=[-0.6, len(places) - 0.4], zeroline=False)
        ticks = self._ticks()
        low, high = self._scaled(parameter.min), self._scaled(parameter.max)
        margin, unit = 0.04 * (high - low), math.log(10) if parameter.log else 1
        return titled(
            self.name,
            type="log" if parameter.log else "linear",
            range=[(low - margin) / unit, (high + margin) / unit],
            zeroline=False,
            **({"tickvals": ticks, "ticktext": [value_text(t) for t in ticks]} if ticks else {}),
        )

    def _ticks(self) -> list[float]:
        """Where plotly's own would be odd: powers of ten as `10µ`, halves between few integers. Empty: as plotly likes."""
        parameter = self.parameter
        assert not isinstance(parameter, Categorical)
        if parameter.log:
            decades = range(math.floor(math.log10(parameter.min)), math.ceil(math.log10(parameter.max)) + 1)
            steps = (1,) if len(decades) > 4 else (1, 2, 5)
            ticks = [step * 10.0**decade for decade in decades for step in steps]
            return [tick for tick in ticks if parameter.min * 0.99 <= tick <= parameter.max * 1.01]
        return [float(v) for v in parameter.values_in_order()] if isinstance(parameter, Int) and parameter.size <= 10 else []

    def ends(self) -> tuple[str, str]:
        """The least and the largest value in words; of choices the first and the last."""
        if isinstance(self.parameter, Categorical):
            return choice_text(self.parameter.values[0]), choice_text(self.parameter.values[-1])
        return value_text(self.parameter.min), value_text(self.parameter.max)


def choice_text(value: Json) -> str:
    """A choice as people wrote it: `adamw`, `[64, 32]`, `true`."""
    return value if isinstance(value, str) else json.dumps(value)
