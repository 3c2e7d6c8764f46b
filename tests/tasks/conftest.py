"""A task's training, run in the test's own process."""

import pytest
from channel import Channel

from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, TrialKind


@pytest.fixture
def train(tmp_path):
    """(task, parameters, until_step) -> (outcome, metrics of each step)."""

    def run(task, parameters=None, until=3, seed=0, kind=TrialKind.SEARCH):
        channel = Channel()
        assignment = Assignment(0, 1, kind, parameters or {}, seed, until)
        return run_assignment(task, assignment, channel, tmp_path / "checkpoints"), channel.metrics

    return run
