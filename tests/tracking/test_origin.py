"""Where a sweep came from, as its run shows it: MLflow's own classes read schemas and sources, and the ledger is the only source."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpsearch.events import SweepOpened
from hpsearch.provenance import Commit, Dataset, Environment, Provenance
from hpsearch.tracking.origin import Session, dataset_of, inputs_of, source_tags

TABLE = Dataset(
    "a.csv", "0" * 32, "csv", "/data/a.csv", {"x": "double", "colour": "string", "y": "long"}, "y", {"train": 7, "validation": 2, "test": 0}
)
IMAGES = Dataset("digits", "1" * 32, "builtin", "digits", {"x": [1, 8, 8], "y": "string"}, "y", {"train": 7, "validation": 2, "test": 1})


def session(commit: Commit | None, file: str | None = None, **said: Any) -> Session:
    return Session(1_700_000_000_000, SweepOpened("holder", user="ada", provenance=Provenance(commit=commit, file=file, **said)))


def test_the_last_run_says_which_commit_and_a_file_is_remembered() -> None:
    first, second = session(Commit("a" * 40, True), "/home/me/a.yaml"), session(Commit("b" * 40, False))
    assert source_tags([first, second]) == {
        "mlflow.user": "ada",
        "mlflow.source.name": "/home/me/a.yaml",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "b" * 40,
        "mlflow.source.git.dirty": "false",
    }
    assert source_tags([first])["mlflow.source.git.dirty"] == "true"


def test_where_git_cannot_be_asked_any_more_an_old_commit_is_not_shown() -> None:
    tags = source_tags([session(Commit("a" * 40, None)), session(None)])
    assert (tags["mlflow.source.git.commit"], tags["mlflow.source.git.dirty"]) == ("", "")


def test_sweeps_of_old_have_nothing_to_tell() -> None:
    old = Session(0, SweepOpened("holder"))
    assert source_tags([]) == {}
    assert not any(source_tags([old]).values())
    assert inputs_of(dataset_of([old])) == ()
    assert old.to_json() == {"begun": "1970-01-01T00:00:00+00:00", "user": None}


def test_every_run_tells_its_commit_and_environment() -> None:
    environment = Environment("3.11.7", "Linux", "vm", 2, {"torch": "2.13.0"})
    told = session(Commit("a" * 40, True), "/home/me/a.yaml", environment=environment, dataset=TABLE).to_json()
    assert told == {
        "begun": "2023-11-14T22:13:20+00:00",
        "user": "ada",
        "file": "/home/me/a.yaml",
        "commit": {"sha": "a" * 40, "dirty": True},
        "environment": {"python": "3.11.7", "platform": "Linux", "host": "vm", "cpus": 2, "versions": {"torch": "2.13.0"}},
    }


def test_an_input_for_each_split_that_has_examples() -> None:
    shown = [(i.name, i.digest, i.context, json.loads(i.profile)["num_rows"]) for i in inputs_of(TABLE)]
    assert shown == [("a.csv/training", "0" * 32, "training", 7), ("a.csv/validation", "0" * 32, "validation", 2)]
    assert [i.context for i in inputs_of(IMAGES)] == ["training", "validation", "test"]


@pytest.mark.slow
def test_mlflow_understands_schemas_and_sources() -> None:
    from mlflow.data.dataset_source_registry import get_dataset_source_from_json
    from mlflow.data.schema import TensorDatasetSchema
    from mlflow.types import Schema

    table, *_ = inputs_of(TABLE)
    schema = Schema.from_json(json.dumps(json.loads(table.schema or "")["mlflow_colspec"]))
    assert dict(zip(schema.input_names(), map(str, schema.input_types()), strict=True)) == {
        "x": "DataType.double",
        "colour": "DataType.string",
        "y": "DataType.long",
    }
    assert get_dataset_source_from_json(table.source, table.source_type).to_dict() == {"uri": "/data/a.csv"}
    images, *_ = inputs_of(IMAGES)
    tensors = TensorDatasetSchema.from_dict(json.loads(images.schema or ""))
    assert [(t.name, t.shape) for t in tensors.features.inputs] == [("x", (-1, 1, 8, 8))]
    assert [(t.name, t.shape) for t in tensors.targets.inputs] == [("y", (-1,))]
    assert get_dataset_source_from_json(images.source, images.source_type).to_dict() == {"tags": {"builtin": "digits"}}


def test_names_and_schemas_are_as_long_as_databases_take() -> None:
    long = Dataset("n" * 1000, "0" * 32, "csv", "p" * 5000, {f"{i:03}{'c' * 200}": "double" for i in range(500)}, None, {"train": 1}, 3)
    (found,) = inputs_of(long)
    assert len(found.name) <= 500
    assert found.schema is None
    assert json.loads(found.profile) == {"num_rows": 1, "num_columns": 503}
