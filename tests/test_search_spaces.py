"""Every sweep file that ships runs: on a budget of a few trials, by the command, from its own folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch import load
from hpsearch.plan import make_plan
from hpsearch.tasks import TASKS

FOLDER = Path(__file__).parent.parent / "search_spaces"
FILES = sorted(FOLDER.glob("*.yaml"))

named = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@named
def test_it_loads_and_has_a_baseline(file: Path) -> None:
    config = load(file)
    assert make_plan(config).config.baseline
    assert config.name == file.stem.replace("_", "-")


def test_every_kind_of_task_has_one() -> None:
    kinds = {load(file).task.kind for file in FILES}
    assert kinds == {kind for kind, entry in TASKS.items()}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(180)
@named
def test_it_runs_on_a_budget_of_a_few_trials(file: Path, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("hpsearch")
    words = ["run", str(file), "training.epochs=2", "budget.trials=2", "winner.top=0", "--home", str(tmp_path / "home"), "--json"]
    done = subprocess.run([command, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["state"] == "completed"
    assert sum(result["trials"].values()) == 2
    assert set(result["best"][0]["values"]) == {objective.metric for objective in load(file).objectives}
