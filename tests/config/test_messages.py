"""What a user reads who made a mistake: file, line, key, value, cure."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hpsearch.config import SweepConfig
from hpsearch.config.document import parse
from hpsearch.errors import ConfigError
from hpsearch.trial import Json

Load = Callable[..., SweepConfig]

BUDGET, GOAL, LEARNING_RATE = "budget: {trials: 60}", "{metric: val_accuracy, goal: maximize}", "{min: 1e-5, max: 0.1, log: true}"
DATA, OPTIMIZER, WHEN = "data: digits", "[adamw, sgd]", "{optimizer: sgd}"

CHANGED = [
    (BUDGET, "bugdet: {trials: 60}", "digits.yaml, line 8: bugdet: unknown key 'bugdet'; did you mean 'budget'? Known: baseline,"),
    (BUDGET, "", "digits.yaml: budget: is missing; add it, for example budget: {trials: 60}"),
    (BUDGET, "budget: {}", "line 8: budget: is a budget of nothing; give trials, time or total_epochs, for example {trials: 60}"),
    (BUDGET, "budget: {trials: null}", "is a budget of nothing"),
    (BUDGET, "budget: null", "line 8: budget: must be a mapping, got null; for example {trials: 60}"),
    (BUDGET, "budget: {trials: 0}", "line 8: budget.trials: must be >= 1, got 0; for example 60"),
    (BUDGET, "budget: {trials: '60'}", "budget.trials: must be an integer, got '60'; for example 60"),
    (BUDGET, "budget: {trials: 6.5}", "budget.trials: must be an integer, got 6.5"),
    (BUDGET, "budget: {trials: true}", "budget.trials: must be an integer, got true"),
    (BUDGET, "budget: {time: 0s}", "budget.time: must be > 0, got '0s'; for example 30m"),
    (BUDGET, "budget: {time: 1 hour}", "budget.time: must be a duration such as 10s, 30m or 2h, or a number of seconds, got '1 hour'"),
    (BUDGET, "budget: {total_epochs: -1}", "budget.total_epochs: must be >= 1, got -1"),
    (GOAL, "{metric: a, goal: maximise}", "line 2: objective.goal: unknown value 'maximise'; did you mean 'maximize'?"),
    (GOAL, "{metric: a, gaol: maximize}", "line 2: objective.gaol: unknown key 'gaol'; did you mean 'goal'? Known: at, goal, metric"),
    (GOAL, "val_accuracy", "objective: must be a mapping such as {metric: val_accuracy, goal: maximize}, or a list of them, got 'val_acc"),
    (GOAL, "[]", "objective: must not be empty"),
    (GOAL, "[{metric: a, goal: maximize}, {metric: a, goal: minimize}]", "objective.1.metric: a is an objective already"),
    (LEARNING_RATE, "{min: 0, max: 0.1, log: true}", "line 4: space.learning_rate: min must be > 0 with log: true, got 0; use a small"),
    (LEARNING_RATE, "{min: 1, max: 0.1}", "space.learning_rate: min must be less than max, got min 1 and max 0.1; swap them"),
    (LEARNING_RATE, "{min: 1, max: 1}", "space.learning_rate: min and max are both 1; to fix the value, write it alone"),
    (LEARNING_RATE, "{min: 1, max: 3, step: 5}", "space.learning_rate: step 5 is more than the range from 1 to 3"),
    (LEARNING_RATE, "{mn: 1, max: 3}", "space.learning_rate.mn: unknown key 'mn'; did you mean 'min'?"),
    (LEARNING_RATE, "{max: 3}", "space.learning_rate: min is missing; give min and max, or values, or a single value"),
    (LEARNING_RATE, "{min: a, max: 3}", "space.learning_rate: min must be a number, got 'a'"),
    (LEARNING_RATE, "{min: 1, max: .inf}", "space.learning_rate.max: must be finite, got .inf"),
    (LEARNING_RATE, "{values: [1], min: 3}", "space.learning_rate.min: values and min do not go together"),
    (OPTIMIZER, "[]", "line 5: space.optimizer: values must not be empty"),
    (OPTIMIZER, "[sgd, sgd]", "space.optimizer: values has 'sgd' and 'sgd', which count as the same"),
    (
        WHEN,
        "{optimiser: sgd}",
        "line 6: space.momentum.when.optimiser: when names an unknown parameter 'optimiser'; did you mean 'optimizer'?",
    ),
    (WHEN, "{optimizer: sdg}", "space.momentum.when.optimizer: when is never met: optimizer must be one of 'adamw', 'sgd', got 'sdg'"),
    (WHEN, "{momentum: 0.5}", "space.momentum.when.momentum: when is on momentum, which takes any value"),
    (OPTIMIZER, "[adamw, sgd], when: {activation: relu, momentum: 0.5}", "space.optimizer.when.momentum"),
    ("  activation: relu", "  a: {values: [1, 2], when: {b: 1}}\n  b: {values: [1, 2], when: {a: 1}}", "circle (a -> b -> a)"),
    ("activation: relu", "a/b: relu", "line 7: space.a/b: the name of a parameter must begin with a letter"),
    ("kind: classification, ", "", "line 1: task.kind: is missing; add it, for example kind: classification"),
    (DATA, "data: 3", "task.data: must be a name or a mapping, got 3; for example digits"),
    (DATA, "data: {csv: a, npz: b}", "task.data: must name one of csv, parquet, npz, idx, images, got csv and npz"),
    (DATA, "data: {cvs: a}", "task.data.cvs: unknown key 'cvs'; did you mean 'csv'?"),
    (DATA, "split: {validation: 0.6, test: 0.5}", "task.split: validation 0.6 and test 0.5 leave nothing to train on"),
    (DATA, "split: {validation: 0}", "task.split.validation: must be > 0, got 0; for example 0.15"),
    (
        DATA,
        "target: y",
        "task.target: is only for kind function, and the kind is classification; the column to predict goes into task.data",
    ),
    (DATA, "data: {csv: a.csv, size: 8}", "task.data.size: is only for data of images, and these are csv; remove it"),
    (
        DATA,
        "data: {npz: a.npz, categorical: [b]}",
        "task.data.categorical: is only for data of csv or parquet, and these are npz; remove it",
    ),
    (DATA, "run: ls", "task.run: is only for kind command"),
    (DATA, "metrics: val_f1", "task.metrics: must be a list, got 'val_f1'; for example [val_f1]"),
    (DATA, "metrics: [1]", 'task.metrics.0: must be a string, got 1; put it in quotes: "1"'),
]


@pytest.mark.parametrize(("before", "after", "said"), CHANGED)
def test_a_changed_line(load_text: Load, digits: str, before: str, after: str, said: str) -> None:
    assert before in digits
    with pytest.raises(ConfigError) as caught:
        load_text(digits.replace(before, after))
    assert said in str(caught.value)
    assert str(caught.value).startswith("digits.yaml")


ADDED = [
    ("name: a/b", "line 9: name: must have no slash, got 'a/b'; for example a-b"),
    ("name: ../a", "must have no slash"),
    ("name: a\\b", "must have no backslash"),
    ("name: ''", "name: must not be empty"),
    ("name: ' a'", "nor begin or end with a space"),
    ("name: .a", "must not begin with a dot or dash"),
    ("name: -a", "must not begin with a dot or dash"),
    ('name: "a\\tb"', "name: must have no control or invisible characters, got 'a\\tb'"),
    ('name: "a\\u202eb"', "must have no control or invisible characters"),
    ('name: "\\e[31m"', "must have no control or invisible characters"),
    (f"name: {'x' * 201}", "name: must be at most 200 bytes long, got 201; shorten it"),
    (f"name: {'é' * 101}", "name: must be at most 200 bytes long, got 202"),
    ("name: 12", 'name: must be a string, got 12; put it in quotes: "12"'),
    ("baseline: {optimizer: sgd}", "line 9: baseline: must be a list, got"),
    ("baseline: [{learning_rate: 0.01}]", "line 9: baseline.0.optimizer: is missing; give optimizer a value"),
    ("baseline:\n- optimizer: adamw\n  learning_rate: 1", "line 11: baseline.0.learning_rate: must be from 1e-05 to 0.1, got 1"),
    ("baseline: [{learning_rate: 0.01, optimizer: adam}]", "baseline.0.optimizer: must be one of 'adamw', 'sgd', got 'adam'"),
    ("baseline: [{learning_rate: 0.01, optimizer: adamw, momentum: 0.9}]", "baseline.0.momentum: does not count here"),
    ("baseline: [{learning_rate: 0.01, optimizer: sgd}]", "baseline.0.momentum: is missing"),
    ("baseline: [{learning_rate: 0.01, optimizer: adamw, activation: tanh}]", "baseline.0.activation: is fixed to 'relu'"),
    ("baseline: [{learning_rate: 0.01, optimizer: adamw, dropout: 0}]", "baseline.0.dropout: unknown parameter of the space"),
    ("baseline: [{learning_rate: 0.01, optimizer: adamw}, {optimizer: adamw, learning_rate: 1e-2}]", "baseline.1: is the same"),
    ("baseline: [[1]]", "baseline.0: must be a mapping such as"),
    ("constraints: {metric: parameters, max: 3}", "constraints: must be a list"),
    ("constraints: [{metric: parameters}]", "constraints.0: bounds nothing"),
    ("constraints: [{max: 3}]", "constraints.0: metric is missing"),
    ("constraints: [{metric: parameters, maxx: 3}]", "constraints.0.maxx: unknown key 'maxx'; did you mean 'max'?"),
    ("training: {epochs: 0}", "training.epochs: must be >= 1, got 0; for example 20"),
    ("training: {epoch: 20}", "training.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
    ("training: {precision: fp8}", "training.precision: unknown value 'fp8'"),
    ("training: {device: gpu}", "training.device: unknown value 'gpu'"),
    ("training: {checkpoint_every: -1}", "training.checkpoint_every: must be >= 0, got -1"),
    ("search: {sampler: 3}", "search.sampler: must be a name such as auto, or {kind: NAME, OPTION: VALUE}, got 3"),
    ("search: {sampler: {knd: tpe}}", "search.sampler.kind: is missing"),
    ("search: {seed: -1}", "search.seed: must be >= 0, got -1"),
    ("resources: {workers: 0}", "resources.workers: must be >= 1, got 0"),
    ("resources: {gpus: most}", "resources.gpus: must be a number of GPUs from 0 to 1024, such as 1 or 0.25, or auto, got 'most'"),
    ("resources: {gpus: -1}", "resources.gpus: must be a number of GPUs from 0 to 1024, such as 1 or 0.25, or auto, got -1"),
    ("resources: {gpus: true}", "resources.gpus: must be a number of GPUs from 0 to 1024, such as 1 or 0.25, or auto, got true"),
    ("resources: {timeout: -5s}", "resources.timeout: must be a duration"),
    ("resources: {timeout: 0}", "resources.timeout: must be > 0, got 0"),
    ("resources:\n  timeout: 1m\n  timeout: 2m", "line 11: resources.timeout: duplicate key, first on line 10"),
    ("winner: {top: -1}", "winner.top: must be >= 0, got -1"),
    ("tracking: {register: ''}", "tracking.register: must not be empty"),
    ("tracking: {regster: a}", "tracking.regster: unknown key 'regster'; did you mean 'register'?"),
    ("tracking: {tags: {a: [1]}}", "tracking.tags.a: must be a string, got [1]"),
    ("tracking: {tags: {mlflow.user: me}}", "must not begin with mlflow., as those tags are set by the program itself, got 'mlflow.user'"),
    ("storage: 3", "storage: must be a string, got 3"),
    ("sapce: 1", "line 9: sapce: unknown key 'sapce'; did you mean 'space'?"),
]


@pytest.mark.parametrize(("line", "said"), ADDED)
def test_an_added_line(load_text: Load, digits: str, line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(f"{digits}{line}\n")
    assert said in str(caught.value)
    assert str(caught.value).startswith("digits.yaml")


def test_more_baselines_than_trials(load_text: Load, digits: str) -> None:
    text = digits + "baseline: [{learning_rate: 0.01, optimizer: adamw}, {learning_rate: 0.02, optimizer: adamw}]\n"
    with pytest.raises(ConfigError, match=r"line 9: baseline: has 2 configurations, more than budget\.trials 1"):
        load_text(text, "budget.trials=1")


def test_independent_mistakes_are_told_at_once(load_text: Load, digits: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(digits.replace("60", "0").replace("maximize", "up") + "extra: 1\n")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["objective.goal", "budget.trials", "extra"]


def test_but_not_hundreds(load_text: Load, digits: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(digits + "".join(f"extra{i}: 1\n" for i in range(100)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 80 more")


def test_keys_cannot_paint_the_terminal(load_text: Load, digits: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(digits + '"\\e[31mred": 1\n')
    assert "\x1b" not in str(caught.value)


SECTIONS = ("task", "objective", "space", "baseline", "constraints", "training", "search", "budget", "resources", "winner", "tracking")
NONSENSE = (
    "[]",
    "{}",
    "{a: b}",
    "3",
    "true",
    "null",
    "[1]",
    "[[1]]",
    "[{a: 1}]",
    "x",
    "{kind: [1], data: [1], metric: {}, sampler: {kind: {}}}",
)


@pytest.mark.parametrize("section", [*SECTIONS, "name", "storage"])
def test_pydantic_does_not_speak(digits: str, section: str) -> None:
    """Every section is given nonsense of every type."""
    whole = parse(digits, str).data
    for nonsense in NONSENSE:
        data = {**whole, "name": "digits", section: parse(f"a: {nonsense}", str).data["a"]}
        said = _mistakes(data)
        assert not re.search("Input should|pydantic|https://|Value error|type=|<", said), said


def _mistakes(data: Json) -> str:
    try:
        SweepConfig.from_json(data)
    except ConfigError as error:
        return str(error)
    return ""
