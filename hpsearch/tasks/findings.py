"""What is found in tables and images that can be trained on all the same, and that a person should know of: a sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.tasks.categories import NEARLY_UNIQUE
from hpsearch.tasks.duplicates import Repeats, number_rows, repeats_across, repeats_within
from hpsearch.tasks.leaks import SAMPLE, columns_like_classes, columns_like_number, columns_that_count
from hpsearch.tasks.splits import Split
from hpsearch.tasks.tables import Table

SHOWN = 5
"""Names in a sentence; the rest are counted."""

_EXAMPLES = {"rows": "rows", "sequence": "sequences", "image": "images"}

_IF_COPIES = "leave them out if they are copies"


def examine(table: Table, split: Split, targets: NDArray[Any] | None = None) -> list[str]:
    """What any task should know of a table in splits.

    Args:
        targets: (rows,) of numbers, what is predicted of each row if anything is.

    Raises:
        DataError: all examples of the training split are the same.
    """
    numbers = number_rows([table.inputs, *table.categorical.values()])
    train = numbers[split.train]
    if (train == train[0]).all():
        raise DataError(f"all {len(train)} examples of the training split are the same, and there is nothing to learn; give other data")
    return [*_constant(table, split), *_identifying(table), *find_copies(_EXAMPLES[table.kind], numbers, targets, split)]


def find_copies(examples: str, numbers: NDArray[np.intp], targets: NDArray[Any] | None, split: Split) -> list[str]:
    """Examples that are there more than once, within the training split and in another one too.

    Args:
        examples: what they are called.
        numbers: (rows,) equal for equal examples.
        targets: (rows,) of numbers, what is predicted of each if anything is.
    """
    found = _repeated(examples, numbers, targets, split)
    for name, rows in (("validation", split.validation), ("test", split.test)):
        found += _leaked(examples, name, repeats_across(numbers, targets, split.train, rows), targets is not None)
    return found


def listed(names: Sequence[str]) -> str:
    """`'a'`, `'a', 'b' and 7 more`."""
    shown = ", ".join(map(repr, names[:SHOWN]))
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def columns(names: Sequence[str]) -> str:
    """`column 'a'`, `2 columns ('a', 'b')`."""
    return f"column {names[0]!r}" if len(names) == 1 else f"{len(names)} columns ({listed(names)})"


def constant_columns(names: Sequence[str], values: NDArray[Any], train: NDArray[np.intp]) -> list[str]:
    """Columns with one value in all of the training split, told apart by whether they have others elsewhere.

    Args:
        names: of the columns.
        values: (rows, columns).
        train: row numbers of the training split.
    """
    first = values[train[0]]
    possible = np.flatnonzero((values[train[:SAMPLE]] == first).all(axis=0))  # few are looked at in full
    constant = [int(i) for i in possible if (values[train, i] == first[i]).all()]
    varies = [bool((values[:, i] != first[i]).any()) for i in constant]
    everywhere, only_there = ([names[i] for i, v in zip(constant, varies, strict=True) if v is wanted] for wanted in (False, True))
    found = []
    if everywhere:
        found.append(f"{columns(everywhere)}: constant, so that nothing can be learned from it; leave it out")
    if only_there:
        found.append(
            f"{columns(only_there)}: constant in the training split and not in the others, where it misleads the network; leave it out"
        )
    return found


def _constant(table: Table, split: Split) -> list[str]:
    """Of images, whose borders are often of one colour, none."""
    if table.kind == "image":
        return []
    if table.kind == "sequence":
        steps, features = table.inputs.shape[1:]
        rows = (split.train[:, None] * steps + np.arange(steps)).ravel()
        return constant_columns([f"x[:, {i}]" for i in range(features)], table.inputs.reshape(-1, features), rows)
    found = constant_columns(table.features, table.inputs, split.train)
    for name, values in table.categorical.items():
        found += constant_columns([name], values[:, None], split.train)
    return found


def _identifying(table: Table) -> list[str]:
    """Columns that tell which row it is."""
    found = []
    counting = [table.features[i] for i in columns_that_count(table.inputs)] if table.kind == "rows" else []
    if counting:
        found.append(f"{columns(counting)}: counts the rows, and tells the order of the file alone; leave it out")
    for name, values in table.categorical.items():
        if (different := len(set(values.tolist()))) > NEARLY_UNIQUE * len(values):
            found.append(
                f"column {name!r}: {different:,} different values in {len(values):,} rows tell rows apart, and little about others"
            )
    return found


def _repeated(examples: str, numbers: NDArray[np.intp], targets: NDArray[Any] | None, split: Split) -> list[str]:
    repeats = repeats_within(numbers[split.train], None if targets is None else targets[split.train])
    if not repeats.rows:
        return []
    other = repeats.rows - repeats.alike
    against = f", {other:,} of them with another target, so that no network can be right about both" if other else ""
    return [f"training {examples} that repeat an earlier one: {repeats.rows:,} of {repeats.of:,}{against}; {_IF_COPIES}"]


def _leaked(examples: str, name: str, repeats: Repeats, has_targets: bool) -> list[str]:
    if not repeats.rows:
        return []
    alike = f", {repeats.alike:,} of them with the same target" if has_targets else ""
    return [
        f"{name} {examples} that are in the training split too: {repeats.rows:,} of {repeats.of:,}{alike}; "
        f"a network that remembers them looks better than it is, so {_IF_COPIES}"
    ]


def find_still(name: str, target: NDArray[Any], split: Split, score: str) -> list[str]:
    """Splits in which a number that is to be predicted does not vary, though it does in training.

    Args:
        score: what compares with how it varies.
    """
    parts = {"validation": target[split.validation], "test": target[split.test]}
    still = [f"the {part} split ({values[0]:g})" for part, values in parts.items() if len(values) and np.ptp(values) == 0]
    return [f"target {name!r} is constant in {' and '.join(still)}: {score} is 0 there, whatever is predicted"] if still else []


def find_class_leaks(table: Table, labels: NDArray[np.int64]) -> list[str]:
    """Columns that are the classes under another name."""
    if table.kind == "image":
        return []
    names = [table.features[i] for i in columns_like_classes(table.inputs.reshape(len(labels), -1), labels)]
    names += [name for name, values in table.categorical.items() if len(columns_like_classes(values[:, None], labels))]
    return _told(names, table.target_name, "it has a value of its own for each class")


def find_number_leaks(table: Table, target: NDArray[np.float64]) -> list[str]:
    """Columns that are the target, in this unit or in another."""
    if table.kind == "image":
        return []
    names = [table.features[i] for i in columns_like_number(table.inputs.reshape(len(target), -1), target)]
    return _told(names, table.target_name, "it is the target, but for unit and origin")


def _told(names: Sequence[str], target: str, how: str) -> list[str]:
    cure = "leave it out unless it will be known before the target is"
    return [f"{columns(names)}: gives the target {target!r} away ({how}); {cure}"] if names else []
