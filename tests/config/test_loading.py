from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.config import SweepConfig, load
from hpsearch.errors import ConfigError
from hpsearch.space import Categorical, Constraint, Float, Int
from hpsearch.trial import Objective

Load = Callable[..., SweepConfig]


def test_a_short_file_and_its_defaults(load_text: Load, tmp_path: Path) -> None:
    config = load_text()
    assert config.name == "digits"
    assert config.directory == tmp_path
    assert config.objectives == (Objective("val_accuracy", "maximize", "last"),)
    assert config.space.parameters == {
        "learning_rate": Float(1e-5, 0.1, log=True),
        "optimizer": Categorical(("adamw", "sgd")),
        "momentum": Float(0.5, 0.99, when={"optimizer": ("sgd",)}),
    }
    assert config.space.fixed == {"activation": "relu"}
    assert (config.baseline, config.constraints, config.storage) == ((), (), None)
    assert (config.training.epochs, config.training.patience, config.training.checkpoint_every) == (20, None, 10.0)
    assert (config.search.sampler.kind, config.search.scheduler.kind, config.search.seed) == ("auto", "auto", 0)
    assert (config.budget.trials, config.budget.time, config.budget.total_epochs) == (60, None, None)
    resources = config.resources
    assert (resources.executor, resources.workers, resources.cpus, resources.gpus) == ("process", None, 1, 0)
    assert (resources.timeout, resources.retries) == (None, 1)
    assert (config.winner.top, config.winner.seeds) == (0, 3)
    assert (config.tracking.register, config.tracking.tags, config.tracking.experiment) == (None, {}, None)


WHOLE = """\
name: everything
task:
  kind: classification
  data: {csv: data/my.csv, target: label}
  model: mlp
  split: {validation: 0.2, test: 0.1, seed: 3}
  metrics: [val_f1]
objective:
  - {metric: val_accuracy, goal: maximize, at: best}
  - {metric: val_loss, goal: minimize}
space:
  layers: {min: 1, max: 4}
  width: {min: 16, max: 256, step: 16}
  dropout: {min: 0, max: 0.5, step: 0.1}
  hidden_units: {values: [[64], [64, 32]], when: {layers: [2, 3], width: 16}}
  clip_norm: null
  sizes: [3, 4]
baseline: [{layers: 1, width: 32, dropout: 0}]
constraints: [{metric: parameters, min: 10, max: 200000}]
training: {epochs: 5, patience: 2, precision: bf16, device: cpu, checkpoint_every: 0s}
search: {sampler: {kind: tpe, n_startup_trials: 20}, scheduler: {kind: promote, eta: 3, min_steps: 3}, seed: 7}
budget: {trials: 200, time: 1h30m, total_epochs: 4000}
resources: {executor: ray, workers: 8, cpus: 2, gpus: 0.5, timeout: 500ms, retries: 0}
winner: {top: 3, seeds: 5}
tracking: {register: digits-mlp, tags: {team: vision, year: 2026, final: true}, experiment: shared}
storage: s3://bucket/sweeps
"""


def test_everything_has_a_place(load_text: Load) -> None:
    config = load_text(WHOLE)
    data = config.task.data
    assert not isinstance(data, str | None)
    assert (data.format, data.path, data.target, data.csv) == ("csv", "data/my.csv", "label", "data/my.csv")
    assert config.task.metrics == ("val_f1",)
    assert config.objectives == (Objective("val_accuracy", "maximize", "best"), Objective("val_loss", "minimize"))
    assert config.space.parameters["layers"] == Int(1, 4)
    assert config.space.parameters["width"] == Int(16, 256, step=16)
    assert config.space.parameters["dropout"] == Float(0, 0.5, step=0.1)
    assert config.space.parameters["hidden_units"] == Categorical(([64], [64, 32]), when={"layers": (2, 3), "width": (16,)})
    assert config.space.fixed == {"clip_norm": None, "sizes": [3, 4]}
    assert config.constraints == (Constraint("parameters", 10, 200_000),)
    assert config.search.scheduler.options == {"eta": 3, "min_steps": 3}
    assert (config.budget.time, config.resources.timeout, config.training.checkpoint_every) == (5400.0, 0.5, 0.0)
    assert config.tracking.register == "digits-mlp"
    assert config.tracking.tags == {"team": "vision", "year": "2026", "final": "true"}


@pytest.mark.parametrize(
    "task",
    [
        "{kind: function, target: 'my_module:train', resumable: true}",
        "{kind: command, run: python train.py}",
        "{kind: command, run: [python, train.py, --lr, '{learning_rate}']}",
        "{kind: forecasting, data: {parquet: x.parquet, target: y}}",
        "{kind: generation, data: {idx: mnist}, model: gan}",
        "{kind: anomaly_detection, data: {images: flowers}, model: autoencoder}",
    ],
)
def test_tasks_to_come_are_parsed(load_text: Load, digits: str, task: str) -> None:
    text = digits.replace("{kind: classification, data: digits, model: mlp}", task)
    config = load_text(text)
    assert SweepConfig.from_json(config.to_json()).task == config.task


@pytest.mark.parametrize("text", ["60", "60s", "1m", "0.5m30s", "1m 0s", "60000ms"])
def test_durations(load_text: Load, digits: str, text: str) -> None:
    assert load_text(digits + f"resources: {{timeout: {text}}}").resources.timeout == 60.0


def test_where(load_text: Load) -> None:
    config = load_text(WHOLE, "space.dropout.max=0.4", "budget.trials=9", "tracking.tags.team=nlp", "training={epochs: 3}")
    assert config.where("space.layers") == "digits.yaml, line 12"
    assert config.where("space.layers.max") == "digits.yaml, line 12"
    assert config.where("objective.1.metric") == "digits.yaml, line 10"
    assert config.where("budget.trials") == "command line, budget.trials=9"
    assert config.where("space.dropout") == "digits.yaml, line 14, with space.dropout.max=0.4"
    assert config.where("training.epochs") == "command line, training={epochs: 3}"
    assert config.where("nowhere") == "digits.yaml"
    assert config.where("resources.timeout") == "digits.yaml, line 23"


def test_overrides(load_text: Load, digits: str) -> None:
    config = load_text(
        digits, "budget.trials=200", "budget.time=2h", "space.learning_rate.max=0.01", "space.dropout={min: 0, max: 0.5}",
        "space.optimizer=adamw", "name=2026", "search.sampler=random", "search.seed=1", "search.seed=2", "tracking.tags.a=b=c",
    )  # fmt: skip
    assert (config.budget.trials, config.budget.time) == (200, 7200.0)
    assert config.space.parameters["learning_rate"] == Float(1e-5, 0.01, log=True)
    assert config.space.parameters["dropout"] == Float(0, 0.5)
    assert config.space.fixed["optimizer"] == "adamw"
    assert (config.name, config.search.sampler.kind, config.search.seed) == ("2026", "random", 2)
    assert config.tracking.tags == {"a": "b=c"}


def test_an_override_of_one_alias_leaves_the_others(load_text: Load, digits: str) -> None:
    text = digits.replace("activation: relu", "activation: relu\n  a: &r {min: 0, max: 1.0}\n  b: *r")
    config = load_text(text, "space.b.max=0.5")
    assert config.space.parameters["a"] == Float(0, 1)
    assert config.space.parameters["b"] == Float(0, 0.5)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("budget", "command line, budget: must be KEY=VALUE; for example budget.trials=200"),
        ("=3", "must be KEY=VALUE"),
        ("a..b=3", "must be KEY=VALUE"),
        ("budget.trials=many", "command line, budget.trials=many: budget.trials: must be an integer, got 'many'; for example 60"),
        ("bugdet.trials=3", "command line, bugdet.trials=3: bugdet: unknown key 'bugdet'; did you mean 'budget'?"),
        ("budget.trails=3", "command line, budget.trails=3: budget.trails: unknown key 'trails'; did you mean 'trials'?"),
        ("space.learning_rte.max=1", "command line, space.learning_rte.max=1: unknown parameter of the space 'learning_rte'; did you mean"),
        ("space.momentum.mx=1", "command line, space.momentum.mx=1: space.momentum.mx: unknown key 'mx'; did you mean 'max'?"),
        (
            "space.learning_rate.min=1",
            "digits.yaml, line 4, with space.learning_rate.min=1: space.learning_rate: min must be less than max",
        ),
        ("space.activation.values=[a]", "space.activation is 'relu', with nothing below it; give it whole"),
        ("budget.trials=[1", "command line, budget.trials=[1: not valid YAML"),
        ("budget.trials=!!python/name:os.system", "tags are not allowed"),
        ("name=a/b", "command line, name=a/b: name: must have no slash, got 'a/b'; for example a-b"),
        ("name=", "name: must not be empty"),
    ],
)
def test_overrides_that_are_wrong(load_text: Load, digits: str, override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(digits, override)
    assert said in str(caught.value)


def test_overrides_reach_into_lists(load_text: Load, digits: str) -> None:
    text = digits + "baseline: [{learning_rate: 0.001, optimizer: adamw}]\n"
    assert load_text(text, "baseline.0.learning_rate=0.01").baseline[0]["learning_rate"] == 0.01
    with pytest.raises(ConfigError, match=r"baseline is a list of 1, counted from 0, and has no '1'"):
        load_text(text, "baseline.1.learning_rate=0.01")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "line 1: has the byte 0x89, which is no UTF-8 text"),
        (b"a: 1\nb: \xe9", "line 2: has the byte 0xe9"),
        (b"a: \x00", "not valid YAML"),
        (b"", "is empty"),
        (b"- a", "must be a mapping with the keys task, objective, space and budget, got"),
        (b"just words", "must be a mapping"),
        (b"#" * 1_000_001, "is larger than 1,000,000 bytes"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"some\.yaml") as caught:
        load(path)
    assert said in str(caught.value)


def test_a_huge_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    began = time.monotonic()
    with pytest.raises(ConfigError, match="larger than"):
        load(path)
    assert time.monotonic() - began < 1


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in [
        (tmp_path / "missing.yaml", "No such file"),
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe", "it is no ordinary file"),
        (Path("a\0b"), "cannot be read"),
    ]:
        with pytest.raises(ConfigError, match=said):
            load(path)


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path: Path, digits: str) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + digits.replace("\n", "\r\n").encode())
    assert load(path).budget.trials == 60


def test_a_file_name_that_is_no_name(tmp_path: Path, digits: str) -> None:
    path = tmp_path / "-odd.yaml"
    path.write_text(digits)
    with pytest.raises(ConfigError, match="after which the sweep is named, as it has no key `name`"):
        load(path)


def test_loading_is_fast_and_light(tmp_path: Path, digits: str) -> None:
    """At its best of seven, as other work may slow it; and no heavy library."""
    path = tmp_path / "digits.yaml"
    path.write_text(digits)
    program = (
        "import sys, time; from hpsearch.config import load; times = []\n"
        "for _ in range(7):\n    began = time.perf_counter(); load(sys.argv[1]); times.append(time.perf_counter() - began)\n"
        "heavy = {'optuna', 'torch', 'numpy', 'sqlalchemy', 'mlflow', 'ray', 'pandas'} & set(sys.modules)\n"
        "print(min(times), *heavy)"
    )
    seen = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True).stdout.split()
    assert len(seen) == 1, seen
    assert float(seen[0]) < 0.03
