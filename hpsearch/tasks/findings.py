"""What is found in data that can be trained on all the same, and that a person should know of: a sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.tasks.splits import Split
from hpsearch.tasks.tables import Table

SHOWN = 5
"""Names in a sentence; the rest are counted."""


def named(names: Sequence[str]) -> str:
    """`'a', 'b' and 7 more`."""
    shown = ", ".join(map(repr, names[:SHOWN]))
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def find_constant(table: Table, split: Split) -> list[str]:
    """Columns with one value in all of the training split."""
    if table.kind != "rows":
        return []
    train = table.inputs[split.train]
    names = [name for name, same in zip(table.features, train.min(0) == train.max(0), strict=True) if same]
    return [f"constant in the training split, so that nothing can be learned from it: {named(names)}"] if names else []
