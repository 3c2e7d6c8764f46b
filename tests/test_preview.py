"""What `validate` shows is what a run tries."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch import load
from hpsearch.errors import DataError, InputError
from hpsearch.preview import preview

FILE = """\
name: one
task: {kind: classification, data: iris}
objective: {metric: val_accuracy, goal: maximize}
space:
  learning_rate: {min: 0.001, max: 1.0, log: true}
  hidden_units: {min: 4, max: 64}
  num_layers: 1
baseline: [{learning_rate: 0.1, hidden_units: 8}]
constraints: [{metric: parameters, max: 200}]
search: {sampler: random, seed: 3}
budget: {trials: 40}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(FILE)
    return path


def test_samples_are_of_the_space_and_their_parameters_are_counted(file: Path):
    seen = preview(load(file), samples=20)
    assert len(seen.samples) == 20
    assert len({str(sample.parameters) for sample in seen.samples}) == 20
    for sample in seen.samples:
        seen.config.space.check(sample.parameters)
        hidden = sample.parameters["hidden_units"]
        assert sample.metrics["parameters"] == (4 + 1) * hidden + (hidden + 1) * 3  # iris: 4 features, 3 classes
        assert (sample.broken is not None) == (sample.metrics["parameters"] > 200)
    assert [s.parameters for s in preview(load(file)).samples] == [s.parameters for s in seen.samples[:3]]


def test_a_small_space_is_exhausted(file: Path):
    file.write_text(FILE.replace("{min: 0.001, max: 1.0, log: true}", "{values: [0.1, 0.2]}").replace("{min: 4, max: 64}", "8"))
    config = load(file, ["search.sampler=grid", "baseline=[]"])
    assert sorted(s.parameters["learning_rate"] for s in preview(config, samples=5).samples) == [0.1, 0.2]


def test_nothing_is_written(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    preview(load(file))
    assert [path.name for path in tmp_path.iterdir()] == ["one.yaml"]


def test_data_are_looked_at(file: Path):
    with pytest.raises((DataError, InputError), match=r"nope\.csv"):
        preview(load(file, ["task.data={csv: nope.csv, target: y}"]))
