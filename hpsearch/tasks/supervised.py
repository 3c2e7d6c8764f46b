"""What classification and regression on tables share: they differ in targets, loss and measures."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from hpsearch.errors import InputError
from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.tasks import TASKS, prepared, tables
from hpsearch.tasks.prepared import Arrays, Prepared
from hpsearch.tasks.splits import Scale, Shares, Split
from hpsearch.trial import Json, Objective

if TYPE_CHECKING:
    import torch

    from hpsearch.config import DataConfig, SweepConfig
    from hpsearch.training.loop import Lesson
    from hpsearch.training.trial import Trial


@dataclass
class Supervised(ABC):
    """A task with inputs and targets. Made and prepared without torch; pickles small, as the data stay in the prepared folder.

    Args:
        metrics: reported besides the default ones.
        epochs: of one trial's full training.
        patience: epochs without improvement of the first objective after which a training ends.
    """

    kind: ClassVar[str]
    resumable: ClassVar[bool] = True

    source: tables.Source
    shares: Shares
    objectives: Sequence[Objective]
    model: str = "mlp"
    metrics: Sequence[str] = ()
    epochs: int = 20
    patience: int | None = None
    device: str = "auto"
    prepared: Prepared | None = field(default=None, init=False)

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        """The task of a sweep file that was checked against TASKS."""
        task, training = config.task, config.training
        return cls(
            source=_source(task.data, config.directory),
            shares=Shares(task.split.validation, task.split.test, task.split.seed),
            objectives=config.objectives,
            model=task.model or TASKS[task.kind].models[0],
            metrics=tuple(task.metrics),
            epochs=training.epochs,
            patience=training.patience,
            device=training.device,
        )

    @property
    def meta(self) -> Mapping[str, Json]:
        """Of the prepared data: digest, features, rows, and what the kind of task adds."""
        assert self.prepared is not None, "the task is not prepared"
        return self.prepared.meta

    @property
    def data_digest(self) -> str:
        digest: str = self.meta["digest"]
        return digest

    def prepare(self, folder: Path) -> None:
        """See Task."""
        table = tables.read(self.source)
        target = folder / f"{self.kind}-{self._fingerprint(table)}"
        self.prepared = prepared.find(target) or self._write(table, target)

    def _fingerprint(self, table: tables.Table) -> str:
        """Names all that the splits depend on."""
        shares = [self.shares.validation, self.shares.test, self.shares.seed]
        whole = [prepared.FORMAT, self.kind, table.digest, table.target_name, shares]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]

    def _write(self, table: tables.Table, folder: Path) -> Prepared:
        targets, split, described = self.encode(table)
        scale = Scale.fit(table.inputs[split.train])
        rows = {"train": split.train, "validation": split.validation, "test": split.test}
        search, test = (
            Arrays({s: scale.apply(table.inputs[rows[s]]) for s in splits}, {s: targets[rows[s]] for s in splits})
            for splits in (("train", "validation"), ("test",))
        )
        meta = {
            "digest": table.digest,
            "data": str(self.source),
            "inputs": _inputs(table).to_json(),
            "features": list(table.features),
            "target": table.target_name,
            "mean": scale.mean.ravel().tolist(),
            "deviation": scale.deviation.ravel().tolist(),
            "rows": {name: len(indices) for name, indices in rows.items()},
            **described,
        }
        return prepared.write(folder, meta, search, test)

    def static_metrics(self, parameters: Mapping[str, Json]) -> dict[str, float]:
        """See Task."""
        try:
            count = MODELS[self.model].count_parameters(parameters, self.inputs, self.outputs)
        except ValueError as error:
            raise InputError(str(error)) from error
        return {"parameters": count}

    def run(self, trial: Trial) -> None:
        """See Task."""
        from hpsearch.training import device, loop

        assert self.prepared is not None, "the task is not prepared"
        place = device.choose(self.device, trial.assignment.resources.gpus)
        network = MODELS[self.model].load()
        model = network(trial.params, self.inputs, self.outputs, trial.generator)
        loop.train(trial, model.to(place), self.lesson(trial, load_tensors(self.prepared.folder, str(place))))

    @property
    def inputs(self) -> Inputs:
        """What one example is."""
        return Inputs.from_json(self.meta["inputs"])

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers the network gives for an example."""

    @abstractmethod
    def encode(self, table: tables.Table) -> tuple[NDArray[Any], Split, dict[str, Json]]:
        """The targets as they are trained on, the split, and what meta.json says of them."""

    @abstractmethod
    def lesson(self, trial: Trial, data: Tensors) -> Lesson:
        """Data, loss and measures for the training loop."""

    @property
    def wanted(self) -> frozenset[str]:
        """The metrics asked for by name."""
        return frozenset(self.metrics) | {objective.metric for objective in self.objectives}


@dataclass(frozen=True, slots=True)
class Tensors:
    """Training and validation data on a device: (rows, ...) each."""

    train_inputs: torch.Tensor
    train_targets: torch.Tensor
    validation_inputs: torch.Tensor
    validation_targets: torch.Tensor


@lru_cache(maxsize=2)
def load_tensors(folder: Path, device: str) -> Tensors:
    """A prepared folder's training and validation data; read once in a process."""
    import torch

    arrays = prepared.load_search(folder)
    kept = (arrays.inputs["train"], arrays.targets["train"], arrays.inputs["validation"], arrays.targets["validation"])
    return Tensors(*(torch.from_numpy(array).to(device) for array in kept))


def _inputs(table: tables.Table) -> Inputs:
    return Inputs("rows", table.inputs.shape[1:])


def _source(data: str | DataConfig | None, directory: Path) -> tables.Source:
    assert data is not None, "a sweep file without data is refused before"
    if isinstance(data, str):
        return tables.Source("builtin", data)
    return tables.Source(data.format, str(directory / data.path), data.target)
