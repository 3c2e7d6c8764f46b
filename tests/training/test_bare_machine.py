"""Training on a machine that has torch, NumPy and scikit-learn alone."""

import subprocess
import sys

import pytest

BLOCKED = ["optuna", "sqlalchemy", "alembic", "psycopg", "mlflow", "ray", "pydantic", "typer", "rich", "ruamel", "pandas", "pyarrow"]

CODE = """
import importlib.abc, sys
from pathlib import Path

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import hpsearch.training.preload
from hpsearch.tasks.classification import Classification
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, Objective, TrialKind

class Silent:
    def report(self, report, last):
        return None

task = Classification(Source("builtin", "iris"), Shares(0.2, 0.2, 0), (Objective("val_auroc", "maximize"),))
task.prepare(Path(sys.argv[1]))
print(run_assignment(task, Assignment(0, 1, TrialKind.SEARCH, {{}}, 0, 2), Silent(), Path(sys.argv[1]) / "checkpoints").state)
"""


@pytest.mark.slow
def test_imports_and_trains(tmp_path):
    code = CODE.format(blocked=set(BLOCKED))
    printed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert printed.stdout.strip() == "completed", printed.stderr


def test_the_package_alone_imports_no_torch():
    code = "import sys, hpsearch.training, hpsearch.tasks.classification, hpsearch.tasks.regression; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
