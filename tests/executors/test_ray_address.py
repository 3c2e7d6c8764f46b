"""An address at which there is no cluster is told in seconds, and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

COMMAND = Path(sys.executable).with_name("hpsearch")
SWEEP = """
task: {kind: classification, data: iris}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {min: 0.01, max: 0.1}}
budget: {trials: 1}
resources: {executor: ray}
"""


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("127.0.0.1:9", 3, "no Ray cluster answers at 127.0.0.1:9"),
        ("nowhere.invalid:6379", 3, "no Ray cluster answers at nowhere.invalid:6379"),
        ("auto", 3, "Ray cluster"),
        ("ray://127.0.0.1:10001", 2, "Ray Tune cannot be driven by the Ray client"),
    ],
)
def test_an_address_without_a_cluster(address, code, said, tmp_path):
    check_refused(tmp_path, address, code, said)


def test_the_note_of_a_cluster_that_is_gone(tmp_path):
    """Ray leaves a note of the last cluster that was started, which `auto` goes by."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")
    check_refused(tmp_path, "auto", 3, "no Ray cluster answers at auto", RAY_TMPDIR=str(tmp_path))


def check_refused(folder, address, code, said, **variables):
    (folder / "one.yaml").write_text(SWEEP)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "RAY_"))}
    run = [str(COMMAND), "run", "one.yaml", "--address", address]
    done = subprocess.run(run, cwd=folder, env={**environment, **variables}, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
