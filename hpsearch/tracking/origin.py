"""What a sweep's run shows of where the sweep came from: tags and an artifact of code and environment, and its data as dataset inputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hpsearch.events import SweepOpened
from hpsearch.provenance import Dataset, Provenance
from hpsearch.tracking.keys import MAX_TAG, cut
from hpsearch.trial import Json

MAX_DATASET_NAME = 500
_MAX_SCHEMA = 65_535
"""Of a longer one nothing is shown: some databases take no more."""

_CONTEXTS = {"train": "training", "validation": "validation", "test": "test"}
_NUMPY = {"double": "float64", "long": "int64", "boolean": "bool", "string": "str"}


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the sweep: the same that a `SweepOpened` says, with its time."""

    at_ms: int
    opened: SweepOpened

    @property
    def provenance(self) -> Provenance:
        """Empty where the run said nothing."""
        return self.opened.provenance or Provenance()

    def to_json(self) -> dict[str, Json]:
        """All but the data, which are an input."""
        said = {key: value for key, value in self.provenance.to_json().items() if key != "dataset"}
        return {"begun": datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(), "user": self.opened.user, **said}


def dataset_of(sessions: Sequence[Session]) -> Dataset | None:
    """What is trained on, as the last run that said so has it; None where that is the affair of other people's code."""
    return next((s.provenance.dataset for s in reversed(sessions) if s.provenance.dataset is not None), None)


def source_tags(sessions: Sequence[Session]) -> dict[str, str]:
    """What MLflow's UI shows as source and user: of the last run, whose commit may be another than the first one's."""
    if not sessions:
        return {}
    file = next((s.provenance.file for s in reversed(sessions) if s.provenance.file is not None), "")
    last = sessions[-1]
    commit = last.provenance.commit
    return {
        "mlflow.user": cut(last.opened.user or "", MAX_TAG),
        "mlflow.source.name": cut(file, MAX_TAG),
        "mlflow.source.type": "LOCAL" if file else "",
        "mlflow.source.git.commit": commit.sha if commit else "",
        "mlflow.source.git.dirty": str(commit.dirty).lower() if commit and commit.dirty is not None else "",
    }


@dataclass(frozen=True, slots=True)
class Input:
    """A dataset input: the data of one split. `schema` and `profile` are JSON in MLflow's forms."""

    name: str
    digest: str
    context: str
    source_type: str
    source: str
    schema: str | None
    profile: str

    @property
    def key(self) -> tuple[str, str]:
        """What MLflow tells datasets of an experiment apart by; the rest is as the first run has said it."""
        return self.name, self.digest


def inputs_of(dataset: Dataset | None) -> tuple[Input, ...]:
    """An input for each split that has examples. They differ in name: of one name and digest, MLflow keeps one for each run."""
    if dataset is None:
        return ()
    is_builtin = dataset.format == "builtin"
    source = {"tags": {"builtin": dataset.place}} if is_builtin else {"uri": cut(dataset.place, MAX_TAG)}
    return tuple(
        Input(
            name=f"{cut(dataset.name, MAX_DATASET_NAME - 20)}/{context}",
            digest=dataset.digest,
            context=context,
            source_type="code" if is_builtin else "local",
            source=json.dumps(source),
            schema=_schema(dataset),
            profile=json.dumps({"num_rows": dataset.rows[split], "num_columns": len(dataset.columns) + dataset.left_out}),
        )
        for split, context in _CONTEXTS.items()
        if dataset.rows.get(split)
    )


def _schema(dataset: Dataset) -> str | None:
    has_shapes = any(isinstance(kind, list) for kind in dataset.columns.values())
    schema = json.dumps(_tensors(dataset) if has_shapes else {"mlflow_colspec": [_column(*each) for each in dataset.columns.items()]})
    return schema if len(schema) <= _MAX_SCHEMA else None


def _column(name: str, kind: str) -> Json:
    return {"type": kind, "name": name, "required": True}


def _tensors(dataset: Dataset) -> Json:
    """In MLflow's form the two are JSON within JSON."""
    features = [_tensor(name, kind) for name, kind in dataset.columns.items() if name != dataset.target]
    targets = [_tensor(name, kind) for name, kind in dataset.columns.items() if name == dataset.target]
    return {"mlflow_tensorspec": {"features": json.dumps(features), "targets": json.dumps(targets) if targets else None}}


def _tensor(name: str, kind: Json) -> Json:
    dtype, shape = ("float64", kind) if isinstance(kind, list) else (_NUMPY[kind], [])
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *shape]}}
