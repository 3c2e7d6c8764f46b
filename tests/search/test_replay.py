"""A replay finds every kind of decision that is not what the search would decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpsearch.events import Answered, Assigned, Ended, Event, TrialCreated
from hpsearch.search.replay import replay
from hpsearch.trial import Continue, Resume, SearchState, Start, Stop, TrialState


@pytest.fixture
def settings():
    return {"sampler": "qmc", "scheduler": "successive_halving", "scheduler_options": {"reduction_factor": 2}}


@pytest.fixture
def told(make, tell, flat, acc, settings):
    return tell(make(flat, acc, **settings), flat, acc, 20, 9, 1)


def numbered(bodies) -> list[Event]:
    return [Event(i, i, body) for i, body in enumerate(bodies, 1)]


def changed(told, kind, change) -> list[Event]:
    bodies = [event.body for event in told.events]
    place = next(i for i, body in enumerate(bodies) if isinstance(body, kind) and change(body) is not body)
    bodies[place] = change(bodies[place])
    return numbered(bodies)


def first(body: TrialCreated, **changes):
    return replace(body, **changes) if body.proposed else body


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (TrialCreated, lambda b: first(b, parameters={**b.parameters, "x": 0.123})),
        (TrialCreated, lambda b: first(b, until_step=99)),
        (TrialCreated, lambda b: first(b, search_state=SearchState(sweep={"qmc:other": 1}))),
        (Answered, lambda b: replace(b, reason="for no reason") if b.answer == "stop" else b),
        (Answered, lambda b: replace(b, search_state=SearchState(trial={"completed_rung_0": 0.5})) if b.answer == "continue" else b),
    ],
)
def test_a_tampered_decision_is_found(kind, change, told, make, flat, acc, settings):
    assert replay(told.events, make(flat, acc, **settings), acc) == []
    mismatches = replay(changed(told, kind, change), make(flat, acc, **settings), acc)
    assert mismatches
    assert "recorded" in str(mismatches[0])


def test_a_missing_answer_is_found(told, make, flat, acc, settings):
    bodies = [event.body for event in told.events]
    place = next(i for i, body in enumerate(bodies) if isinstance(body, Answered) and body.answer == "stop")
    del bodies[place]
    mismatch = replay(numbered(bodies), make(flat, acc, **settings), acc)[0]
    assert mismatch.recorded == Continue(9)
    assert isinstance(mismatch.replayed, Stop)


def test_another_seed_is_found(told, make, flat, acc, settings):
    assert replay(told.events, make(flat, acc, **settings, seed=8), acc)


def test_answers_of_the_controller_are_no_decisions_of_the_search(told, make, flat, acc, settings):
    bodies = [event.body for event in told.events]
    place = next(i for i, body in enumerate(bodies) if isinstance(body, Answered) and body.answer == "continue")
    bodies.insert(place + 1, Answered(bodies[place].trial, bodies[place].step, "pause", "controller"))
    assert replay(numbered(bodies), make(flat, acc, **settings), acc) == []


def test_a_resume_is_a_decision_too(make, ledger, flat, acc):
    class Resumes:
        def propose(self, history):
            paused = history.in_state(TrialState.PAUSED)
            return Resume(paused[0].number, 9) if paused else Start({"x": 1.0}, 3)

        def judge(self, history, reported):
            return Continue(history.trials[reported.trial].until_step)

    ours = ledger(acc)
    ours.start(Start({"x": 1.0}, 3))
    ours.run(0)
    ours.add(Ended(0, 1, TrialState.PAUSED), Assigned(0, 2, "a", 9, decided=True))
    assert replay(ours.events, Resumes(), acc) == []
    wrong = numbered([*(e.body for e in ours.events[:-1]), Assigned(0, 2, "a", 8, decided=True)])
    assert [m.replayed for m in replay(wrong, Resumes(), acc)] == [Resume(0, 9)]
