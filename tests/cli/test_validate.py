"""What is found in the data: said by validate, said once when a sweep begins, and kept for when it goes on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.tasks import findings

pytestmark = pytest.mark.timeout(180)

FILE = """\
name: mine
task: {kind: classification, data: {csv: mine.csv, target: y}}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {min: 0.001, max: 0.1, log: true}}
training: {epochs: 1}
search: {sampler: random, scheduler: none}
budget: {trials: 1}
resources: {executor: inline}
"""

CONSTANT = "column 'b': constant, so that nothing can be learned from it; leave it out"


@pytest.fixture
def mine(hp, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    random = np.random.default_rng(0)
    pd.DataFrame({"a": random.random(100), "b": 1, "y": random.integers(0, 2, 100)}).to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "mine.yaml").write_text(FILE)
    return "mine.yaml"


def test_validate_tells_of_warnings_after_the_samples(hp, mine):
    ran = hp("validate", mine)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines.count(f"warning: {CONSTANT}") == 1
    assert lines.index(f"warning: {CONSTANT}") > next(i for i, line in enumerate(lines) if line.startswith("it would try"))
    assert hp("validate", mine, "--json").json["warnings"] == [CONSTANT]
    assert "warning" not in hp("validate", mine, "task.data=wine").out


@pytest.mark.slow
def test_run_tells_of_them_once_and_resume_from_what_was_kept(hp, mine, monkeypatch):
    ran = hp("run", mine)
    assert ran.err.splitlines().count(f"warning: {CONSTANT}") == 1
    assert CONSTANT not in ran.out
    assert hp("run", mine).err == ""  # finished: nothing is looked at

    (meta,) = Path(".hpsearch").rglob("meta.json")
    assert json.loads(meta.read_text())["warnings"] == [CONSTANT]
    monkeypatch.setattr(findings, "number_rows", lambda columns: pytest.fail("looked at again"))
    hp("extend", "mine", "--trials", 2)
    ran = hp("resume", "mine", "--json")
    assert ran.err.splitlines().count(f"warning: {CONSTANT}") == 1
    assert ran.json["warnings"] == [CONSTANT]
    hp("extend", "mine", "--trials", 3)
    assert hp("resume", "mine", "--quiet").err == ""


def test_labels_that_are_probably_wrong(hp, mine, tmp_path):
    random = np.random.default_rng(0)
    y = np.array(["cat", "dog"])[np.arange(100) % 2]
    data = pd.DataFrame({"a": (y == "dog") + random.normal(0, 0.1, 100), "y": y})
    data.loc[[4, 11], "y"] = ["dog", "cat"]
    data.to_csv(tmp_path / "mine.csv", index=False)
    ran = hp("validate", mine, "--labels")
    assert ran.code == 0
    assert "labels: 2 are probably wrong among 100 rows" in ran.out
    assert "data row 5 " in ran.out
    assert "data row 12 " in ran.out
    found = hp("validate", mine, "--labels", "--json").json["label_errors"]
    assert (found["checked"], found["rows"]) == (100, 100)
    assert sorted((each["row"], each["place"], each["label"], each["likely"]) for each in found["found"]) == [
        (5, "data row 5", "dog", "cat"),
        (12, "data row 12", "cat", "dog"),
    ]
    assert "label_errors" not in hp("validate", mine, "--json").json


def test_no_doubtful_label_is_said_too(hp, mine):
    assert "labels: none is doubtful among 178 rows" in hp("validate", mine, "--labels", "task.data=wine").out


def test_labels_of_what_has_none_are_refused(hp, mine):
    objective = "objective={metric: val_r2, goal: maximize}"
    ran = hp("validate", mine, "--labels", "task.kind=regression", "task.data=diabetes", objective)
    assert ran.code == 2
    assert "--labels: a task of kind regression has no classes" in ran.err


def test_it_says_what_will_run(hp, tmp_path):
    (tmp_path / "train.py").touch()
    (tmp_path / "own.yaml").write_text(
        "task: {kind: command, run: 'python train.py --lr {lr}'}\nobjective: {metric: loss, goal: minimize}\n"
        "space: {lr: {min: 0.1, max: 1.0}}\nbudget: {trials: 1}\n"
    )
    assert "own: command python train.py --lr {lr}" in hp("validate", "own.yaml").out
