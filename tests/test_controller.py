"""The five calls, on the in-memory ledger, with a search that follows a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hpsearch.controller import MAX_INFEASIBLE_RUN, Controller
from hpsearch.errors import LeaseLost
from hpsearch.events import Answered, Assigned, Ended, Event, Reported, Sampled, SweepExtended, TrialCreated
from hpsearch.ledger import fold
from hpsearch.ledger.face import Lease, Sweep
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.rules import Rules
from hpsearch.search.history import History
from hpsearch.trial import (
    Answer,
    Assignment,
    Continue,
    Done,
    Memory,
    Objective,
    Outcome,
    Pause,
    Place,
    Proposal,
    Report,
    Resources,
    Resume,
    Sample,
    Start,
    Stop,
    TrialKind,
    TrialState,
    Wait,
)

LOSS = (Objective("loss", "minimize"),)
HERE = Place("here")
STEPS = 5


@dataclass
class Script:
    """Proposes `{"x": number of trials}`, and answers a report as `answers` say for (trial, step)."""

    answers: dict[tuple[int, int], Answer] = field(default_factory=dict)
    until_step: int = STEPS
    then: Callable[[History], Proposal] | None = None

    def propose(self, history: History) -> Proposal:
        return self.then(history) if self.then else Start({"x": len(history)}, self.until_step)

    def judge(self, history: History, reported: Reported) -> Answer:
        assert history.trials[reported.trial].step == reported.step, "a decision must see the report that it is about"
        return self.answers.get((reported.trial, reported.step), Continue(history.trials[reported.trial].until_step))


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def ms(self) -> int:
        return int(self.now * 1000)


class House:
    """A ledger with one sweep, and the controllers that take it one after the other."""

    def __init__(self, first: tuple[TrialCreated, ...] = (), **rules: object) -> None:
        self.clock = Clock()
        self.ledger = MemoryLedger(self.clock.ms)
        self.sweep: Sweep = self.ledger.create("s", {}, first)
        self.rules = Rules(**{"seed": 0, "max_steps": STEPS, "trials": 3, **rules})  # type: ignore[arg-type]
        self.lease: Lease | None = None

    def take(self, search: Script | None = None, broken: Callable[..., str | None] = lambda _: None) -> Controller:
        if self.lease is not None:
            self.ledger.release(self.lease)
        self.lease = self.ledger.acquire(self.sweep.id, "controller", f"test-{self.clock.now}", 3600.0)
        history = fold(self.ledger, self.sweep.id, LOSS)
        controller = Controller(self.ledger, self.lease, history, search or Script(), self.rules, broken, self.clock)
        controller.open()
        return controller

    def events(self) -> list[Event]:
        return self.ledger.events(self.sweep.id)


def assigned(controller: Controller) -> Assignment:
    assignment = controller.next(HERE)
    assert isinstance(assignment, Assignment)
    return assignment


def train(controller: Controller, assignment: Assignment, steps: range) -> Answer | None:
    answer = None
    for step in steps:
        answer = controller.report([(assignment, Report(step, {"loss": 1 / step}, 0.1))])[0]
    return answer


def complete(controller: Controller) -> Assignment:
    assignment = assigned(controller)
    controller.begin(assignment, "w", 0)
    train(controller, assignment, range(1, STEPS + 1))
    controller.end(assignment, Outcome(TrialState.COMPLETED))
    return assignment


def test_a_sweep_runs_to_its_budget_and_every_trial_completes():
    house = House(trials=3)
    controller = house.take()
    for number in range(3):
        assert complete(controller).trial == number
    assert controller.next(HERE) == Done()
    assert controller.close().state == "completed"
    assert [t.state for t in controller.history] == [TrialState.COMPLETED] * 3
    assert house.ledger.find("s").state == "completed"


def test_the_history_that_it_holds_is_the_ledgers():
    house = House(trials=2)
    controller = house.take(Script({(1, 2): Stop("worse")}))
    complete(controller)
    second = assigned(controller)
    train(controller, second, range(1, 3))
    assert list(controller.history) == list(fold(house.ledger, house.sweep.id, LOSS))


def test_waiting_trials_come_before_proposals_in_the_order_of_their_numbers():
    baselines = tuple(TrialCreated(i, TrialKind.BASELINE, {"x": -i}, 7, STEPS) for i in range(2))
    controller = House(baselines).take()
    assert [assigned(controller).parameters for _ in range(3)] == [{"x": 0}, {"x": -1}, {"x": 2}]


def test_nothing_to_do_means_wait_while_a_trial_runs_and_done_after():
    controller = House(trials=1).take()
    assignment = assigned(controller)
    assert isinstance(controller.next(HERE), Wait)
    train(controller, assignment, range(1, STEPS + 1))
    controller.end(assignment, Outcome(TrialState.COMPLETED))
    assert controller.next(HERE) == Done()


def test_a_stop_prunes_with_its_reason_and_is_recorded_right_after_its_report():
    house = House()
    controller = house.take(Script({(0, 2): Stop("below the median")}))
    assignment = assigned(controller)
    assert train(controller, assignment, range(1, 3)) == Stop("below the median")
    controller.end(assignment, Outcome(TrialState.PRUNED, "below the median"))
    assert controller.history.trials[0].state is TrialState.PRUNED
    bodies = [event.body for event in house.events()]
    report = next(i for i, body in enumerate(bodies) if isinstance(body, Reported) and body.step == 2)
    assert isinstance(bodies[report + 1], Answered)


def test_a_step_that_was_trained_before_the_stop_was_heard_is_not_recorded():
    controller = House().take(Script({(0, 2): Stop("worse")}))
    assignment = assigned(controller)
    assert train(controller, assignment, range(1, 5)) == Stop("worse")
    assert controller.history.trials[0].step == 2


def test_reports_of_several_trials_in_one_call_are_judged_one_after_the_other():
    seen: list[tuple[int, int]] = []

    class Watching(Script):
        def judge(self, history: History, reported: Reported) -> Answer:
            seen.append((reported.trial, sum(t.step for t in history)))
            return super().judge(history, reported)

    house = House()
    controller = house.take(Watching())
    a, b = assigned(controller), assigned(controller)
    controller.report([(a, Report(1, {"loss": 1.0}, 0.1)), (b, Report(1, {"loss": 2.0}, 0.1))])
    assert seen == [(0, 1), (1, 2)]
    assert [e.seq for e in house.events()] == list(range(1, len(house.events()) + 1))


def test_a_trial_that_reaches_a_rung_is_paused_and_resumed_by_the_search():
    def then(history: History) -> Proposal:
        return Resume(0, STEPS) if history.in_state(TrialState.PAUSED) else Start({"x": 0}, 2)

    controller = House().take(Script(until_step=2, then=then))
    first = assigned(controller)
    assert first.until_step == 2
    train(controller, first, range(1, 3))
    controller.end(first, Outcome(TrialState.COMPLETED))
    assert controller.history.trials[0].state is TrialState.PAUSED
    again = assigned(controller)
    assert (again.trial, again.attempt, again.until_step) == (0, 2, STEPS)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (2, 3)])
def test_a_failure_is_tried_again_as_often_as_the_file_says(retries, attempts):
    controller = House(trials=1, retries=retries).take()
    for attempt in range(1, attempts + 1):
        assignment = assigned(controller)
        assert assignment.attempt == attempt
        controller.end(assignment, Outcome(TrialState.FAILED, "boom"))
    assert controller.history.trials[0].state is TrialState.FAILED
    assert controller.close().reason == "no trial completed"


@pytest.mark.parametrize("state", [TrialState.DIVERGED, TrialState.OUT_OF_MEMORY, TrialState.TIMED_OUT])
def test_what_would_only_happen_again_is_not_tried_again(state):
    controller = House(retries=3).take()
    controller.end(assigned(controller), Outcome(state, "why"))
    assert (controller.history.trials[0].state, controller.history.trials[0].reason) == (state, "why")


def test_an_end_without_a_single_report_is_a_failure():
    controller = House(retries=0).take()
    controller.end(assigned(controller), Outcome(TrialState.COMPLETED))
    assert controller.history.trials[0].state is TrialState.FAILED


def test_steps_run_again_after_a_crash_are_answered_from_the_record():
    house = House()
    controller = house.take()
    first = assigned(controller)
    train(controller, first, range(1, 4))
    controller.end(first, Outcome(TrialState.FAILED, "its worker process was killed by SIGKILL"))
    second = assigned(controller)
    before = len(house.events())
    again = controller.report([(second, Report(2, {"loss": 99.0}, 0.1))])
    assert again == [Continue(STEPS)]
    assert len(house.events()) == before
    assert controller.history.trials[0].reports[1] == {"loss": 1 / 2}


def test_an_attempt_that_was_given_up_changes_nothing():
    house = House()
    controller = house.take()
    first = assigned(controller)
    controller.end(first, Outcome(TrialState.FAILED, "crash"))
    assigned(controller)
    before = len(house.events())
    assert isinstance(controller.report([(first, Report(1, {"loss": 0.0}, 0.1))])[0], Stop)
    controller.begin(first, "w", 0)
    controller.end(first, Outcome(TrialState.COMPLETED))
    assert len(house.events()) == before


def test_infeasible_proposals_do_not_count_and_the_search_sees_them():
    house = House(trials=2)
    controller = house.take(broken=lambda p: "parameters 9 > 5" if p["x"] % 2 == 0 else None)
    assert [assigned(controller).trial for _ in range(2)] == [1, 3]
    assert [t.state for t in controller.history][::2] == [TrialState.INFEASIBLE] * 2
    assert controller.history.trials[0].reason == "parameters 9 > 5"


def test_a_space_without_a_feasible_configuration_ends_the_sweep_and_says_why():
    controller = House().take(broken=lambda _: "parameters 9 > 5")
    assert controller.next(HERE) == Done()
    closed = controller.close()
    assert closed.state == "failed"
    assert "parameters 9 > 5" in (closed.reason or "")
    assert len(controller.history) == MAX_INFEASIBLE_RUN


def test_the_epoch_budget_counts_what_is_promised():
    controller = House(trials=None, total_epochs=2 * STEPS).take()
    assigned(controller)
    complete(controller)
    assert isinstance(controller.next(HERE), Wait)


def test_the_time_budget_ends_running_trials_and_counts_earlier_runs_of_the_sweep():
    house = House(trials=None, time_s=100.0)
    controller = house.take()
    assignment = assigned(controller)
    house.clock.now += 60
    train(controller, assignment, range(1, 2))
    house.clock.now += 1_000_000  # nobody runs it
    controller = house.take()
    assignment = assigned(controller)
    assert controller.tick() == []
    house.clock.now += 41
    assert controller.tick() == [assignment]
    controller.end(assignment, Outcome(TrialState.FAILED, "aborted"))
    assert controller.history.trials[0].state is TrialState.CANCELLED
    assert controller.next(HERE) == Done()


def test_the_time_out_counts_from_begin():
    house = House(timeout_s=10.0)
    controller = house.take()
    assignment = assigned(controller)
    house.clock.now += 60
    assert controller.tick() == []
    controller.begin(assignment, "w", 0)
    house.clock.now += 9
    assert controller.tick() == []
    house.clock.now += 2
    assert controller.tick() == [assignment]
    controller.end(assignment, Outcome(TrialState.FAILED, "its worker process was killed by SIGKILL"))
    record = controller.history.trials[0]
    assert (record.state, record.reason) == (TrialState.TIMED_OUT, "ran longer than its time-out of 10 s")


def test_a_first_interrupt_pauses_trials_at_their_next_step_and_they_go_on_after_resume():
    house = House(trials=1)
    controller = house.take()
    assignment = assigned(controller)
    controller.interrupt()
    assert controller.tick() == []
    assert train(controller, assignment, range(1, 2)) == Pause()
    controller.end(assignment, Outcome(TrialState.PAUSED))
    assert controller.next(HERE) == Done()
    assert controller.close().state == "stopped"
    again = assigned(house.take())
    assert (again.trial, again.attempt) == (0, 2)


def test_a_second_interrupt_aborts_at_once_and_uses_up_no_retry():
    house = House(retries=0)
    controller = house.take()
    assignment = assigned(controller)
    controller.interrupt()
    controller.interrupt()
    assert controller.tick() == [assignment]
    controller.end(assignment, Outcome(TrialState.FAILED, "aborted"))
    assert controller.history.trials[0].state is TrialState.WAITING


def test_what_a_dead_controller_left_running_waits_again_or_ends_as_its_record_says():
    house = House(retries=0)
    controller = house.take(Script({(1, 2): Stop("worse")}))
    half, pruned, whole = (assigned(controller) for _ in range(3))
    train(controller, half, range(1, 3))
    train(controller, pruned, range(1, 3))
    train(controller, whole, range(1, STEPS + 1))
    after = house.take()
    assert [t.state for t in after.history] == [TrialState.WAITING, TrialState.PRUNED, TrialState.COMPLETED]
    assert after.history.trials[0].retries == 0


def test_whoever_lost_the_lease_commits_nothing():
    house = House()
    old = house.take()
    assignment = assigned(old)
    new = house.take()
    with pytest.raises(LeaseLost):
        train(old, assignment, range(1, 2))
    assert new.history.trials[0].step == 0


def test_other_commands_requests_are_obeyed():
    house = House(trials=1)
    controller = house.take()
    first = assigned(controller)
    house.ledger.request(house.sweep.id, "extend", {"trials": 2})
    house.ledger.request(house.sweep.id, "enqueue", {"parameters": {"x": 99}})
    house.ledger.request(house.sweep.id, "cancel", {"trial": 0})
    house.clock.now += 1
    assert controller.tick() == [first]
    controller.end(first, Outcome(TrialState.FAILED, "aborted"))
    assert controller.history.trials[0].state is TrialState.CANCELLED
    assert assigned(controller).parameters == {"x": 99}
    house.ledger.request(house.sweep.id, "stop", {})
    house.clock.now += 1
    controller.tick()
    assert isinstance(controller.next(HERE), Wait)
    assert controller.stopping == "stopped on request"


def test_an_extension_that_comes_with_the_last_trials_end_is_heard():
    house = House(trials=1)
    controller = house.take()
    controller.tick()
    house.ledger.request(house.sweep.id, "extend", {"trials": 2})
    complete(controller)
    assert controller.next(HERE) == Wait(0.0)
    assert assigned(controller).trial == 1


def test_a_stop_that_came_too_late_for_one_controller_does_not_stop_the_next():
    house = House(trials=2)
    house.take().close()
    house.ledger.request(house.sweep.id, "stop", {})
    house.ledger.request(house.sweep.id, "enqueue", {"parameters": {"x": 99}})
    controller = house.take()
    house.clock.now += 1
    controller.tick()
    assert controller.stopping is None
    assert assigned(controller).parameters == {"x": 99}


def test_a_budget_is_only_ever_raised():
    house = House(trials=5)
    controller = house.take()
    controller.extend(SweepExtended(trials=3))
    assert controller.rules.trials == 5
    controller.extend(SweepExtended(trials=8, total_epochs=10))
    assert (controller.rules.trials, controller.rules.total_epochs) == (8, None)
    assert fold(house.ledger, house.sweep.id, LOSS).extended_to == SweepExtended(8, 10)


def test_time_between_runs_is_not_spent_whatever_is_changed_meanwhile():
    """By other commands (`extend`, `cancel`), after an end in order and after a kill, and by requests that the next controller finds."""
    house = House(trials=2, time_s=100.0)
    controller = house.take()
    train(controller, assigned(controller), range(1, 2))
    house.clock.now += 10
    train(controller, assigned(controller), range(1, 2))
    house.ledger.release(controller._lease)  # killed
    house.clock.now += 1_000_000
    outside = house.ledger.acquire(house.sweep.id, "controller", "another command", 60)
    house.ledger.commit(outside, [SweepExtended(trials=3), Ended(0, 1, TrialState.CANCELLED, "cancelled on request")])
    house.ledger.release(outside)
    house.clock.now += 1_000_000
    house.ledger.request(house.sweep.id, "extend", {"trials": 4})
    controller = house.take()
    controller.close()
    house.clock.now += 1_000_000
    outside = house.ledger.acquire(house.sweep.id, "controller", "another command", 60)
    house.ledger.commit(outside, [SweepExtended(trials=5)])
    assert fold(house.ledger, house.sweep.id, LOSS).active_ms == 10_000


def test_a_change_in_the_midst_of_a_run_costs_it_no_time():
    house = House(trials=5)
    controller = house.take()
    for _ in range(3):
        house.clock.now += 5
        controller.extend(SweepExtended(trials=controller.rules.trials + 1))
    house.clock.now += 5
    controller.close()
    assert controller.history.active_ms == 20_000


def test_a_trial_whose_controller_died_is_cancelled_by_a_request_that_it_did_not_hear():
    house = House()
    assigned(house.take())
    house.ledger.request(house.sweep.id, "cancel", {"trial": 0})
    after = house.take()
    assert after.history.trials[0].state is TrialState.CANCELLED


@pytest.mark.parametrize("state", [TrialState.DIVERGED, TrialState.FAILED, TrialState.COMPLETED, TrialState.PAUSED])
def test_what_happens_after_a_stop_before_the_worker_hears_it_does_not_count(state):
    controller = House().take(Script({(0, 2): Stop("worse")}))
    assignment = assigned(controller)
    train(controller, assignment, range(1, 4))
    controller.end(assignment, Outcome(state, "in the epoch that nobody waited for"))
    record = controller.history.trials[0]
    assert (record.state, record.reason, record.retries) == (TrialState.PRUNED, "worse", 0)


def test_a_training_that_ends_early_at_a_rung_is_completed_and_not_paused():
    controller = House().take(Script(until_step=2))
    assignment = assigned(controller)
    train(controller, assignment, range(1, 3))
    controller.end(assignment, Outcome(TrialState.COMPLETED, "early stopping: no better"))
    assert controller.history.trials[0].state is TrialState.COMPLETED


def test_samples_are_committed_with_reports_and_ends_and_those_of_an_attempt_that_was_given_up_are_not():
    house = House(trials=1)
    controller = house.take()
    first = assigned(controller)
    controller.report([(first, Report(1, {"loss": 1.0}, 0.1, samples=(Sample(7, {"cpu": 50.0}), Sample(8, {"cpu": 60.0}))))])
    controller.end(first, Outcome(TrialState.FAILED, "crashed", samples=(Sample(9, {"cpu": 1.0}),)))
    again = assigned(controller)
    controller.report([(first, Report(2, {"loss": 1.0}, 0.1, samples=(Sample(10, {"cpu": 2.0}),)))])
    controller.report([(again, Report(1, {"loss": 1.0}, 0.1, samples=(Sample(11, {"cpu": 3.0}),)))])
    controller.end(first, Outcome(TrialState.FAILED, samples=(Sample(12, {"cpu": 4.0}),)))
    sampled = [event.body for event in house.events() if isinstance(event.body, Sampled)]
    assert [(s.attempt, s.taken_ms) for s in sampled] == [(1, 7), (1, 8), (1, 9), (2, 11)]
    assert controller.history.trials[0].reports == ({"loss": 1.0},)


def test_reports_and_outcomes_are_equal_whatever_was_used_meanwhile():
    samples = (Sample(7, {"cpu": 50.0}),)
    assert Report(1, {"loss": 1.0}, 0.1, samples=samples) == Report(1, {"loss": 1.0}, 0.1)
    assert Outcome(TrialState.PAUSED, samples=samples) == Outcome(TrialState.PAUSED)


GB = 10**9
PACKED = Resources(1, 1 / 8, packed=True)


def measured(step: int, peak_gb: float) -> Report:
    return Report(step, {"loss": 1.0}, 0.1, memory=Memory(int(peak_gb * GB), 16 * GB))


def grants(house: House) -> list[tuple[int, int, float]]:
    return [(b.trial, b.attempt, b.gpus) for event in house.events() if isinstance(b := event.body, Assigned)]


def test_a_packed_trial_is_measured_for_an_epoch_and_goes_on_in_the_part_that_suits_it():
    house = House(trials=1, resources=PACKED, retries=0)
    controller = house.take()
    first = assigned(controller)
    assert (first.until_step, first.resources.gpus, first.resources.packed) == (1, 1.0, True)
    assert controller.report([(first, measured(1, 3))]) == [Pause()]
    controller.end(first, Outcome(TrialState.PAUSED))
    record = controller.history.trials[0]
    assert (record.state, record.reason) == (TrialState.WAITING, "measured: it goes on with 0.25 of a GPU, in place of 1")
    second = assigned(controller)
    assert (second.until_step, second.resources.gpus) == (STEPS, 0.25)
    assert controller.report([(second, measured(2, 3.1))]) == [Continue(STEPS)]
    train(controller, second, range(3, STEPS + 1))
    controller.end(second, Outcome(TrialState.COMPLETED))
    assert (controller.history.trials[0].state, controller.history.trials[0].retries) == (TrialState.COMPLETED, 0)
    assert grants(house) == [(0, 1, 1.0), (0, 2, 0.25)]


def test_where_the_part_is_right_the_epochs_assignment_is_made_longer():
    house = House(trials=2, resources=PACKED)
    controller = house.take()
    first = assigned(controller)
    assert controller.report([(first, measured(1, 12))]) == [Continue(STEPS)]
    assert controller.history.trials[0].attempt == 1


def test_a_trial_that_never_tells_its_memory_keeps_a_whole_gpu():
    house = House(trials=2, resources=PACKED)
    controller = house.take()
    assert train(controller, assigned(controller), range(1, 3)) == Continue(STEPS)
    assert assigned(controller).resources.gpus == 1.0


def test_out_of_memory_on_a_part_is_tried_again_with_more_and_on_a_whole_gpu_it_is_an_end():
    house = House(trials=2, resources=PACKED, retries=0)
    controller = house.take()
    small = assigned(controller)
    controller.report([(small, measured(1, 1))])
    large = assigned(controller)
    assert large.resources.gpus == 1 / 8
    for part, state in ((1 / 8, "waiting"), (1 / 4, "waiting"), (1 / 2, "waiting"), (1.0, "out_of_memory")):
        assert large.resources.gpus == part
        controller.end(large, Outcome(TrialState.OUT_OF_MEMORY, "CUDA out of memory"))
        assert controller.history.trials[1].state == state
        large = large if state == "out_of_memory" else assigned(controller)
    assert controller.history.trials[1].retries == 0


def test_without_packing_out_of_memory_is_an_end_on_a_part_too():
    controller = House(trials=1, resources=Resources(1, 0.25)).take()
    first = assigned(controller)
    assert (first.until_step, first.resources) == (STEPS, Resources(1, 0.25))
    controller.end(first, Outcome(TrialState.OUT_OF_MEMORY))
    assert controller.history.trials[0].state is TrialState.OUT_OF_MEMORY


def test_a_controller_that_takes_over_gives_the_same_part():
    house = House(trials=3, resources=PACKED)
    controller = house.take()
    first, second = assigned(controller), assigned(controller)
    controller.report([(first, measured(1, 3)), (second, measured(1, 1))])
    controller.abandon()
    successor = house.take()
    assert [assigned(successor).resources.gpus for _ in range(3)] == [1 / 4, 1 / 8, 1 / 8]
