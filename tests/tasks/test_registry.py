"""What every entry of the table keeps to."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hpsearch.config import load
from hpsearch.config.home import Home
from hpsearch.config.sections import KINDS
from hpsearch.errors import ConfigError, DataError
from hpsearch.models import MODELS
from hpsearch.plan import make_plan
from hpsearch.tasks import TASKS, prepared
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS
from hpsearch.trial import TrialKind, TrialState

pytestmark = pytest.mark.slow

WITH_DATA = {kind: entry for kind, entry in TASKS.items() if entry.models}
NEEDS = {
    "classification": ["task.data=digits"],
    "anomaly_detection": ["task.data=digits", "task.normal=[1, 2]"],
    "forecasting": ["task.horizon=2"],
}
"""What a kind of task has to be told besides its data."""
QUICK = {"forecasting": {"window": 4}}


def plan_of(kind, folder, *overrides):
    """A sweep of this kind on its first built-in set, every metric asked for."""
    entry = TASKS[kind]
    metric = entry.default_metrics[-1]
    (folder / "sweep.yaml").write_text(
        f"name: it\ntask: {{kind: {kind}, data: {entry.data[0]}, model: {entry.models[0]}, metrics: [{', '.join(entry.metrics)}]}}\n"
        f"objective: {{metric: {metric}, goal: {entry.metrics[metric]}}}\nspace: {{batch_size: 64}}\nbudget: {{trials: 1}}\n"
    )
    return make_plan(load(folder / "sweep.yaml", overrides or NEEDS.get(kind, [])))


def prepare(kind, folder, *overrides):
    plan = plan_of(kind, folder, *overrides)
    plan.prepare(Home(folder / "home", "", ""))
    return plan.task


def test_the_sweep_file_knows_every_kind():
    assert sorted(KINDS) == sorted(TASKS)


@pytest.mark.parametrize("kind", WITH_DATA)
def test_names_what_exists(kind):
    entry = WITH_DATA[kind]
    assert set(entry.default_metrics) <= set(entry.metrics)
    assert set(entry.models) <= set(MODELS)


@pytest.mark.parametrize("kind", WITH_DATA)
def test_no_hyperparameter_has_two_meanings(kind):
    entry = WITH_DATA[kind]
    for model in entry.models:
        named = [h.name for h in (*entry.hyperparameters, *TRAINING_HYPERPARAMETERS, *MODELS[model].hyperparameters)]
        assert len(named) == len(set(named))


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_DATA)
def test_reports_every_metric_it_names(kind, tmp_path, train):
    outcome, metrics = train(prepare(kind, tmp_path), QUICK.get(kind), until=1)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    diagnostics = {name for name in DIAGNOSTIC_METRICS if name != "dead_units" or TASKS[kind].models[0] != "rnn"}
    assert set(metrics[0]) == set(TASKS[kind].metrics) | diagnostics


@pytest.mark.parametrize("kind", WITH_DATA)
def test_no_diagnostic_is_an_objective_or_asked_for(kind, tmp_path):
    assert not set(DIAGNOSTIC_METRICS) & set(TASKS[kind].metrics)
    for key, value in (("objective.metric", "dead_units"), ("task.metrics", "[gradient_norm]")):
        with pytest.raises(ConfigError, match=r"is a diagnostic: it is always reported, and no search goes by it; metrics of"):
            plan_of(kind, tmp_path, *NEEDS.get(kind, []), f"{key}={value}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_DATA)
def test_the_test_split_is_measured_in_a_re_test_alone_and_changes_nothing_else(kind, tmp_path, train):
    task = prepare(kind, tmp_path)
    _, searched = train(task, QUICK.get(kind), until=1)
    (folder,) = (tmp_path / "home" / "data" / "it").iterdir()
    with np.load(folder / "test.npz") as file:
        spoilt = {name: np.flip(file[name], axis=0) for name in file.files}
    np.savez(folder / "test.npz", **spoilt)
    prepared_again = prepare(kind, tmp_path)
    _, tested = train(prepared_again, QUICK.get(kind), until=1, kind=TrialKind.RETEST)
    extra = {name for name in tested[0] if name not in searched[0]}
    assert extra
    assert all(name.startswith("test_") for name in extra)
    assert {name: value for name, value in tested[0].items() if name not in extra} == searched[0]


@pytest.mark.parametrize("kind", WITH_DATA)
def test_a_search_opens_no_test_split(kind, tmp_path):
    task = prepare(kind, tmp_path)
    assert "test" not in prepared.load_search(task.prepared.folder).inputs


@pytest.mark.parametrize("kind", WITH_DATA)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as CSV"),
        (b"a,b\n1,2\n", None),
        (b"\x00\xff\xfe\x00", "cannot be read as CSV"),
        (b"a,y\n" + b"1,\n" * 40, None),
        (b"a,y\n" + b"nan,1\ninf,0\n" * 40, None),
    ],
    ids=["empty", "two-columns", "binary", "no-target", "infinite"],
)
def test_bad_data_are_refused_in_words(kind, content, said, tmp_path):
    (tmp_path / "bad.csv").write_bytes(content)
    text = ", text: a" if kind == "text_classification" else ""
    with pytest.raises(DataError) as error:
        prepare(
            kind, tmp_path, f"task.data={{csv: bad.csv, target: y{text}}}", *(["task.model=mlp"] if "mlp" in TASKS[kind].models else [])
        )
    assert "task.data: " in str(error.value)
    assert said is None or said in str(error.value)


@pytest.mark.parametrize("hyperparameter", TRAINING_HYPERPARAMETERS, ids=lambda h: h.name)
def test_training_defaults_are_allowed_and_documented(hyperparameter):
    hyperparameter.check(hyperparameter.default)
    assert hyperparameter.doc.endswith(".")


def test_preparing_a_built_in_set_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from pathlib import Path; from hpsearch.tasks.classification import Classification;"
        "from hpsearch.tasks.splits import Shares; from hpsearch.tasks.tables import Source; from hpsearch.trial import Objective;"
        "t = Classification(Source('builtin', 'digits'), Shares(.15, .15, 0), (Objective('val_loss', 'minimize'),));"
        "t.prepare(Path(sys.argv[1])); t.static_metrics({});"
        "print(sorted({'torch', 'pandas', 'sklearn', 'pydantic', 'optuna'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
