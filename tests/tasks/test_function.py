"""A Python function of one's own: found, checked, called, resumed."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import ClassVar

import pytest
from own_code_sweeps import plan_of, task_of

from hpsearch.errors import ConfigError
from hpsearch.tasks.function import load_function
from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, Pause, TrialKind, TrialState

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def fresh_imports(monkeypatch):
    """What a test imports from its folder, no other test finds."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("torch", "numpy", "hpsearch")):
            del sys.modules[name]


def write(folder: Path, body: str, name: str = "mine") -> None:
    (folder / f"{name}.py").write_text(textwrap.dedent(body))


COUNTS = """
    def train(trial):
        saved = trial.load_checkpoint()
        total = saved["total"] if saved else 0
        for step in trial.steps():
            total += trial.params["lr"]
            trial.report(step, {"loss": total, "extra": step}, checkpoint=lambda: {"total": total})
"""


def test_it_is_called_with_the_trial(tmp_path, train):
    write(tmp_path, COUNTS)
    outcome, metrics = train(task_of(tmp_path, {"kind": "function", "target": "mine:train"}), {"lr": 0.5}, until=3)
    assert outcome.state is TrialState.COMPLETED
    assert metrics == [{"loss": 0.5, "extra": 1.0}, {"loss": 1.0, "extra": 2.0}, {"loss": 1.5, "extra": 3.0}]


def test_it_goes_on_from_its_checkpoint(tmp_path):
    write(tmp_path, COUNTS)
    task = task_of(tmp_path, {"kind": "function", "target": "mine:train"})

    class Pausing:
        def __init__(self):
            self.seen = []

        def report(self, report, last):
            self.seen.append((report.step, report.metrics["loss"]))
            return Pause() if report.step == 2 else None

    channel = Pausing()
    first = run_assignment(task, Assignment(0, 1, TrialKind.SEARCH, {"lr": 1.0}, 0, 4), channel, tmp_path / "c")
    assert (first.state, first.checkpoint.step) == (TrialState.PAUSED, 2)
    second = run_assignment(task, Assignment(0, 2, TrialKind.SEARCH, {"lr": 1.0}, 0, 4, first.checkpoint), channel, tmp_path / "c")
    assert second.state is TrialState.COMPLETED
    assert channel.seen == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]


def test_one_that_cannot_go_on_keeps_no_checkpoint_and_begins_again(tmp_path):
    write(tmp_path, COUNTS)
    task = task_of(tmp_path, {"kind": "function", "target": "mine:train", "resumable": False})

    class Pausing:
        seen: ClassVar[list[tuple[int, float]]] = []

        def report(self, report, last):
            self.seen.append((report.step, report.metrics["loss"]))
            return Pause() if len(self.seen) == 2 else None

    first = run_assignment(task, Assignment(0, 1, TrialKind.SEARCH, {"lr": 1.0}, 0, 3), Pausing(), tmp_path / "c")
    assert (first.state, first.checkpoint) == (TrialState.PAUSED, None)
    run_assignment(task, Assignment(0, 2, TrialKind.SEARCH, {"lr": 1.0}, 0, 3, first.checkpoint), Pausing(), tmp_path / "c")
    assert Pausing.seen == [(1, 1.0), (2, 2.0), (1, 1.0), (2, 2.0), (3, 3.0)]
    assert not list((tmp_path / "c").rglob("*.pt"))


def test_declared_metrics_must_be_there_and_no_others_are_kept(tmp_path, train):
    write(tmp_path, COUNTS)
    _, metrics = train(task_of(tmp_path, {"kind": "function", "target": "mine:train", "metrics": ["loss"]}), {"lr": 1.0}, until=1)
    assert metrics == [{"loss": 1.0}]
    outcome, _ = train(
        task_of(tmp_path, {"kind": "function", "target": "mine:train", "metrics": ["loss", "accuracy"]}), {"lr": 1.0}, until=1
    )
    assert outcome.state is TrialState.FAILED
    assert "the report of step 1 lacks accuracy; it has loss, extra" in outcome.reason


def test_a_report_without_the_objective_fails(tmp_path, train):
    write(tmp_path, "def train(trial):\n    for step in trial.steps():\n        trial.report(step, {'lss': 1})\n")
    outcome, _ = train(task_of(tmp_path, {"kind": "function", "target": "mine:train"}), {"lr": 1.0})
    assert (outcome.state, "lacks loss; it has lss" in outcome.reason) == (TrialState.FAILED, True)
    assert "mine.py:3" in outcome.reason, "where in the user's code"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("step, [1.0]", "metrics must be a dict of numbers by name, got a list"),
        ("step, {'loss': 1}, {'a': 1}", "checkpoint must be a callable"),
    ],
)
def test_a_report_of_the_wrong_kind_is_told_at_once(tmp_path, train, report, said):
    write(tmp_path, f"def train(trial):\n    for step in trial.steps():\n        trial.report({report})\n")
    outcome, metrics = train(task_of(tmp_path, {"kind": "function", "target": "mine:train"}), {"lr": 1.0})
    assert (outcome.state, metrics) == (TrialState.FAILED, [])
    assert said in outcome.reason


@pytest.mark.slow
def test_naive_randomness_comes_from_the_trials_seed(tmp_path, train):
    write(
        tmp_path,
        """
        import random
        import numpy, torch

        def train(trial):
            for step in trial.steps():
                trial.report(step, {"loss": random.random() + numpy.random.rand() + torch.rand(()).item()})
        """,
    )
    task = task_of(tmp_path, {"kind": "function", "target": "mine:train"})
    draws = [train(task, {"lr": 1.0}, seed=seed)[1] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_its_neighbours_may_be_imported(tmp_path, train):
    write(tmp_path, "VALUE = 3.0\n", "neighbour")
    write(
        tmp_path,
        """
        def train(trial):
            from neighbour import VALUE
            for step in trial.steps():
                trial.report(step, {"loss": VALUE})
        """,
    )
    assert train(task_of(tmp_path, {"kind": "function", "target": "mine:train"}), {"lr": 1.0}, until=1)[1] == [{"loss": 3.0}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "body", "said"),
    [
        ("mine:trian", COUNTS, "unknown function of mine 'trian'; did you mean 'train'?"),
        ("mien:train", COUNTS, "mien cannot be imported"),
        ("mine", COUNTS, "must be `module:function`, got 'mine'"),
        ("mine:train", "import no_such_package\n", "mine.py, line 1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("mine:train", "x = 1\n\ndef train(trial)\n    pass\n", "mine.py, line 3: SyntaxError"),
        ("mine:train", "x = 1\nraise ValueError('no GPU')\n", "mine.py, line 2: ValueError: no GPU"),
        ("mine:train", "def train():\n    pass\n", "must be a function of one argument, the trial"),
        ("mine:train", "def train(trial, model):\n    pass\n", "must be a function of one argument, the trial"),
        ("mine:train", "def train(trial):\n    yield\n", "must be a plain function"),
        ("mine:train", "async def train(trial):\n    pass\n", "must be a plain function"),
        ("mine:train", "train = 3\n", "must be a function of one argument, the trial"),
        ("mine:train", "import os\nos._exit(3)\n", "ended Python with status 3"),
        ("mine:train", "import sys\nsys.exit('stop')\n", "mine.py, line 2: SystemExit: stop"),
    ],
)
def test_what_is_wrong_with_it_is_said_before_anything_runs(tmp_path, target, body, said):
    write(tmp_path, body)
    with pytest.raises(ConfigError) as error:
        task_of(tmp_path, {"kind": "function", "target": target})
    assert said in str(error.value)
    assert "task.target: " in str(error.value)
    assert "Traceback" not in str(error.value)


@pytest.mark.slow
def test_checking_it_leaves_its_imports_out_of_this_process(tmp_path):
    write(tmp_path, "import wave\n" + textwrap.dedent(COUNTS))
    sys.modules.pop("wave", None)
    task_of(tmp_path, {"kind": "function", "target": "mine:train"})
    assert "wave" not in sys.modules


@pytest.mark.parametrize(
    ("task", "overrides", "said"),
    [
        ({"metrics": ["accuracy"]}, [], "objective.metric: unknown metric 'loss'"),
        ({"data": "digits"}, [], "task.data: is not for kind function, whose code brings its own; remove it"),
        ({"model": "mlp"}, [], "task.model: is not for kind function"),
        ({"split": {"test": 0.3}}, [], "task.split: is not for kind function"),
        ({}, ["training.patience=3"], "training.patience: is not for kind function, whose own code decides"),
        ({}, ["training.device=cpu"], "training.device: is not for kind function"),
        ({}, ["constraints=[{metric: parameters, max: 3}]"], "constraints.0.metric: parameters is not known of code of one's own"),
        ({"metrics": ["loss", "step"]}, [], "task.metrics: step is what a report says of itself"),
        ({"patterns": {"loss": "(x)"}}, [], "task.patterns: is only for kind command"),
    ],
)
def test_what_would_do_nothing_is_refused(tmp_path, task, overrides, said):
    with pytest.raises(ConfigError) as error:
        plan_of(tmp_path, {"kind": "function", "target": "mine:train", **task}, *overrides)
    assert said in str(error.value)


def test_a_function_needs_a_target(tmp_path):
    with pytest.raises(ConfigError, match="task: must have target for kind function; for example"):
        plan_of(tmp_path, {"kind": "function"})


def test_two_folders_may_have_a_module_of_one_name(tmp_path):
    """As where one Python process runs two sweeps, one after the other."""
    found = []
    for folder in (tmp_path / "a", tmp_path / "b", tmp_path / "a"):
        folder.mkdir(exist_ok=True)
        write(folder, f"def train(trial):\n    return {folder.name!r}\n")
        found.append(load_function("mine:train", folder)(None))
    assert found == ["a", "b", "a"]
    assert load_function("mine:train", folder) is load_function("mine:train", folder), "and it is loaded once"
