"""What changed between two configurations, as `to_json` gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpsearch.config.wording import flow
from hpsearch.trial import Json


def diff(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """A line for each change: `space.dropout.max: 0.6 -> 0.3`, `space.l1: added 0.1`.

    The order of the space counts, as proposals depend on it.
    """
    lines = list(_changes(old, new, ""))
    before, after = (list(config.get("space", {})) for config in (old, new))
    if set(before) == set(after) and before != after:
        lines.append(f"space: the order was {', '.join(before)}; now it is {', '.join(after)}")
    return lines


def _changes(old: Mapping[str, Json], new: Mapping[str, Json], above: str) -> Iterator[str]:
    for key in (*old, *(key for key in new if key not in old)):
        name = f"{above}{key}"
        if key not in new:
            yield f"{name}: removed (was {flow(old[key])})"
        elif key not in old:
            yield f"{name}: added {flow(new[key])}"
        elif isinstance(old[key], Mapping) and isinstance(new[key], Mapping):
            yield from _changes(old[key], new[key], f"{name}.")
        elif flow(old[key]) != flow(new[key]):
            yield f"{name}: {flow(old[key])} -> {flow(new[key])}"
