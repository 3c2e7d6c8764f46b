"""Classification of the rows of a table, of images and of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpsearch.tasks import tables
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.encoding import encode_inputs
from hpsearch.tasks.labels import LabelLoss, LabelMeasure, describe_classes, find_classes, wanted_scores
from hpsearch.tasks.prepared import Arrays
from hpsearch.tasks.splits import split_stratified
from hpsearch.tasks.tables import Table

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial


class Classification(DataTask[Table]):
    """Predicts one of several classes; the training loss is cross-entropy."""

    kind = "classification"

    @property
    def outputs(self) -> int:
        return len(self.meta["classes"])

    def read(self) -> Table:
        return tables.read(self.source)

    def encode(self, raw: Table) -> Encoded:
        """Targets are indices of the sorted classes."""
        classes, labels = find_classes(raw.target, raw.target_name)
        split = split_stratified(labels, tuple(map(str, classes)), self.shares)
        encoded = encode_inputs(raw, split)
        targets = {"train": labels[split.train], "validation": labels[split.validation], "test": labels[split.test]}
        meta = {**encoded.meta, **describe_classes(classes, labels, split)}
        return Encoded(meta, *Arrays(encoded.splits, targets).parts())

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        from hpsearch.training.loop import Lesson, Student

        inputs, targets = data.inputs["train"], data.targets["train"]
        compare = LabelLoss(trial.params, self.meta["train_class_counts"], inputs.device)

        def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return compare(model(x), y)

        return Student(trial, model, Lesson(inputs, targets, loss, self.epochs))

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        return LabelMeasure(data.inputs[split], data.targets[split], wanted_scores(self.wanted), PREFIX[split])
