"""What a trained network gets wrong: each re-test leaves it as a file, and the report draws the winner's. No torch here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import InputError
from hpsearch.trial import Json

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.training.loop import Measure, Metrics
    from hpsearch.training.trial import Trial

FILE = "mistakes.json"

MOST_CLASSES = 1_000
"""Of which pairs are counted; the squares of more would not fit into a file that anyone opens."""

MOST_PAIRS = 1_000
"""Predictions that are kept, spread evenly over the split."""

_MOST_BYTES = 20 * 2**20


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often which class was taken for which, on a split: `counts[true][predicted]`."""

    split: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not all(type(name) is str for name in (self.split, *self.classes)) or [len(row) for row in self.counts] != [
            len(self.classes)
        ] * len(self.classes):
            raise ValueError("counts must be a square over the classes")
        if not all(type(count) is int and count >= 0 for row in self.counts for count in row):
            raise ValueError("counts must be whole numbers")

    @classmethod
    def of(cls, split: str, classes: Sequence[Json], true: NDArray[np.int64], predicted: NDArray[np.int64]) -> Confusion:
        """Of the indices, (examples,) each, of true and predicted classes."""
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (true, predicted), 1)
        return cls(split, tuple(map(str, classes)), tuple(map(tuple, counts.tolist())))


@dataclass(frozen=True, slots=True)
class Residuals:
    """Some of the true numbers of a split, and what was predicted in place of each, in the target's units."""

    split: str
    target: str
    true: tuple[float, ...]
    predicted: tuple[float, ...]

    def __post_init__(self) -> None:
        if not type(self.split) is type(self.target) is str or len(self.true) != len(self.predicted):
            raise ValueError("each number needs its prediction")
        if not all(isinstance(value, (int, float)) for value in (*self.true, *self.predicted)):
            raise ValueError("true and predicted must be numbers")

    @classmethod
    def of(cls, split: str, target: str, true: NDArray[np.floating[Any]], predicted: NDArray[np.floating[Any]]) -> Residuals:
        """Of (examples,) each."""
        kept = np.unique(np.linspace(0, len(true) - 1, MOST_PAIRS).round().astype(int))
        return cls(split, target, tuple(true[kept].tolist()), tuple(predicted[kept].tolist()))


Mistakes: TypeAlias = Confusion | Residuals

_KINDS: dict[str, type[Confusion] | type[Residuals]] = {"confusion": Confusion, "residuals": Residuals}


class Telling:
    """Measures the network of the step that counts, if there is anything to be measured, and leaves its mistakes as an artifact."""

    def __init__(self, trial: Trial, measure: Measure | None, mistakes_of: Callable[[nn.Module], Mistakes | None]) -> None:
        self.trial = trial
        self.measure = measure
        self.mistakes_of = mistakes_of

    def __call__(self, model: nn.Module) -> Metrics:
        measured = {} if self.measure is None else self.measure(model)
        if (found := self.mistakes_of(model)) is not None:
            try:
                self.trial.save_artifact(FILE, to_json(found).encode())
            except (OSError, InputError) as error:  # what it has learned stands all the same
                print(f"the report will not show what this re-test gets wrong: {error}", file=sys.stderr)
        return measured


def to_json(mistakes: Mistakes) -> str:
    """One object; `kind` says of what kind."""
    kind = next(kind for kind, cls in _KINDS.items() if isinstance(mistakes, cls))
    return json.dumps({"kind": kind, **asdict(mistakes)})


def read(folder: Path) -> Mistakes | None:
    """What a trial has left in its folder; None where it has left none, or something else under that name: code of one's own may."""
    path = folder / FILE
    try:
        if path.is_symlink() or path.stat().st_size > _MOST_BYTES:
            return None
        fields = json.loads(path.read_text(encoding="utf-8"))
        cls = _KINDS[fields.pop("kind")]
        return cls(**{name: _tuples(value) for name, value in fields.items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _tuples(value: Json) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
