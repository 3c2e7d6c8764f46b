from __future__ import annotations

import subprocess
import sys

import pytest

from hpsearch.tracking import quiet

CHECKS = """
import sys, os
from hpsearch.tracking import quiet
{before}
quiet.import_mlflow()
import mlflow
assert "pandas" not in sys.modules and "numpy" not in sys.modules, "imported, or still hidden"
import pandas, numpy
from mlflow.telemetry.utils import is_telemetry_disabled
assert is_telemetry_disabled()
assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "quiet._NOT_NEEDED = (*quiet._NOT_NEEDED, 'fastapi')"], ids=["small", "cannot be small"])
def test_mlflow_is_imported_without_what_it_does_not_need(before: str) -> None:
    check = (
        CHECKS
        if not before
        else CHECKS.replace('assert "pandas" not in sys.modules and "numpy" not in sys.modules, "imported, or still hidden"', "")
    )
    done = subprocess.run([sys.executable, "-c", check.format(before=before)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("module", ["process", "links", "keys", "picture", "projector", "runs", "sync", "quiet", "schema"])
def test_no_module_imports_mlflow_by_itself(module: str) -> None:
    heavy = ("mlflow", "sqlalchemy", "torch", "optuna", "pandas")
    code = f"import sys, hpsearch.tracking.{module}; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("text", "uri", "expected"),
    [
        ("cannot reach http://ada:s3cret@host:5000/x", "", "cannot reach http://***@host:5000/x"),
        ("cannot reach http://token@host:5000/x", "", "cannot reach http://***@host:5000/x"),
        ("auth failed for ada:p/w#d?", "http://ada:p/w#d?@host", "auth failed for ***"),
        ("http://ada:p/w@host/", "http://ada:p/w@host", "http://***@host/"),
        ("sqlite:////data/me@home/mlflow.db is locked", "sqlite:////data/me@home/mlflow.db", "sqlite:////data/me@home/mlflow.db is locked"),
    ],
)
def test_passwords_are_masked(text: str, uri: str, expected: str) -> None:
    assert quiet.masked(text, uri) == expected
