"""What is recorded of the data: a digest of them and of their split that knows no machine and no path, columns, sizes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.config import SweepConfig
from hpsearch.provenance import Dataset
from hpsearch.tasks import TASKS


def dataset(tmp_path: Path, directory: Path | None = None, kind: str = "classification", **task: Any) -> Dataset:
    """Of a sweep file in `directory` whose task says `task`."""
    metric, goal = {"regression": ("val_mse", "minimize"), "forecasting": ("val_mae", "minimize")}.get(kind, ("val_loss", "minimize"))
    data = {
        "name": "a", "task": {"kind": kind, **task}, "objective": {"metric": metric, "goal": goal}, "space": {"learning_rate": 0.1},
        "budget": {"trials": 1}, "directory": str(directory or tmp_path),
    }  # fmt: skip
    made = TASKS[kind].make(SweepConfig.from_json(data))
    assert made.dataset is None
    made.prepare(tmp_path / "prepared")
    assert made.dataset is not None
    return made.dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With flowers.csv: 60 rows of two classes."""
    (tmp_path / "here").mkdir()
    rows = [f"{i / 10},{'red' if i % 3 else 'blue'},{i},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "here" / "flowers.csv").write_text("\n".join(["size,colour,count,kind", *rows]) + "\n")
    return tmp_path / "here"


FLOWERS = {"csv": "flowers.csv", "target": "kind"}


def test_of_a_file(tmp_path: Path, folder: Path) -> None:
    found = dataset(tmp_path, folder, data=FLOWERS, split={"validation": 0.2, "test": 0.1})
    assert (found.name, found.format, found.place) == ("flowers.csv", "csv", str(folder / "flowers.csv"))
    assert found.columns == {"size": "double", "count": "double", "colour": "string", "kind": "string"}
    assert found.target == "kind"
    assert found.rows == {"train": 42, "validation": 12, "test": 6}
    assert len(found.digest) <= 36, "as long as MLflow takes"


def test_the_digest_knows_no_path(tmp_path: Path, folder: Path) -> None:
    there = tmp_path / "there"
    shutil.copytree(folder, there)
    assert dataset(tmp_path, folder, data=FLOWERS).digest == dataset(tmp_path / "b", there, data=FLOWERS).digest


def test_the_digest_is_the_one_that_other_machines_have(tmp_path: Path) -> None:
    """Written down once: where it changes, no champion of a registry can be compared with any more."""
    assert dataset(tmp_path, data="digits").digest == "89c8b4d125c678e15f16c308175f1ad3"


@pytest.mark.parametrize(
    "other",
    [
        {"split": {"seed": 1}}, {"split": {"validation": 0.3}}, {"split": {"test": 0.2}}, {"data": {**FLOWERS, "categorical": ["count"]}},
        {"data": {**FLOWERS, "target": "colour"}},
    ],
    ids=str,
)  # fmt: skip
def test_another_split_or_target_is_another_digest(tmp_path: Path, folder: Path, other: dict[str, Any]) -> None:
    assert dataset(tmp_path, folder, **{"data": FLOWERS, **other}).digest != dataset(tmp_path, folder, data=FLOWERS).digest


def test_other_values_are_another_digest(tmp_path: Path, folder: Path) -> None:
    before = dataset(tmp_path, folder, data=FLOWERS).digest
    file = folder / "flowers.csv"
    file.write_text(file.read_text().replace("5.9,", "6.0,"))
    assert dataset(tmp_path, folder, data=FLOWERS).digest != before


def test_images_are_one_column_of_their_shape(tmp_path: Path) -> None:
    found = dataset(tmp_path, data="digits", model="cnn")
    assert found.columns == {"x": [1, 8, 8], "y": "string"}
    assert sum(found.rows.values()) == 1797


def test_texts_and_series(tmp_path: Path) -> None:
    assert dataset(tmp_path, kind="text_classification", data="reviews").columns == {"text": "string", "sentiment": "string"}
    found = dataset(tmp_path, kind="forecasting", data="seasons")
    assert (found.columns, found.target, sum(found.rows.values())) == ({"y": "double"}, "y", 2400)


def test_of_very_many_columns_some_are_named_and_the_target_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", x=np.random.default_rng(0).random((40, 700)), y=np.arange(40.0))
    found = dataset(tmp_path, kind="regression", data={"npz": "wide.npz"})
    assert len(found.columns) + found.left_out == 701
    assert found.columns["y"] == "double"
