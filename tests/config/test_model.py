from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from hpsearch.config import SweepConfig, diff, json_schema, load, template
from hpsearch.config.document import parse
from hpsearch.errors import ConfigError

Load = Callable[..., SweepConfig]

SHIPPED = sorted(Path(__file__, "../../../search_spaces").resolve().glob("*.yaml"))
assert SHIPPED


@pytest.fixture(params=[*SHIPPED, "template"], ids=lambda p: p if isinstance(p, str) else p.name)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each sweep file that comes with hpsearch."""
    if isinstance(request.param, Path):
        return request.param
    path = tmp_path / "my-sweep.yaml"
    path.write_text(template(), encoding="utf-8")
    return path


def test_json_and_back(file: Path) -> None:
    config = load(file)
    stored = json.loads(json.dumps(config.to_json(), allow_nan=False))
    back = SweepConfig.from_json(stored)
    assert repr(back) == repr(config)
    assert back.to_json() == stored
    assert back.directory == config.directory == file.parent
    assert list(back.space.parameters) == list(config.space.parameters)
    assert back.where("space.dropout") == f"sweep {config.name}"


def test_numbers_keep_their_kind(load_text: Load, digits: str) -> None:
    text = digits.replace("activation: relu", "a: {min: 1.0, max: 2.0, step: 1.0}\n  b: {min: 1, max: 2.5}\n  c: {values: [1.0, 2, true]}")
    with pytest.raises(ConfigError):
        load_text(text)
    config = load_text(text.replace("[1.0, 2, true]", "[1.0, 2, a]"))
    back = SweepConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert repr(back.space) == repr(config.space)


def test_stored_json_that_is_wrong_names_the_sweep() -> None:
    with pytest.raises(ConfigError, match="sweep digits: task: is missing"):
        SweepConfig.from_json({"name": "digits"})


def test_it_is_frozen_and_travels(load_text: Load) -> None:
    config = load_text()
    with pytest.raises(ValidationError):
        config.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config
    assert pickle.loads(pickle.dumps(config)).where("budget") == config.where("budget")


@pytest.mark.slow
def test_the_schema_takes_what_ships(file: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(parse(file.read_text(encoding="utf-8"), str).data)
    validator.validate({key: value for key, value in load(file).to_json().items() if key != "directory"})


@pytest.mark.parametrize(
    "line",
    [
        "extra: 1", "objective: {metric: a}", "objective: {metric: a, goal: up}", "budget: {trials: 0}", "budget: {time: 1 hour}",
        "training: {epochs: many}", "task: {data: digits}", "task: {kind: classification, data: {cvs: a}}", "space: [1]",
        "space: {a: {min: 1}}", "space: {a: {min: 1, max: x}}", "space: {a/b: 1}", "constraints: [{metric: a}]", "search: {sampler: 3}",
    ],
)  # fmt: skip
def test_the_schema_refuses_what_loading_refuses(load_text: Load, digits: str, line: str) -> None:
    section = line.partition(":")[0]
    data = {**parse(digits, str).data, section: parse(line, str).data[section]}
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(data)
    with pytest.raises(ConfigError):
        load_text(json.dumps(data))


@pytest.mark.parametrize(
    "line",
    [
        "objective: [{metric: a, goal: minimize, at: best}]", "budget: {time: 1h30m}", "budget: {time: 90}",
        "task: {kind: command, run: ls}",
        "search: {sampler: {kind: tpe, n_startup_trials: 3}}", "space: {a: [1, 2], b: null, c: {values: [[1], [2]], when: {d: 1}}, d: 1}",
        "tracking: {register: a, tags: {b: 1}}", "constraints: [{metric: a, min: 0}]",
    ],
)  # fmt: skip
def test_the_schema_takes_what_loading_takes(load_text: Load, digits: str, line: str) -> None:
    section = line.partition(":")[0]
    data = {**parse(digits, str).data, section: parse(line, str).data[section]}
    jsonschema.Draft202012Validator(json_schema()).validate(data)
    load_text(json.dumps(data))


def test_every_key_of_the_schema_is_described() -> None:
    schema = json_schema()
    for name, part in schema["$defs"].items():
        for key, field in part["properties"].items():
            assert "description" in field or "description" in part or "$ref" in field, (name, key)


def test_differences(load_text: Load, digits: str) -> None:
    old = load_text().to_json()
    new = load_text(
        digits, "budget.trials=90", "space.learning_rate.max=0.2", "space.dropout=0.1", "space.optimizer.values=[sgd, adam]",
        "search.sampler=random",
    ).to_json()  # fmt: skip
    assert diff(old, old) == []
    assert diff(old, new) == [
        "space.learning_rate.max: 0.1 -> 0.2",
        "space.optimizer.values: [adamw, sgd] -> [sgd, adam]",
        "space.dropout: added 0.1",
        "search.sampler.kind: auto -> random",
        "budget.trials: 60 -> 90",
    ]
    assert diff({"space": {"a": 1, "b": 2}}, {"space": {"a": 1}}) == ["space.b: removed (was 2)"]


def test_the_order_of_the_space_is_a_difference() -> None:
    assert diff({"space": {"a": 1, "b": 2}}, {"space": {"b": 2, "a": 1}}) == ["space: the order was a, b; now it is b, a"]


def test_one_and_true_and_1_0_differ() -> None:
    assert diff({"a": 1}, {"a": True}) == ["a: 1 -> true"]
    assert diff({"a": 1}, {"a": 1.0}) == ["a: 1 -> 1.0"]


def test_importing_the_room_imports_nothing_heavy() -> None:
    program = "import sys, hpsearch.config.home; print({'pydantic', 'ruamel.yaml', 'optuna', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
