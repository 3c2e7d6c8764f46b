"""Every executor keeps one contract, with real processes, a real ledger and real checkpoints."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path

import exercises
import pytest
from bench import STEPS, Bench, Steadily

from hpsearch.controller import Controller
from hpsearch.errors import StoreError
from hpsearch.events import Begun, Reported, Sampled
from hpsearch.executors.inline import InlineExecutor
from hpsearch.executors.job import Job
from hpsearch.executors.process import ProcessExecutor
from hpsearch.trial import Continue, Pause, Resources, Start, Stop, TrialState

BOTH = pytest.mark.parametrize("kind", [InlineExecutor, pytest.param(ProcessExecutor, marks=pytest.mark.slow)])
"""What Ray's executor keeps of it is in test_ray.py, on a cluster."""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    ours = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, ours)))  # workers import the exercises
    return Bench(tmp_path)


@BOTH
def test_all_trials_complete_with_every_step_once(bench, kind):
    history = bench.run(kind)
    assert [t.state for t in history] == [TrialState.COMPLETED] * 4
    assert all([r["total"] for r in t.reports] == [1, 3, 6, 10, 15, 21] for t in history)


@BOTH
@pytest.mark.slow
def test_a_stopped_trial_is_pruned_and_the_place_goes_on(bench, kind):
    history = bench.run(kind, exercises.Counts(step_s=0.02), search=Steadily({(1, 3): Stop("worse")}))
    assert [str(t.state) for t in history] == ["completed", "pruned", "completed", "completed"]
    assert (history.trials[1].step, history.trials[1].reason) == (3, "worse")


@BOTH
@pytest.mark.slow
def test_a_first_interrupt_ends_in_order_and_the_next_run_goes_on_from_there(bench, kind):
    def interrupt(controller: Controller) -> None:
        while not any(t.step >= 2 for t in controller.history):
            time.sleep(0.005)
        controller.interrupt()

    history = bench.run(kind, exercises.Counts(step_s=0.1), beside=interrupt)
    begun = [t for t in history if t.step]
    assert begun
    assert {t.state for t in begun} == {TrialState.WAITING}
    assert all(t.checkpoint is not None and t.checkpoint.step >= t.step for t in begun)
    history = bench.run(kind)
    assert [t.state for t in history] == [TrialState.COMPLETED] * 4
    assert all([r["total"] for r in t.reports] == [1, 3, 6, 10, 15, 21] for t in history)
    assert [b.from_step for b in bench.bodies(Begun) if b.attempt == 2] == [t.step for t in begun]


@BOTH
def test_an_exception_fails_the_trial_with_its_message_and_place(bench, kind):
    history = bench.run(kind, exercises.Raises(), trials=2, retries=0)
    assert [t.state for t in history] == [TrialState.FAILED] * 2
    assert "ValueError: no step 1 for trial 1" in history.trials[1].reason
    assert "exercises.py" in history.trials[1].reason


@BOTH
def test_a_pause_by_the_search_leaves_a_checkpoint_of_that_step(bench, kind):
    history = bench.run(kind, exercises.Counts(step_s=0.5), trials=1, search=Steadily({(0, 2): Pause()}))
    assert history.trials[0].state is TrialState.PAUSED
    assert history.trials[0].checkpoint.step == 2


class Slowly(Steadily):
    """Takes a millisecond for each report, of which a trial has thousands."""

    steps = 3_000

    def propose(self, history):
        return Start({"x": len(history)}, self.steps)

    def judge(self, history, reported):
        time.sleep(0.001)
        return Continue(self.steps)


@pytest.mark.slow
def test_reports_that_come_faster_than_answers_can_be_given_hold_nobody_up(bench):
    """Neither end waits for room in a pipe that the other one does not empty, as it waits for room itself."""
    history = bench.run(ProcessExecutor, exercises.Floods(), search=Slowly(), trials=2, max_steps=Slowly.steps)
    assert [(t.state, t.step) for t in history] == [(TrialState.COMPLETED, Slowly.steps)] * 2


@pytest.mark.slow
def test_a_killed_worker_costs_an_attempt_and_nothing_else(bench):
    history = bench.run(ProcessExecutor, exercises.DiesOnce(), trials=3)
    assert [(t.state, t.attempt) for t in history] == [(TrialState.COMPLETED, 2)] * 3
    assert all([r["total"] for r in t.reports] == [1, 3, 6, 10, 15, 21] for t in history)
    assert [b.from_step for b in bench.bodies(Begun) if b.attempt == 2] == [3] * 3, "goes on from the last checkpoint"


@pytest.mark.slow
def test_a_worker_killed_from_outside_is_replaced_within_a_second(bench):
    def kill(controller: Controller) -> None:
        while not bench.bodies(Reported):
            time.sleep(0.005)
        pid = int(bench.bodies(Begun)[0].worker.rpartition(":")[2])
        os.kill(pid, signal.SIGKILL)

    history = bench.run(ProcessExecutor, exercises.Counts(step_s=0.05), trials=2, workers=1, beside=kill)
    assert [(str(t.state), t.attempt) for t in history] == [("completed", 2), ("completed", 1)]
    times = [e.at_ms for e in bench.ledger.events(bench.sweep.id) if isinstance(e.body, Begun)]
    assert times[1] - times[0] < 1000 + 50 * STEPS


@pytest.mark.slow
def test_an_exit_in_the_training_is_a_failure_with_its_status(bench):
    history = bench.run(ProcessExecutor, exercises.ExitsAlways(), trials=1, retries=1)
    assert (history.trials[0].state, history.trials[0].attempt) == (TrialState.FAILED, 2)
    assert history.trials[0].reason == "its worker process exited with status 7"


@pytest.mark.slow
def test_a_hung_training_is_ended_at_its_time_out(bench):
    began = time.monotonic()
    history = bench.run(ProcessExecutor, exercises.Hangs(), trials=3, timeout_s=1.0)
    assert [str(t.state) for t in history] == ["timed_out", "completed", "completed"]
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_second_interrupt_ends_a_hung_training_at_once(bench):
    def interrupt_twice(controller: Controller) -> None:
        while not bench.bodies(Reported):
            time.sleep(0.005)
        controller.interrupt()
        time.sleep(0.3)
        controller.interrupt()

    history = bench.run(ProcessExecutor, exercises.Hangs(), trials=1, workers=1, retries=0, beside=interrupt_twice)
    assert (history.trials[0].state, history.trials[0].retries) == (TrialState.WAITING, 0)


@pytest.mark.slow
def test_workers_stay_alive_across_trials_with_as_many_threads_as_cpus(bench, tmp_path):
    task = exercises.TellsItsProcess(folder=tmp_path)
    bench.run(ProcessExecutor, task, trials=6, workers=2, resources=Resources(cpus=2))
    told = [(tmp_path / str(i)).read_text().split() for i in range(6)]
    assert len({pid for pid, _ in told}) <= 2
    assert {threads for _, threads in told} == {"2"}
    for pid in {pid for pid, _ in told}:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@pytest.mark.slow
def test_what_a_trial_prints_is_in_its_log(bench, tmp_path):
    bench.run(ProcessExecutor, trials=2)
    assert (tmp_path / "logs" / "trial-00001.log").read_text() == "attempt 1 begins after step 0\n"


@pytest.mark.slow
def test_the_fork_server_itself_may_be_killed(bench):
    def kill_the_server(controller: Controller) -> None:
        while not bench.bodies(Reported):
            time.sleep(0.005)
        worker = int(bench.bodies(Begun)[0].worker.rpartition(":")[2])
        server = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(server, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)

    history = bench.run(ProcessExecutor, exercises.Counts(step_s=0.05), trials=2, workers=1, beside=kill_the_server)
    assert [str(t.state) for t in history] == ["completed"] * 2


def test_a_job_pickles_small():
    import pickle

    job = Job(exercises.Counts(), Path("a"), Path("b"), 10.0, Path("c"))
    assert len(pickle.dumps(job)) < 2000
    assert dataclasses.is_dataclass(job)


@BOTH
def test_a_ledger_that_fails_ends_the_run_and_not_the_trial(bench, kind):
    """What was lost is the controller's word, not the training: the trial goes on in the next run."""

    class Fails(Steadily):
        def judge(self, history, reported):
            if reported.step == 3:
                raise StoreError("the disk is full")
            return super().judge(history, reported)

    with pytest.raises(StoreError, match="the disk is full"):
        bench.run(kind, search=Fails(), trials=1)
    assert [t.state for t in bench.controller.history] == [TrialState.RUNNING]
    bench.controller.abandon()
    assert [t.state for t in bench.run(kind, trials=1)] == [TrialState.COMPLETED]


@pytest.mark.slow
@BOTH
def test_what_trials_use_is_on_record_and_no_decision_sees_it(bench, kind):
    history = bench.run(kind, exercises.Counts(step_s=0.3), trials=2, workers=2)
    sampled = bench.bodies(Sampled)
    assert {body.trial for body in sampled} == {0, 1}
    assert all(50 < body.used["system_memory_usage_megabytes"] < 5000 for body in sampled)
    assert all(set(r) == {"total"} for t in history for r in t.reports)
