"""Classification of the rows of a table, of images and of sequences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.tasks import tables
from hpsearch.tasks.answers import Answer, Classes
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.encoding import encode_inputs
from hpsearch.tasks.findings import examine, find_class_leaks
from hpsearch.tasks.labels import (
    LabelLoss,
    LabelMeasure,
    confusion,
    describe_classes,
    find_absent,
    find_classes,
    find_rare,
    wanted_scores,
)
from hpsearch.tasks.mistakes import Mistakes
from hpsearch.tasks.prepared import Arrays
from hpsearch.tasks.robust import METRIC, RobustLoss, RobustMeasure, attack_of, check_robust
from hpsearch.tasks.splits import Split, split_stratified, with_fixed_test
from hpsearch.tasks.tables import Table
from hpsearch.training.attacks_plan import Attack
from hpsearch.trial import Json

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.config import SweepConfig
    from hpsearch.tasks.label_errors import LabelCheck
    from hpsearch.training.attacks import PixelRange
    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial


@dataclass
class Classification(DataTask[Table]):
    """Predicts one of several classes; the training loss is cross-entropy.

    Args:
        attack: what `robust_accuracy` is measured under; None: it is not.
        named: by the space; what suits no such inputs is refused once they are known.
    """

    kind = "classification"

    attack: Attack | None = None
    named: Collection[str] = ()

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        made = super().from_config(config)
        made.attack, made.named = attack_of(config), (*config.space.parameters, *config.space.fixed)
        return made

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        check_robust(self.inputs({}).kind, self.named, self.attack)

    @property
    def warnings(self) -> Sequence[str]:
        """Of rare classes only where no objective sees them."""
        return [*super().warnings, *find_rare(self.meta["classes"], self.meta["class_counts"], self.objectives)]

    @property
    def outputs(self) -> int:
        return len(self.meta["classes"])

    def read(self) -> Table:
        return tables.read(self.source)

    def encode(self, raw: Table) -> Encoded:
        """Targets are indices of the sorted classes."""
        classes, labels = find_classes(raw.labels, raw.target_name)
        split = self._split(labels, tuple(map(str, classes)), raw.test_rows)
        warnings = [*examine(raw, split, labels), *find_class_leaks(raw, labels), *find_absent(classes, labels, split)]
        encoded = encode_inputs(raw, split)
        targets = {"train": labels[split.train], "validation": labels[split.validation], "test": labels[split.test]}
        meta = {**encoded.meta, **describe_classes(classes, labels, split)}
        return Encoded(meta, *Arrays(encoded.splits, targets).parts(), encoded.kept, warnings)

    def check_labels(self) -> LabelCheck:
        """See Labelled."""
        from hpsearch.tasks.label_errors import check_labels

        raw = self.read()
        return check_labels(raw, *find_classes(raw.labels, raw.target_name))

    def _split(self, labels: NDArray[np.int64], names: tuple[str, ...], test_rows: NDArray[np.intp] | None) -> Split:
        if test_rows is None:
            return split_stratified(labels, names, self.shares)
        return with_fixed_test(len(labels), test_rows, self.shares, lambda rows, shares: split_stratified(labels[rows], names, shares))

    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        return Classes(tuple(self.meta["classes"]))

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        from hpsearch.training.loop import Lesson, Student

        inputs, targets = data.inputs["train"], data.targets["train"]
        compare = LabelLoss(trial.params, self.meta["train_class_counts"], inputs.device)
        return Student(trial, model, Lesson(inputs, targets, RobustLoss(trial, compare, self._pixels(data)), self.epochs))

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        inputs, targets = data.inputs[split], data.targets[split]
        measure = LabelMeasure(inputs, targets, wanted_scores(self.wanted), PREFIX[split])
        pixels = self._pixels(data)
        if self.attack is None or pixels is None:
            return measure
        name = METRIC if split == "validation" else PREFIX[split] + METRIC
        return RobustMeasure(measure, name, (inputs, targets), self.attack, pixels)

    def mistakes(self, trial: Trial, model: nn.Module, data: Data, split: str) -> Mistakes | None:
        return confusion(model, data.inputs[split], data.targets[split], self.meta["classes"], split)

    def _pixels(self, data: Data) -> PixelRange | None:
        """What attacks and augmentation must know of images."""
        from hpsearch.training.attacks import PixelRange

        return PixelRange.of(data.inputs["train"]) if self.inputs({}).kind == "image" else None
