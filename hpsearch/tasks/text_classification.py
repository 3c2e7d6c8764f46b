"""Classification of texts, read word by word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from hpsearch.models.hyperparameter import complete
from hpsearch.models.inputs import Inputs
from hpsearch.tasks.answers import Answer, Classes
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.encoding import EXAMPLES
from hpsearch.tasks.findings import find_copies
from hpsearch.tasks.forms import Form, Words
from hpsearch.tasks.hyperparameters import TEXT_HYPERPARAMETERS
from hpsearch.tasks.labels import LabelLoss, LabelMeasure, confusion, describe_classes, find_classes, find_rare, wanted_scores
from hpsearch.tasks.mistakes import Mistakes
from hpsearch.tasks.prepared import Arrays, Kept
from hpsearch.tasks.splits import split_stratified
from hpsearch.tasks.texts import MOST_TOKENS, UNKNOWN, Texts, Vocabulary, number_texts, read_texts, tokenize
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.config import SweepConfig
    from hpsearch.tasks.predictor import Given
    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial


@dataclass
class TextClassification(DataTask[Texts]):
    """Predicts one of several classes of a text; the training loss is cross-entropy.

    Args:
        text: the column of texts.
    """

    kind = "text_classification"

    text: str | None = None

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        data = config.task.data
        return replace(super().from_config(config), text=None if data is None or isinstance(data, str) else data.text)

    @property
    def warnings(self) -> Sequence[str]:
        """Of rare classes only where no objective sees them."""
        return [*super().warnings, *find_rare(self.meta["classes"], self.meta["class_counts"], self.objectives)]

    @property
    def outputs(self) -> int:
        return len(self.meta["classes"])

    def depends_on(self) -> list[Json]:
        return [*super().depends_on(), self.text]

    def inputs(self, parameters: Mapping[str, Json]) -> Inputs:
        """Of at most as many words, and as long, as there are in the training split."""
        chosen = complete(TEXT_HYPERPARAMETERS, parameters)
        whole = Inputs.from_json(self.meta["inputs"])
        length = min(chosen["sequence_length"] or whole.shape[0], whole.shape[0])
        return Inputs("tokens", (length,), min(chosen["vocabulary_size"] or whole.vocabulary, whole.vocabulary))

    def read(self) -> Texts:
        return read_texts(self.source, self.text)

    def encode(self, raw: Texts) -> Encoded:
        """Inputs are ids of words, known from the training split and as many as its longest text has; targets indices of the classes."""
        import pandas as pd

        classes, labels = find_classes(raw.target, raw.target_name)
        split = split_stratified(labels, tuple(map(str, classes)), self.shares)
        rows = {"train": split.train, "validation": split.validation, "test": split.test}
        tokens = {name: [tokenize(raw.texts[row])[:MOST_TOKENS] for row in chosen] for name, chosen in rows.items()}
        vocabulary = Vocabulary.fit(tokens["train"])
        length = max(map(len, tokens["train"]))
        inputs = {name: vocabulary.encode(part, length) for name, part in tokens.items()}
        meta = {
            "inputs": Inputs("tokens", (length,), vocabulary.size).to_json(),
            "target": raw.target_name,
            "rows": {name: len(chosen) for name, chosen in rows.items()},
            **describe_classes(classes, labels, split),
        }
        parts = Arrays(inputs, {name: labels[chosen] for name, chosen in rows.items()}).parts()
        form = Words(raw.text_name, vocabulary, Inputs.from_json(meta["inputs"])).to_json()
        examples = [raw.texts[row] for row in split.validation[:EXAMPLES]]
        kept = Kept(form, pd.DataFrame({raw.text_name: examples}))
        return Encoded(meta, *parts, kept, find_copies("texts", number_texts(raw.texts), labels, split))

    def form(self, parameters: Mapping[str, Json], kept: Json) -> Form:
        return replace(Words.from_json(kept), inputs=self.inputs(parameters))

    def example(self, parameters: Mapping[str, Json], kept: Given, data: Data) -> tuple[Given, torch.Tensor]:
        return kept, self._ids(parameters, data.inputs["validation"][: len(kept)])

    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        return Classes(tuple(self.meta["classes"]))

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        from hpsearch.training.loop import Lesson, Student

        inputs, targets = self._ids(trial.params, data.inputs["train"]), data.targets["train"]
        compare = LabelLoss(trial.params, self.meta["train_class_counts"], inputs.device)

        def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return compare(model(x), y)

        return Student(trial, model, Lesson(inputs, targets, loss, self.epochs))

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        return LabelMeasure(self._ids(trial.params, data.inputs[split]), data.targets[split], wanted_scores(self.wanted), PREFIX[split])

    def mistakes(self, trial: Trial, model: nn.Module, data: Data, split: str) -> Mistakes | None:
        return confusion(model, self._ids(trial.params, data.inputs[split]), data.targets[split], self.meta["classes"], split)

    def _ids(self, parameters: Mapping[str, Json], ids: torch.Tensor) -> torch.Tensor:
        """As long, and of as many words, as the trial has it: the rarer ones are unknown."""
        inputs = self.inputs(parameters)
        kept = ids[:, : inputs.shape[0]].long()
        return kept.masked_fill(kept >= inputs.vocabulary, UNKNOWN)
