"""Training on a machine that has torch, NumPy and scikit-learn alone, with what these need."""

import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

import hpsearch
from hpsearch.models import MODELS

SCRIPT = Path(__file__).with_name("bare_training.py")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The interpreter of a virtual environment with nothing else in it."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    packages = next((folder / "lib").glob("python*/site-packages"))
    for name in _with_needs("torch", "numpy", "scikit-learn"):
        for top in _top_levels(name):
            (packages / top.name).symlink_to(top)
    (packages / "hpsearch").symlink_to(Path(hpsearch.__file__).parent)
    return folder / "bin" / "python"


def _with_needs(*names):
    found, waiting = set(), list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found.add(name)
        for need in metadata.requires(name) or ():
            if "extra ==" not in need and _is_installed(need := re.match(r"[\w.-]+", need)[0]):
                waiting.append(need)
    return found


def _is_installed(name):
    try:
        return bool(metadata.distribution(name))
    except metadata.PackageNotFoundError:  # for another system
        return False


def _top_levels(name):
    distribution = metadata.distribution(name)
    names = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    return [Path(str(distribution.locate_file(top))) for top in names]


def run(python, *arguments):
    return subprocess.run([python, "-I", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["optuna", "sqlalchemy", "mlflow", "ray", "pydantic", "typer", "rich", "pandas", "PIL", "psutil"])
def test_the_bare_machine_is_bare(bare, missing):
    assert f"No module named '{missing}'" in run(bare, "-c", f"import {missing}").stderr


@pytest.mark.slow
def test_every_family_trains_there(bare, tmp_path):
    done = run(bare, SCRIPT, tmp_path, "cpu")
    expected = [f"{name} {kind} completed" for name, entry in MODELS.items() for kind in entry.inputs]
    assert done.stdout.splitlines() == expected, done.stderr


def test_the_package_alone_imports_no_torch():
    code = "import sys, hpsearch.training, hpsearch.tasks.classification, hpsearch.tasks.regression; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
