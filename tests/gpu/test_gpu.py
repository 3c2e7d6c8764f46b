"""What only a GPU shows. `make test-gpu` runs these where torch sees one; everywhere else they are skipped."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bare_training import EXAMPLES, Family
from channel import Channel

from hpsearch.models import MODELS
from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, Pause, TrialKind, TrialState

ROOT = Path(__file__).parents[2]
CASES = [(name, kind) for name, entry in MODELS.items() for kind in entry.inputs]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")]


def run(folder, task, answers, checkpoint=None):
    channel = Channel(answers)
    outcome = run_assignment(task, Assignment(0, 1, TrialKind.SEARCH, {}, 0, 2, checkpoint), channel, folder)
    return outcome, channel.metrics


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_family_trains_and_goes_on_from_a_checkpoint(tmp_path, name, kind):
    task = Family(name, EXAMPLES[kind], "cuda")
    outcome, whole = run(tmp_path / "whole", task, {})
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    paused, before = run(tmp_path / "cut", task, {1: Pause()})
    _, after = run(tmp_path / "cut", task, {}, paused.checkpoint)
    for once, twice in zip(whole, before + after, strict=True):
        assert twice == pytest.approx(once, rel=1e-3)  # sums on a GPU have no fixed order


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn", "digits_transformer", "rows_lstm", "digits_anomaly", "digits_gan"])
def test_a_shipped_sweep_runs_there(tmp_path, name):
    words = ["run", f"search_spaces/{name}.yaml", "training.device=cuda", "training.epochs=2", "budget.trials=2", "winner.top=0", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "hpsearch", *words, "--home", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["trials"]["completed"] == 2
