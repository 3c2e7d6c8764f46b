"""What may vary together: parameters, some of them only under conditions, and what stays fixed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hpsearch.errors import unknown
from hpsearch.space.counting import count
from hpsearch.space.parameter import Float, Parameter
from hpsearch.space.values import SpaceError, check_value, same, show
from hpsearch.trial import Json

MOST_PARAMETERS = 200
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The configurations that a search may try.

    Args:
        parameters: kept parents first, else in the order given.
        fixed: what every configuration has.

    Raises:
        SpaceError: a condition that is on an unknown parameter, in a circle or never met.
    """

    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.parameters) > MOST_PARAMETERS:
            raise SpaceError(f"has {len(self.parameters)} parameters, more than {MOST_PARAMETERS}; fix some of them")
        for name in (*self.parameters, *self.fixed):
            _check_name(name)
        if both := [name for name in self.parameters if name in self.fixed]:
            raise SpaceError("is both fixed and varied; remove one", both[0])
        object.__setattr__(self, "fixed", {name: _check_fixed(name, value) for name, value in self.fixed.items()})
        for name, parameter in self.parameters.items():
            for parent, values in parameter.when.items():
                self._check_condition(name, parent, values)
        object.__setattr__(self, "parameters", _parents_first(self.parameters))

    def _check_condition(self, name: str, parent: str, values: tuple[Json, ...]) -> None:
        if parent in self.fixed:  # perhaps for this run only, by an override: the condition is then met or not
            return
        if parent not in self.parameters:
            others = [known for known in (*self.parameters, *self.fixed) if known != name]
            raise SpaceError(f"when names an {unknown('parameter', parent, others)}", name, "when", parent)
        parameter = self.parameters[parent]
        if isinstance(parameter, Float) and parameter.step is None:
            raise SpaceError(
                f"when is on {parent}, which takes any value in its range and next to never a given one; give {parent} a step or values",
                name, "when", parent,
            )  # fmt: skip
        for value in values:
            try:
                parameter.normal(value)
            except SpaceError as error:
                raise SpaceError(f"when is never met: {parent} {error}", name, "when", parent) from None

    def active(self, name: str, chosen: Mapping[str, Json]) -> bool:
        """Whether a parameter counts, where `chosen` has the values of those of its parents that themselves count."""
        if name in self.fixed:
            return True
        return all(self._is_met(parent, values, chosen) for parent, values in self.parameters[name].when.items())

    def _is_met(self, parent: str, values: tuple[Json, ...], chosen: Mapping[str, Json]) -> bool:
        if parent in self.fixed:
            return any(same(self.fixed[parent], value) for value in values)
        return parent in chosen and any(same(chosen[parent], value) for value in values)

    def complete(self, chosen: Mapping[str, Json]) -> dict[str, Json]:
        """The configuration in its one form: with what is fixed, without what is inactive. Raises `SpaceError` for an impossible value."""
        whole: dict[str, Json] = {}
        for name, parameter in self.parameters.items():
            if name in chosen and self.active(name, whole):
                try:
                    whole[name] = parameter.normal(chosen[name])
                except SpaceError as error:
                    raise error.below(name) from None
        return whole | dict(self.fixed)

    def check(self, parameters: Mapping[str, Json]) -> None:
        """Raises `SpaceError` unless `parameters`, with what is fixed, is a configuration of this space."""
        known = (*self.parameters, *self.fixed)
        for name, value in parameters.items():
            if name not in known:
                raise SpaceError(unknown("parameter of the space", name, known), name)
            if name in self.fixed and not same(value, self.fixed[name]):
                raise SpaceError(f"is fixed to {show(self.fixed[name])} in the space, got {show(value)}; leave it out", name)
        whole = self.complete(parameters)
        for name in self.parameters:
            if name in whole:
                continue
            if name in parameters:
                raise SpaceError(f"does not count here, as it is only there {self._conditions(name)}; leave it out", name)
            if self.active(name, whole):
                raise SpaceError(f"is missing; give {name} a value", name)

    def _conditions(self, name: str) -> str:
        conditions = (f"{parent} is {' or '.join(map(show, values))}" for parent, values in self.parameters[name].when.items())
        return "when " + " and ".join(conditions)

    def size(self) -> int | None:
        """The number of distinct configurations (an upper bound where conditions are too entangled to count); None where it is infinite."""
        return count(self.parameters, self.fixed)

    def configurations(self) -> Iterator[dict[str, Json]]:
        """Every configuration once, the last parameter changing fastest; only where `size` is finite."""
        assert self.size() is not None, "the space is infinite"
        names = list(self.parameters)
        return (whole | dict(self.fixed) for whole in self._from(0, names, {}))

    def _from(self, place: int, names: list[str], chosen: dict[str, Json]) -> Iterator[dict[str, Json]]:
        while place < len(names) and not self.active(names[place], chosen):
            place += 1
        if place == len(names):
            yield chosen
            return
        for value in self.parameters[names[place]].values_in_order():
            yield from self._from(place + 1, names, {**chosen, names[place]: value})


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpaceError(
            "the name of a parameter must begin with a letter and have only letters, digits, _ and - (at most 100), "
            f"got {show(name)}; rename it", str(name),
        )  # fmt: skip


def _check_fixed(name: str, value: Json) -> Json:
    try:
        return check_value(value)
    except SpaceError as error:
        raise error.below(name) from None


def _parents_first(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    ordered: dict[str, Parameter] = {}

    def place(name: str, waiting: tuple[str, ...]) -> None:
        if name in waiting:
            circle = " -> ".join((*waiting[waiting.index(name) :], name))
            raise SpaceError(f"when goes in a circle ({circle}); remove one of these conditions", waiting[-1], "when", name)
        if name in ordered or name not in parameters:
            return
        for parent in parameters[name].when:
            place(parent, (*waiting, name))
        ordered[name] = parameters[name]

    for name in parameters:
        place(name, ())
    return ordered
