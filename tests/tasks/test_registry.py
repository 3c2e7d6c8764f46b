"""What every entry of the table keeps to."""

import importlib
import subprocess
import sys

import pytest

from hpsearch.models import MODELS
from hpsearch.tasks import TASKS
from hpsearch.tasks.builtin import BUILTIN
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS
from hpsearch.trial import Objective

AVAILABLE = {kind: entry for kind, entry in TASKS.items() if entry.target is not None}


@pytest.mark.parametrize("kind", AVAILABLE)
def test_names_what_exists(kind):
    entry = AVAILABLE[kind]
    assert set(entry.default_metrics) <= set(entry.metrics)
    assert set(entry.models) <= set(MODELS)
    assert set(entry.data) <= set(BUILTIN)


@pytest.mark.parametrize("kind", AVAILABLE)
def test_no_hyperparameter_has_two_meanings(kind):
    entry = AVAILABLE[kind]
    for model in entry.models:
        named = [h.name for h in (*entry.hyperparameters, *TRAINING_HYPERPARAMETERS, *MODELS[model].hyperparameters)]
        assert len(named) == len(set(named))


@pytest.mark.parametrize("kind", AVAILABLE)
def test_reports_every_metric_it_names(kind, tmp_path, train):
    entry = AVAILABLE[kind]
    module, name = entry.target.split(":")
    metric = entry.default_metrics[-1]
    task = getattr(importlib.import_module(module), name)(
        Source("builtin", entry.data[0]), Shares(0.15, 0.15, 0), (Objective(metric, entry.metrics[metric]),), metrics=tuple(entry.metrics)
    )
    task.prepare(tmp_path)
    _, metrics = train(task, until=1)
    assert set(metrics[0]) == set(entry.metrics) - {"robust_accuracy"}  # of images, under an attack: test_robust.py has it


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
