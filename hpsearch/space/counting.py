"""How many configurations a space has, without listing them.

Parameters that no condition links, directly or through others, multiply. Within a linked group, going parents first, all that matters of
the choices so far is which later parameters they have made inactive: ways are counted by that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from hpsearch.space.parameter import Parameter
from hpsearch.space.values import same
from hpsearch.trial import Json

MOST_STATES = 10_000


def count(parameters: Mapping[str, Parameter], fixed: Mapping[str, Json]) -> int | None:
    """The number of configurations; None where it is infinite.

    Where conditions are too entangled to count (there are then more than MOST_STATES configurations), it is an upper bound.
    Every condition is on another parameter or on what is fixed.
    """
    never = frozenset(name for name, parameter in parameters.items() if _is_ruled_out(parameter, fixed))
    total = 1
    for group in _groups(parameters):
        ways = _count_group({name: parameters[name] for name in group}, never)
        if ways is None:
            return None
        total *= ways
    return total


def _is_ruled_out(parameter: Parameter, fixed: Mapping[str, Json]) -> bool:
    conditions = [(fixed[parent], values) for parent, values in parameter.when.items() if parent in fixed]
    return any(not _among(value, values) for value, values in conditions)


def _groups(parameters: Mapping[str, Parameter]) -> list[list[str]]:
    group = {name: {name} for name in parameters}
    for name, parameter in parameters.items():
        for parent in parameter.when:
            if parent in group and group[parent] is not group[name]:
                group[parent] |= group[name]
                for member in group[name]:
                    group[member] = group[parent]
    distinct = {id(members): members for members in group.values()}
    return [[name for name in parameters if name in members] for members in distinct.values()]


def _count_group(group: Mapping[str, Parameter], never: frozenset[str]) -> int | None:
    children = {name: [other for other in group if name in group[other].when] for name in group}
    ways = Counter({never.intersection(group): 1})
    for name in _children_soon(group, children):
        after: Counter[frozenset[str]] = Counter()
        for inactive, before in ways.items():
            if name in inactive:
                after[(inactive | frozenset(children[name])) - {name}] += before
            elif group[name].size is None:
                return None
            else:
                for how_many, ruled_out in _choices(group, name, children[name]):
                    after[inactive | ruled_out] += before * how_many
        if len(after) > MOST_STATES:
            sizes = [parameter.size for parameter in group.values()]
            return None if None in sizes else math.prod(size + 1 for size in sizes if size is not None)
        ways = after
    return ways.total()


def _children_soon(group: Mapping[str, Parameter], children: Mapping[str, list[str]]) -> Iterator[str]:
    """Parents of many first, then children as soon as may be: few states are then open at a time."""
    missing = {name: sum(parent in group for parent in group[name].when) for name in group}
    ready = sorted((name for name in group if not missing[name]), key=lambda name: len(children[name]))
    while ready:
        yield (name := ready.pop())
        for child in children[name]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)


def _choices(group: Mapping[str, Parameter], name: str, children: list[str]) -> Iterator[tuple[int, frozenset[str]]]:
    """How many values of a parameter make which of its children inactive."""
    size = group[name].size
    assert size is not None
    named: list[Json] = []
    for value in (group[name].normal(v) for child in children for v in group[child].when[name]):
        if not _among(value, named):
            named.append(value)
    for value in named:
        yield 1, frozenset(child for child in children if not _among(value, group[child].when[name]))
    if size > len(named):
        yield size - len(named), frozenset(children)


def _among(value: Json, values: tuple[Json, ...] | list[Json]) -> bool:
    return any(same(value, other) for other in values)
