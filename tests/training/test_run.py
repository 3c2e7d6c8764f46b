import pytest
import torch

from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, Objective, Pause, Resources, Stop, TrialKind, TrialState


class Silent:
    def report(self, report, last):
        return None


class Always:
    def __init__(self, answer):
        self.answer = answer

    def report(self, report, last):
        return self.answer


class Task:
    objectives = (Objective("loss", "minimize"),)

    def __init__(self, run):
        self.run = run


def outcome(tmp_path, run, channel=None, **given):
    return run_assignment(Task(run), Assignment(0, 1, TrialKind.SEARCH, {}, 0, 3, **given), channel or Silent(), tmp_path)


def trains(trial):
    for step in trial.steps():
        trial.report(step, {"loss": 1.0}, checkpoint=dict)


def test_completes(tmp_path):
    ended = outcome(tmp_path, trains)
    assert (ended.state, ended.reason, ended.checkpoint.step) == (TrialState.COMPLETED, None, 3)


def test_paused_and_pruned(tmp_path):
    assert outcome(tmp_path, trains, Always(Pause())).checkpoint.step == 1
    pruned = outcome(tmp_path, trains, Always(Stop("worse")))
    assert (pruned.state, pruned.reason) == (TrialState.PRUNED, "worse")


def test_diverged_even_if_the_training_goes_on_regardless(tmp_path):
    def deaf(trial):
        for step in trial.steps():
            try:
                trial.report(step, {"loss": float("nan")})
            except BaseException:
                continue

    for run in (deaf, lambda trial: [trial.report(step, {"loss": float("nan")}) for step in trial.steps()]):
        ended = outcome(tmp_path, run)
        assert (ended.state, ended.reason) == (TrialState.DIVERGED, "loss is nan at step 1")


def test_an_error_fails_with_one_line_and_a_traceback_on_standard_error(tmp_path, capsys):
    def broken(_trial):
        torch.zeros(2, 3) @ torch.zeros(2, 3)

    ended = outcome(tmp_path, broken)
    assert ended.state is TrialState.FAILED
    assert ended.reason.startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3) (")
    assert "test_run.py:" in ended.reason
    assert "\n" not in ended.reason
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_error_within_torch_is_placed_where_it_was_called(tmp_path):
    def broken(_trial):
        torch.nn.functional.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 7]))

    reason = outcome(tmp_path, broken).reason
    assert "Target 7 is out of bounds" in reason
    assert "test_run.py:" in reason


def test_an_error_that_we_raise_is_placed_where_the_users_code_caused_it(tmp_path):
    reason = outcome(tmp_path, lambda trial: trial.report(1, {})).reason
    assert "no step is open" in reason
    assert "test_run.py:" in reason


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory(tmp_path, error):
    def hungry(_trial):
        raise error

    assert outcome(tmp_path, hungry).state is TrialState.OUT_OF_MEMORY


def test_a_tensor_too_large_for_the_machine_is_out_of_memory(tmp_path):
    assert outcome(tmp_path, lambda _: torch.empty(1 << 60, dtype=torch.uint8)).state is TrialState.OUT_OF_MEMORY


def test_leaving_the_process_is_a_failure(tmp_path):
    def leaves(_trial):
        raise SystemExit(3)

    assert outcome(tmp_path, leaves).reason.startswith("SystemExit: 3")


def test_uses_as_many_threads_as_it_was_given_cpus(tmp_path):
    before = torch.get_num_threads()
    seen = []
    try:
        outcome(tmp_path, lambda _: seen.append(torch.get_num_threads()), resources=Resources(cpus=2))
    finally:
        torch.set_num_threads(before)
    assert seen == [2]
