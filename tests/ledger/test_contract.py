"""What every ledger does, whichever keeps it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.errors import InputError, LeaseHeld, LeaseLost, StaleAttempt
from hpsearch.events import (
    Answered,
    Assigned,
    Begun,
    Body,
    Ended,
    Reported,
    SweepClosed,
    SweepExtended,
    SweepOpened,
    TrialCreated,
)
from hpsearch.ledger import Lease, Ledger, Projection, Request
from hpsearch.trial import Checkpoint, Objective, SearchState, TrialKind, TrialState

OBJECTIVES = (Objective("val_accuracy", "maximize"),)


def created(trial: int, **changes: Any) -> TrialCreated:
    values = {"kind": TrialKind.SEARCH, "parameters": {"learning_rate": 0.1}, "seed": 7, "until_step": 3, **changes}
    return TrialCreated(trial, **values)


def reported(trial: int, attempt: int, step: int, value: float = 0.5) -> Reported:
    return Reported(trial, attempt, step, {"val_accuracy": value}, 0.01)


def running(ledger: Ledger, name: str = "digits") -> Lease:
    """A sweep under a lease, with trial 0 running as attempt 1."""
    lease = ledger.acquire(ledger.create(name, {}, []).id, "controller", "me", 10)
    ledger.commit(lease, [SweepOpened("me"), created(0), Assigned(0, 1, "slot 0", 3), Begun(0, 1, "worker 0", 0)])
    return lease


def bodies(ledger: Ledger, sweep: int) -> list[Body]:
    return [event.body for event in ledger.events(sweep)]


class TestSweeps:
    def test_create_gives_the_sweep_with_its_first_events(self, ledger: Ledger, clock: Any) -> None:
        first = [created(0, kind=TrialKind.BASELINE), created(1, state=TrialState.INFEASIBLE, reason="too large")]
        sweep = ledger.create("digits", {"budget": {"trials": 3}}, first)
        assert (sweep.name, sweep.config, sweep.state, sweep.reason) == ("digits", {"budget": {"trials": 3}}, "created", None)
        assert (sweep.created_ms, sweep.ended_ms, sweep.last_seq) == (clock.ms, None, 2)
        assert sweep.trials == {TrialState.WAITING: 1, TrialState.INFEASIBLE: 1}
        assert bodies(ledger, sweep.id) == first
        assert ledger.find("digits") == sweep
        assert ledger.sweeps() == [sweep]

    def test_a_name_is_given_once(self, ledger: Ledger) -> None:
        sweep = ledger.create("digits", {"a": 1}, [])
        with pytest.raises(InputError, match=r"a sweep named 'digits' exists already; choose another name, or .* hpsearch resume digits"):
            ledger.create("digits", {"a": 2}, [created(0)])
        assert ledger.sweeps() == [sweep]
        assert ledger.create("digits2", {}, []).id > sweep.id

    def test_a_sweep_that_cannot_be_made_whole_is_not_made(self, ledger: Ledger) -> None:
        with pytest.raises(AssertionError):
            ledger.create("digits", {}, [created(0), created(0)])
        assert ledger.sweeps() == []

    def test_find_names_the_nearest(self, ledger: Ledger) -> None:
        with pytest.raises(InputError, match="holds none yet"):
            ledger.find("digits")
        for name in ("digits", "wine", "iris"):
            ledger.create(name, {}, [])
        with pytest.raises(InputError, match=r"unknown sweep 'digit'; did you mean 'digits'\? Known: digits, iris, wine"):
            ledger.find("digit")

    def test_sweeps_come_oldest_first(self, ledger: Ledger) -> None:
        names = ["c", "a", "b"]
        for name in names:
            ledger.create(name, {}, [created(0)])
        assert [sweep.name for sweep in ledger.sweeps()] == names
        assert [sweep.last_seq for sweep in ledger.sweeps()] == [1, 1, 1]

    def test_state_follows_opened_and_closed(self, ledger: Ledger, clock: Any) -> None:
        lease = ledger.acquire(ledger.create("digits", {}, []).id, "controller", "me", 10)
        ledger.commit(lease, [SweepOpened("me")])
        assert ledger.find("digits").state == "running"
        clock.advance(5)
        ledger.commit(lease, [SweepClosed("stopped", "interrupted")])
        sweep = ledger.find("digits")
        assert (sweep.state, sweep.reason, sweep.ended_ms) == ("stopped", "interrupted", clock.ms)
        ledger.commit(lease, [SweepOpened("me")])
        sweep = ledger.find("digits")
        assert (sweep.state, sweep.reason, sweep.ended_ms) == ("running", None, None)
        ledger.commit(lease, [SweepClosed("completed")])
        assert ledger.find("digits").state == "completed"

    def test_delete_forgets_everything(self, ledger: Ledger) -> None:
        lease = running(ledger)
        other = ledger.create("other", {}, [created(0)])
        ledger.commit(lease, [reported(0, 1, 1)])
        ledger.request(lease.sweep, "stop", {})
        projector = ledger.acquire(lease.sweep, "projector", "p", 10)
        ledger.project(projector, Projection(1, "1", "r"), {0: "r0"})
        with pytest.raises(
            LeaseHeld,
            match=r"'digits' has a controller already: 'me'; stop it \(hpsearch stop digits\); .* runs out in 10 s",
        ):
            ledger.delete(lease.sweep)
        ledger.release(lease)
        ledger.delete(lease.sweep)
        assert ledger.sweeps() == [other]
        assert ledger.events(lease.sweep) == []
        assert ledger.runs(lease.sweep) == {}
        assert ledger.projection(lease.sweep) == Projection(0, None, None)
        with pytest.raises(LeaseLost):
            ledger.commit(lease, [reported(0, 1, 2)])
        with pytest.raises(LeaseLost):
            ledger.project(projector, Projection(2, "1", "r"), {})
        assert ledger.create("digits", {}, []).id > other.id

    def test_what_is_not_there_is_bad_input(self, ledger: Ledger) -> None:
        for call in (
            lambda: ledger.delete(99),
            lambda: ledger.request(99, "stop", {}),
            lambda: ledger.acquire(99, "controller", "me", 1),
            lambda: ledger.holder(99, "controller"),
        ):
            with pytest.raises(InputError, match="no sweep with the number 99"):
                call()
        assert ledger.events(99) == []


class TestLeases:
    def test_one_holder_at_a_time(self, ledger: Ledger) -> None:
        sweep = ledger.create("digits", {}, []).id
        first = ledger.acquire(sweep, "controller", "a", 10)
        assert ledger.holder(sweep, "controller") == "a"
        with pytest.raises(LeaseHeld, match="'a'"):
            ledger.acquire(sweep, "controller", "b", 10)
        ledger.release(first)
        assert ledger.holder(sweep, "controller") is None
        second = ledger.acquire(sweep, "controller", "b", 10)
        assert second.token > first.token

    def test_roles_and_sweeps_are_apart(self, ledger: Ledger) -> None:
        one, two = (ledger.create(name, {}, []).id for name in ("one", "two"))
        ledger.acquire(one, "controller", "a", 10)
        ledger.acquire(one, "projector", "b", 10)
        ledger.acquire(two, "controller", "c", 10)
        assert [ledger.holder(one, "controller"), ledger.holder(one, "projector"), ledger.holder(two, "controller")] == ["a", "b", "c"]
        assert ledger.holder(two, "projector") is None

    def test_an_expired_lease_is_taken_over_and_its_holder_fenced_off(self, ledger: Ledger, clock: Any) -> None:
        old = running(ledger)
        projector = ledger.acquire(old.sweep, "projector", "p", 5)
        clock.advance(9.999)
        with pytest.raises(LeaseHeld):
            ledger.acquire(old.sweep, "controller", "b", 10)
        clock.advance(0.001)
        assert ledger.holder(old.sweep, "controller") is None
        new = ledger.acquire(old.sweep, "controller", "b", 10)
        ledger.acquire(old.sweep, "projector", "q", 5)
        before = ledger.events(old.sweep)
        ledger.request(old.sweep, "stop", {})
        for call in (
            lambda: ledger.commit(old, [reported(0, 1, 1)]),
            lambda: ledger.commit(old, []),
            lambda: ledger.renew(old),
            lambda: ledger.take_requests(old),
            lambda: ledger.project(projector, Projection(3, None, None), {0: "x"}),
        ):
            with pytest.raises(LeaseLost):
                call()
        ledger.release(old)
        assert ledger.holder(old.sweep, "controller") == "b"
        assert ledger.events(old.sweep) == before
        assert ledger.projection(old.sweep).seq == 0
        assert len(ledger.take_requests(new)) == 1

    def test_renewing_keeps_it(self, ledger: Ledger, clock: Any) -> None:
        lease = running(ledger)
        for _ in range(5):
            clock.advance(8)
            ledger.renew(lease)
        with pytest.raises(LeaseHeld):
            ledger.acquire(lease.sweep, "controller", "b", 10)

    def test_a_late_holder_whom_nobody_replaced_goes_on(self, ledger: Ledger, clock: Any) -> None:
        lease = running(ledger)
        clock.advance(60)
        ledger.commit(lease, [reported(0, 1, 1)])
        ledger.renew(lease)
        assert ledger.holder(lease.sweep, "controller") == "me"

    def test_what_was_given_back_is_gone(self, ledger: Ledger) -> None:
        lease = running(ledger)
        ledger.release(lease)
        with pytest.raises(LeaseLost, match="nobody holds it now"):
            ledger.renew(lease)
        with pytest.raises(LeaseLost):
            ledger.commit(lease, [reported(0, 1, 1)])
        ledger.release(lease)

    def test_a_clock_that_jumps_back_takes_nothing_away(self, ledger: Ledger, clock: Any) -> None:
        lease = running(ledger)
        clock.advance(-3600)
        ledger.commit(lease, [reported(0, 1, 1)])
        ledger.renew(lease)
        with pytest.raises(LeaseHeld):
            ledger.acquire(lease.sweep, "controller", "b", 10)
        assert [event.seq for event in ledger.events(lease.sweep)] == [1, 2, 3, 4, 5]

    def test_this_living_process_is_not_taken_for_dead(self, ledger: Ledger) -> None:
        sweep = ledger.create("digits", {}, []).id
        ledger.acquire(sweep, "controller", ledgers.holder(), 10)
        with pytest.raises(LeaseHeld, match=r"process \d+ on "):
            ledger.acquire(sweep, "controller", ledgers.holder(), 10)


class TestSequence:
    def test_commit_gives_numbers_and_times(self, ledger: Ledger, clock: Any) -> None:
        lease = running(ledger)
        clock.advance(1.5)
        events = ledger.commit(lease, [reported(0, 1, 1), Answered(0, 1, "continue", "search", 9), reported(0, 1, 2)])
        assert [(event.seq, event.at_ms) for event in events] == [(5, clock.ms), (6, clock.ms), (7, clock.ms)]
        assert ledger.events(lease.sweep, after=4) == events
        assert ledger.commit(lease, []) == []
        assert ledger.find("digits").last_seq == 7

    def test_every_body_comes_back_as_it_went(self, ledger: Ledger) -> None:
        checkpoint = Checkpoint("file:///checkpoints/0", "ab" * 32, 2)
        state = SearchState({"rungs": [1, 2]}, {"order": {"b": 1, "a": None}})
        said = [
            SweepOpened("host/boot/pid", "ab" * 32, "ada"),
            SweepExtended(trials=80),
            created(0, parent=None, parameters={"z": [1, 2.0], "a": {"n": None}}, proposed=True, search_state=state),
            created(1, kind=TrialKind.RETEST, parent=0, state=TrialState.INFEASIBLE, reason="parameters 3 > 2"),
            Assigned(0, 1, "slot 0", 3, search_state=SearchState(sweep={"k": 1})),
            Begun(0, 1, "worker 3", 0),
            reported(0, 1, 1),
            Answered(0, 1, "continue", "search", 9, search_state=state),
            Reported(0, 1, 2, {"val_accuracy": 1, "loss": 2.5}, 0.25, checkpoint),
            Answered(0, 2, "pause", "controller"),
            Ended(0, 1, TrialState.PAUSED, None, checkpoint),
            Assigned(0, 2, "slot 1", 9, decided=True),
            Begun(0, 2, "worker 4", 2),
            Answered(0, 2, "stop", "search", reason="worse than the median"),
            Ended(0, 2, TrialState.WAITING, "killed", retry=True),
            Ended(0, 2, TrialState.CANCELLED, "on request"),
            SweepClosed("failed", "no trial completed"),
        ]
        lease = ledger.acquire(ledger.create("digits", {}, []).id, "controller", "me", 10)
        returned = ledger.commit(lease, said)
        assert [event.body for event in returned] == said
        assert ledger.events(lease.sweep) == returned

    def test_reading_in_parts_gives_the_whole(self, ledger: Ledger) -> None:
        lease = running(ledger)
        for step in range(1, 12):
            ledger.commit(lease, [reported(0, 1, step), Answered(0, step, "continue", "search", step + 1)])
        whole = ledger.events(lease.sweep)
        for size in (1, 3, 100):
            parts = [ledger.events(lease.sweep, after, size) for after in range(0, len(whole), size)]
            assert [event for part in parts for event in part] == whole
        assert ledger.events(lease.sweep, after=len(whole)) == []
        assert ledger.events(lease.sweep, limit=0) == []

    def test_nobody_shares_a_mapping_with_the_past(self, ledger: Ledger) -> None:
        parameters, metrics = {"a": [1]}, {"val_accuracy": 0.5}
        lease = ledger.acquire(ledger.create("digits", {}, [created(0, parameters=parameters)]).id, "controller", "me", 10)
        ledger.commit(lease, [Assigned(0, 1, "slot", 3), Reported(0, 1, 1, metrics, 0.0)])
        parameters["a"].append(2)
        metrics["val_accuracy"] = 0.0
        read = bodies(ledger, lease.sweep)
        assert (read[0].parameters, read[2].metrics) == ({"a": [1]}, {"val_accuracy": 0.5})  # type: ignore[union-attr]
        read[0].parameters["a"].append(3)  # type: ignore[union-attr]
        assert bodies(ledger, lease.sweep)[0].parameters == {"a": [1]}  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "stale",
        [
            reported(0, 2, 1),
            reported(0, 1, 1),
            reported(1, 1, 1),
            reported(9, 1, 1),
            Begun(0, 2, "w", 0),
            Begun(1, 1, "w", 0),
            Ended(0, 2, TrialState.COMPLETED),
            Ended(1, 1, TrialState.COMPLETED),
            Ended(1, 0, TrialState.COMPLETED),
            Ended(2, 1, TrialState.FAILED),
        ],
        ids=str,
    )
    def test_who_was_given_up_for_dead_changes_nothing(self, ledger: Ledger, stale: Body) -> None:
        """Trial 0 runs as attempt 1 and has step 1, trial 1 waits without an attempt, trial 2 is completed, trial 9 does not exist."""
        lease = running(ledger)
        done = [created(2), Assigned(2, 1, "s", 3), reported(2, 1, 1), Ended(2, 1, TrialState.COMPLETED)]
        ledger.commit(lease, [reported(0, 1, 1, 0.25), created(1), *done])
        before = ledger.events(lease.sweep), ledger.find("digits")
        with pytest.raises(StaleAttempt):
            ledger.commit(lease, [created(3), reported(0, 1, 2), stale])
        assert (ledger.events(lease.sweep), ledger.find("digits")) == before
        ledger.commit(lease, [reported(0, 1, 2), created(3)])

    def test_a_step_that_runs_again_as_another_attempt_does_not_overwrite(self, ledger: Ledger) -> None:
        lease = running(ledger)
        ledger.commit(lease, [reported(0, 1, 1, 0.25), Ended(0, 1, TrialState.WAITING, "lost"), Assigned(0, 2, "slot", 3)])
        with pytest.raises(StaleAttempt, match="step 1 was reported before"):
            ledger.commit(lease, [reported(0, 2, 1, 0.75)])
        ledger.commit(lease, [reported(0, 2, 2)])
        values = [body.metrics["val_accuracy"] for body in bodies(ledger, lease.sweep) if isinstance(body, Reported)]
        assert values == [0.25, 0.5]

    def test_a_trial_that_waits_or_is_paused_is_cancelled(self, ledger: Ledger) -> None:
        lease = running(ledger)
        ledger.commit(lease, [created(1), reported(0, 1, 1), Ended(0, 1, TrialState.PAUSED)])
        ledger.commit(lease, [Ended(1, 0, TrialState.CANCELLED, "on request"), Ended(0, 1, TrialState.CANCELLED, "on request")])
        assert ledger.find("digits").trials == {TrialState.CANCELLED: 2}

    @pytest.mark.parametrize(
        "impossible",
        [
            created(0),
            Assigned(9, 1, "s", 1),
            Assigned(0, 2, "s", 1),
            Assigned(1, 0, "s", 1),
            reported(0, 1, 5),
            Answered(9, 1, "stop", "search"),
        ],
        ids=str,
    )
    def test_the_impossible_is_refused_and_changes_nothing(self, ledger: Ledger, impossible: Body) -> None:
        lease = running(ledger)
        ledger.commit(lease, [created(1)])
        before = ledger.events(lease.sweep)
        with pytest.raises(AssertionError):
            ledger.commit(lease, [reported(0, 1, 1), impossible])
        assert ledger.events(lease.sweep) == before
        ledger.commit(lease, [reported(0, 1, 1)])

    def test_fold_gives_the_history(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledgers, "_CHUNK", 3)
        lease = running(ledger)
        ledger.commit(lease, [reported(0, 1, step, step / 10) for step in (1, 2, 3)] + [Ended(0, 1, TrialState.COMPLETED)])
        history = ledgers.fold(ledger, lease.sweep, OBJECTIVES)
        assert history.seq == 8
        assert history.trials[0].values(OBJECTIVES) == (0.3,)
        assert history.trials[0].state is TrialState.COMPLETED

    def test_two_threads_commit_and_renew_at_once(self, ledger: Ledger) -> None:
        lease = running(ledger)
        other = running(ledger, "other")
        errors: list[BaseException] = []

        def loop(act: Any) -> None:
            try:
                for i in range(1, 41):
                    act(i)
            except BaseException as error:
                errors.append(error)

        acts = [
            lambda i: ledger.commit(lease, [reported(0, 1, i)]),
            lambda i: ledger.commit(other, [reported(0, 1, i)]),
            lambda _: ledger.renew(lease),
            lambda _: ledger.events(lease.sweep),
            lambda i: ledger.request(lease.sweep, "extend", {"trials": i}),
        ]
        threads = [threading.Thread(target=loop, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        for sweep in (lease.sweep, other.sweep):
            assert [event.seq for event in ledger.events(sweep)] == list(range(1, 45))


class TestRequests:
    def test_taken_once_and_in_order(self, ledger: Ledger) -> None:
        lease, other = running(ledger), running(ledger, "other")
        ids = [ledger.request(lease.sweep, "extend", {"trials": 80}), ledger.request(lease.sweep, "cancel", {"trial": 3})]
        ledger.request(other.sweep, "stop", {})
        assert ledger.take_requests(lease) == [Request(ids[0], "extend", {"trials": 80}), Request(ids[1], "cancel", {"trial": 3})]
        assert ledger.take_requests(lease) == []
        assert [request.kind for request in ledger.take_requests(other)] == ["stop"]

    def test_what_nobody_took_waits_for_the_next_controller(self, ledger: Ledger) -> None:
        sweep = ledger.create("digits", {}, []).id
        ledger.request(sweep, "stop", {})
        first = ledger.request(sweep, "extend", {"trials": 80})
        assert [request.kind for request in ledger.waiting_requests(sweep)] == ["stop", "extend"]
        assert ledger.waiting_requests(sweep)[1] == Request(first, "extend", {"trials": 80})
        assert [request.kind for request in ledger.take_requests(ledger.acquire(sweep, "controller", "me", 10))] == ["stop", "extend"]
        assert ledger.waiting_requests(sweep) == ledger.waiting_requests(sweep + 1) == []


class TestProjection:
    def test_is_noted_and_runs_are_added(self, ledger: Ledger) -> None:
        sweep = ledger.create("digits", {}, [created(0), created(1)]).id
        assert ledger.projection(sweep) == Projection(0, None, None)
        assert ledger.runs(sweep) == {}
        lease = ledger.acquire(sweep, "projector", "p", 10)
        ledger.project(lease, Projection(1, "5", "parent"), {1: "run 1"})
        ledger.project(lease, Projection(2, "5", "parent"), {0: "run 0"})
        ledger.project(lease, Projection(2, "5", "parent"), {})
        assert ledger.projection(sweep) == Projection(2, "5", "parent")
        assert ledger.runs(sweep) == {0: "run 0", 1: "run 1"}
        ledger.project(lease, Projection(2, "5", "parent"), {1: "the oldest"})
        assert ledger.runs(sweep) == {0: "run 0", 1: "the oldest"}

    def test_a_registered_model_is_noted_until_it_is_noted_no_more(self, ledger: Ledger) -> None:
        sweep, other = (ledger.create(name, {}, []).id for name in ("digits", "wine"))
        lease = ledger.acquire(sweep, "projector", "p", 10)
        for model in ({"name": "a", "version": 1}, {"name": "ä'\"", "version": 2, "champion": True}, None):
            ledger.project(lease, Projection(2, "5", "parent", model), {})
            assert ledger.projection(sweep) == Projection(2, "5", "parent", model)
        assert ledger.projection(other) == Projection(0, None, None)
