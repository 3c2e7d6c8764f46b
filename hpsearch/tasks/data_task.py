"""What all tasks with data of their own share: they are read, split and written once, and a network trains on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, Self, TypeVar

from hpsearch.errors import InputError
from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.provenance import Dataset, digest_of
from hpsearch.tasks import TASKS, prepared, tables
from hpsearch.tasks.answers import Answer
from hpsearch.tasks.forms import FORMS, Form
from hpsearch.tasks.prepared import Arrays, Kept, Prepared
from hpsearch.tasks.splits import Shares
from hpsearch.trial import Json, Objective, TrialKind

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.config import DataConfig, SweepConfig
    from hpsearch.tasks.mistakes import Mistakes
    from hpsearch.tasks.predictor import Given, Predictor
    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial


MOST_COLUMNS = 500
"""Of a dataset that are recorded by name; the others are counted."""


class Digested(Protocol):
    """Raw data: tables, texts, series. `digest` is its SHA-256 (hex)."""

    @property
    def digest(self) -> str: ...

    @property
    def target_name(self) -> str:
        """Of the column that is predicted, where one is."""

    @property
    def columns(self) -> Mapping[str, Json]:
        """The type of each (double, long, boolean, string), the target's too; or the shape of what is no column."""


RawT = TypeVar("RawT", bound=Digested)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Raw data as they are trained on: in splits, in numbers. `meta` says what they are; "inputs" is there an `Inputs` as JSON.

    `kept`: what a trained network keeps of them. `warnings`: what was found in them that a person should know of.
    """

    meta: Mapping[str, Json]
    search: Arrays
    test: Arrays
    kept: Kept
    warnings: Sequence[str] = ()


@dataclass
class DataTask(ABC, Generic[RawT]):
    """A task with data of its own. Made and prepared without torch; pickles small, as the data stay in the prepared folder.

    Args:
        metrics: reported besides the default ones.
        epochs: of one trial's full training.
        patience: epochs without improvement of the first objective after which a training ends.
        precision: fp32, tf32 or bf16.
        leaves_networks: whether each re-test leaves its network, for the winner's to be registered.
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
    precision: str = "fp32"
    leaves_networks: bool = False
    prepared: Prepared | None = field(default=None, init=False)
    dataset: Dataset | None = field(default=None, init=False)

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
            precision=training.precision,
            leaves_networks=config.tracking.register is not None,
        )

    @property
    def meta(self) -> Mapping[str, Json]:
        """Of the prepared data: digest, inputs, rows, and what the kind of task adds."""
        assert self.prepared is not None, "the task is not prepared"
        return self.prepared.meta

    @property
    def data_digest(self) -> str:
        digest: str = self.meta["digest"]
        return digest

    @property
    def folder(self) -> Path | None:
        """See Task."""
        return None if self.prepared is None else self.prepared.folder

    @property
    def code(self) -> Path | None:
        """See Task: there is none."""
        return None

    def move(self, folder: Path) -> None:
        """See Task."""
        self.prepared = Prepared(folder, self.meta)

    @property
    def warnings(self) -> Sequence[str]:
        """See Task. Found when the data were prepared, and kept with them."""
        found: Sequence[str] = self.meta["warnings"]
        return found

    @property
    def wanted(self) -> frozenset[str]:
        """The metrics asked for by name."""
        return frozenset(self.metrics) | {objective.metric for objective in self.objectives}

    def prepare(self, folder: Path) -> None:
        """See Task."""
        raw = self.read()
        target = folder / f"{self.kind}-{self._fingerprint(raw)}"
        self.prepared = prepared.find(target) or self._write(raw, target)
        self.dataset = self._describe(raw)
        inputs = self.inputs({})
        if inputs.kind not in MODELS[self.model].inputs:
            raise InputError(_unsuited(self.model, inputs))

    def _fingerprint(self, raw: RawT) -> str:
        """Names a prepared folder."""
        return digest_of([prepared.FORMAT, *self._identity(raw)])[:16]

    def _identity(self, raw: RawT) -> list[Json]:
        """All that the splits depend on; nothing of where the data lie."""
        return [self.kind, raw.digest, [self.shares.validation, self.shares.test, self.shares.seed], *self.depends_on()]

    def _describe(self, raw: RawT) -> Dataset:
        columns, target = raw.columns, raw.target_name
        kept = {name: kind for name, kind in islice(columns.items(), MOST_COLUMNS) if name != target}
        if target in columns:
            kept[target] = columns[target]
        return Dataset(
            name=Path(self.source.place).name,
            digest=digest_of(self._identity(raw)),
            format=self.source.format,
            place=self.source.place,
            columns=kept,
            target=target if target in columns else None,
            rows=self.meta["rows"],
            left_out=len(columns) - len(kept),
        )

    def _write(self, raw: RawT, folder: Path) -> Prepared:
        encoded = self.encode(raw)
        meta = {"digest": raw.digest, "data": str(self.source), "warnings": list(encoded.warnings), **encoded.meta}
        return prepared.write(folder, meta, encoded.search, encoded.test, encoded.kept)

    def static_metrics(self, parameters: Mapping[str, Json]) -> dict[str, float]:
        """See Task."""
        try:
            count = MODELS[self.model].count_parameters(parameters, self.inputs(parameters), self.outputs)
        except ValueError as error:
            raise InputError(str(error)) from error
        return {"parameters": count}

    def run(self, trial: Trial) -> None:
        """See Task. A re-test is measured on the test split too, where there is one, after its last step."""
        from hpsearch.tasks.leaving import Leaving
        from hpsearch.tasks.mistakes import Telling
        from hpsearch.training import device, loop, precision
        from hpsearch.training.stopping import Patience

        assert self.prepared is not None, "the task is not prepared"
        is_retest = trial.assignment.kind is TrialKind.RETEST
        place = device.choose(self.device, trial.assignment.resources.gpus)
        data = load_data(self.prepared.folder, str(place), is_retest)
        model = MODELS[self.model].load()(trial.params, self.inputs(trial.params), self.outputs, trial.generator).to(place)
        with precision.multiplying(self.precision):
            learner = self.learner(trial, precision.computing(self.precision, model), data)
            measure = self.measure(trial, data, "validation")
            unseen = "test" if is_retest and len(data.inputs["test"]) else "validation"
            examine = self.measure(trial, data, "test") if unseen == "test" else None
            if is_retest:
                examine = Telling(trial, examine, lambda trained: self.mistakes(trial, trained, data, unseen))
            if is_retest and self.leaves_networks:
                examine = Leaving(trial, examine, lambda trained: self.predictor(trial.params, trained, data))
            loop.train(trial, learner, measure, Patience(self.objectives[0], self.patience), examine)

    def mistakes(self, trial: Trial, model: nn.Module, data: Data, split: str) -> Mistakes | None:
        """What the trained `model` gets wrong on a split, for the report; None where this kind of task has no such picture."""
        return None

    def predictor(self, parameters: Mapping[str, Json], model: nn.Module, data: Data) -> Predictor:
        """The trained `model` in use, with examples of the validation split, of which it says here what it must say ever after."""
        from hpsearch.tasks.predictor import Example, Network, Predictor

        assert self.prepared is not None, "the task is not prepared"
        kept = prepared.load_kept(self.prepared.folder)
        network = Network(self.model, parameters, self.inputs(parameters), self.outputs, self.precision)
        form, answer = self.form(parameters, kept.form), self.answer(parameters, kept.form, model, data)
        given, inputs = self.example(parameters, kept.example, data)
        return Predictor(network, model, form, answer, Example(given, answer(model, inputs)))

    def form(self, parameters: Mapping[str, Json], kept: Json) -> Form:
        """Of examples as their user has them; `kept`: what was kept of it with the data."""
        return FORMS[kept["kind"]].from_json(kept)

    def example(self, parameters: Mapping[str, Json], kept: Given, data: Data) -> tuple[Given, torch.Tensor]:
        """Examples in that form, and the same as they were trained on: the first of the validation split."""
        return kept, data.inputs["validation"][: len(kept)]

    def inputs(self, parameters: Mapping[str, Json]) -> Inputs:
        """What one example is."""
        return Inputs.from_json(self.meta["inputs"])

    def depends_on(self) -> list[Json]:
        """What the prepared data depend on, besides the raw data and the split."""
        return [self.source.target, list(self.source.categorical), self.source.size, self.source.channels]

    @abstractmethod
    def read(self) -> RawT:
        """The raw data. Raises `DataError`."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers the network gives for an example."""

    @abstractmethod
    def encode(self, raw: RawT) -> Encoded:
        """Splits, and the numbers in them. Raises `DataError`."""

    @abstractmethod
    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        """What the outputs of the trained `model` mean; `kept`: the form of the data."""

    @abstractmethod
    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        """What the training loop trains."""

    @abstractmethod
    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        """What is measured of the network on a split, "validation" or "test"; its metrics' names begin with PREFIX[split]."""


PREFIX = {"validation": "val_", "test": "test_"}


@dataclass(frozen=True, slots=True)
class Data:
    """Inputs and targets on a device, by split: (rows, ...) each. The test split is only there in a re-test."""

    inputs: Mapping[str, torch.Tensor]
    targets: Mapping[str, torch.Tensor]


@lru_cache(maxsize=2)
def load_data(folder: Path, device: str, with_test: bool) -> Data:
    """A prepared folder's data; read once in a process."""
    import torch

    arrays = prepared.load_search(folder)
    if with_test:
        arrays = arrays | prepared.load_test(folder)

    def on_device(named: Mapping[str, prepared.Array]) -> dict[str, torch.Tensor]:
        return {split: torch.from_numpy(array).to(device) for split, array in named.items()}

    return Data(on_device(arrays.inputs), on_device(arrays.targets))


def _unsuited(model: str, inputs: Inputs) -> str:
    suited = ", ".join(name for name, entry in MODELS.items() if inputs.kind in entry.inputs and entry.predicts == MODELS[model].predicts)
    kinds = " or ".join(MODELS[model].inputs)
    return f"model {model} takes {kinds}, and an example of these data is {inputs.kind} of shape {inputs.shape}; use {suited}"


def _source(data: str | DataConfig | None, directory: Path) -> tables.Source:
    assert data is not None, "a sweep file without data is refused before"
    if isinstance(data, str):
        return tables.Source("builtin", data)
    return tables.Source(
        data.format,
        str(directory / data.path),
        data.target,
        categorical=data.categorical,
        size=data.size,
        channels=data.channels,
    )
