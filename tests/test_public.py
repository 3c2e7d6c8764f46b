"""What `import hpsearch` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hpsearch

HEAVY = ["torch", "optuna", "sqlalchemy", "mlflow", "ray", "pandas", "sklearn", "numpy", "alembic"]


def test_the_public_names():
    assert hpsearch.__all__ == [
        "CheckpointError",
        "ConfigError",
        "DataError",
        "HpsearchError",
        "InputError",
        "LeaseHeld",
        "LeaseLost",
        "StaleAttempt",
        "StoreError",
        "SweepResult",
        "Trial",
        "__version__",
        "load",
        "resume",
        "run",
    ]
    for name in hpsearch.__all__:
        assert getattr(hpsearch, name) is not None
    assert set(hpsearch.__all__) <= set(dir(hpsearch))
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = hpsearch.nope


def imported(code: str) -> list[str]:
    """The heavy libraries that a fresh interpreter has imported after `code`."""
    code = f"{code}\nimport sys\nprint(*[name for name in {[*HEAVY, 'pydantic']} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")[-2].split()


def test_importing_it_imports_nothing_heavy():
    assert imported("import hpsearch; hpsearch.InputError; hpsearch.__version__") == []


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]):
    assert set(imported(f"from hpsearch.cli import main; main({arguments})")) <= {"pydantic"}  # typer's own


def test_a_file_is_refused_before_anything_heavy_is_imported():
    heavy = set(imported("from hpsearch.cli import main; main(['run', 'nope.yaml', '--quiet'])"))
    assert not heavy & {"torch", "optuna", "sqlalchemy", "mlflow", "pandas", "ray", "sklearn"}


def test_reading_the_ledger_imports_no_machine_learning(tmp_path):
    heavy = set(imported(f"from hpsearch.cli import main; main(['list', '--home', {str(tmp_path)!r}])"))
    assert not heavy & {"torch", "optuna", "mlflow", "pandas", "ray", "sklearn", "numpy"}
