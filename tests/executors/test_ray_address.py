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
    (tmp_path / "one.yaml").write_text(SWEEP)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "RAY_"))}
    run = [str(COMMAND), "run", "one.yaml", "--address", address]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
