from __future__ import annotations

import random
from itertools import pairwise

import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState as Told
from optuna.trial import create_trial

from hpsearch.events import Reported
from hpsearch.search.mirror import Mirror
from hpsearch.search.observations import observations
from hpsearch.search.ranking import ByDomination, ByValue, evenly
from hpsearch.space.distributions import to_optuna
from hpsearch.trial import Objective, Start, TrialKind, TrialState

S = TrialState
P = {"x": 1.0, "y": 2.0, "n": 3}


def mirror(space, objectives) -> Mirror:
    return Mirror(space, objectives, {name: to_optuna(p) for name, p in space.parameters.items()})


def trial(ours, state: TrialState, *values: float, kind: TrialKind = TrialKind.SEARCH) -> int:
    number = ours.start(Start(P, 9), kind, S.INFEASIBLE if state == S.INFEASIBLE else S.WAITING)
    if state not in (S.WAITING, S.INFEASIBLE):
        ours.run(number)
        for step, value in enumerate(values, 1):
            ours.add(Reported(number, 1, step, {"loss": value, "size": -value}, 0.1))
        if state != S.RUNNING:
            ours.end(number, state)
    return number


@pytest.mark.parametrize(
    ("state", "values", "told", "value", "intermediate"),
    [
        (S.WAITING, (), Told.RUNNING, None, {}),
        (S.RUNNING, (3.0, 2.0), Told.RUNNING, None, {1: 3.0, 2: 2.0}),
        (S.PAUSED, (3.0,), Told.RUNNING, None, {1: 3.0}),
        (S.COMPLETED, (3.0, 2.0), Told.COMPLETE, 2.0, {1: 3.0, 2: 2.0}),
        (S.COMPLETED, (3.0, float("nan")), Told.PRUNED, None, {}),
        (S.COMPLETED, (3.0, float("inf")), Told.PRUNED, None, {}),
        (S.PRUNED, (3.0, float("nan")), Told.PRUNED, None, {1: 3.0}),
        (S.TIMED_OUT, (3.0,), Told.PRUNED, None, {1: 3.0}),
        (S.DIVERGED, (3.0, float("nan")), Told.PRUNED, None, {}),
        (S.OUT_OF_MEMORY, (), Told.PRUNED, None, {}),
        (S.INFEASIBLE, (), Told.PRUNED, None, {}),
        (S.FAILED, (3.0,), Told.FAIL, None, {}),
        (S.CANCELLED, (3.0,), Told.FAIL, None, {}),
    ],
)
def test_how_each_state_is_told(state, values, told, value, intermediate, ledger, loss, flat):
    ours, m = ledger(loss), mirror(flat, loss)
    trial(ours, state, *values)
    m.follow(ours.history)
    frozen = m.trial(0)
    frozen._validate()  # Optuna finds it in order
    assert (frozen.state, frozen.value, frozen.intermediate_values, frozen.params) == (told, value, intermediate, P)
    assert frozen.constraints == ({"space": 1.0} if state == S.INFEASIBLE else {})


def test_a_retest_is_not_told(ledger, loss, flat):
    ours, m = ledger(loss), mirror(flat, loss)
    trial(ours, S.COMPLETED, 1.0, kind=TrialKind.RETEST)
    trial(ours, S.COMPLETED, 2.0, kind=TrialKind.BASELINE)
    m.follow(ours.history)
    assert [t.number for t in m.all()] == [1] == [t.number for t in m.some(9)] == [t.number for t in m.completed()]


@pytest.mark.parametrize(
    ("goal", "raw", "told"),
    [("minimize", False, [3.0, 2.0, 2.0]), ("maximize", False, [3.0, 3.0, 4.0]), ("minimize", True, [3.0, 2.0, 4.0])],
)
def test_what_counts_at_its_best_is_told_as_the_best_so_far(goal, raw, told, ledger, flat):
    objectives = (Objective("loss", goal, "best"),)
    ours, m = ledger(objectives), Mirror(flat, objectives, {n: to_optuna(p) for n, p in flat.parameters.items()}, raw=raw)
    trial(ours, S.PRUNED, 3.0, 2.0, float("nan"), 4.0)
    m.follow(ours.history)
    assert m.trial(0).intermediate_values == dict(zip((1, 2, 4), told, strict=True))


def test_several_objectives_are_told_without_steps(ledger, flat):
    objectives = (Objective("loss", "minimize"), Objective("size", "maximize", "best"))
    ours, m = ledger(objectives), mirror(flat, objectives)
    trial(ours, S.COMPLETED, 3.0, 2.0, 4.0)
    trial(ours, S.PRUNED, 3.0)
    m.follow(ours.history)
    assert [(t.values, t.intermediate_values) for t in m.all()] == [([4.0, -2.0], {}), (None, {})]


def test_a_trial_is_told_again_only_when_it_changed(ledger, loss, flat):
    ours, m = ledger(loss), mirror(flat, loss)
    for _ in range(3):
        trial(ours, S.COMPLETED, 1.0)
    running = trial(ours, S.RUNNING, 5.0)
    m.follow(ours.history)
    before = m.all()
    ours.add(Reported(running, 1, 2, {"loss": 4.0}, 0.1))
    m.follow(ours.history)
    after = m.all()
    assert all(a is b for a, b in zip(before[:3], after[:3], strict=True))
    assert after[3].intermediate_values == {1: 5.0, 2: 4.0}
    assert before[3].intermediate_values == {1: 5.0}


@pytest.mark.parametrize("most", [10, 30, 57])
def test_some_holds_the_best_the_open_and_an_even_part_of_the_rest(most, ledger, loss, flat):
    ours, m, rng = ledger(loss), mirror(flat, loss), random.Random(1)
    for i in range(60):
        trial(ours, S.RUNNING if i % 20 == 7 else S.COMPLETED, rng.random())
    m.follow(ours.history)
    some = m.some(most)
    values = sorted(t.value for t in m.completed())
    numbers = [t.number for t in some]
    assert numbers == sorted(set(numbers))
    assert {7, 27, 47} <= set(numbers)
    assert len(some) - 3 <= most
    assert set(values[: -(-most // 10)]) <= {t.value for t in some}
    assert max(b - a for a, b in pairwise(numbers)) <= 2 * -(-60 // most) + 2
    assert m.some(500) == m.all()


def test_ranking_by_value_is_the_sorted_order(loss):
    rng, ranking, made = random.Random(2), ByValue(StudyDirection.MAXIMIZE), []
    for number in range(80):
        kind = rng.choice(["complete", "pruned", "silent", "infeasible"])
        frozen = create_trial(
            state=Told.COMPLETE if kind == "complete" else Told.PRUNED,
            value=rng.choice([0.1, 0.2, 0.3]) if kind == "complete" else None,
            intermediate_values={step: rng.choice([0.1, 0.2]) for step in range(1, rng.randint(2, 4))} if kind == "pruned" else {},
            constraints={"space": 1.0} if kind == "infeasible" else None,
        )
        frozen.number = number
        made.append((frozen, kind))
        ranking.add(frozen)

    def place(pair):
        frozen, kind = pair
        steps = len(frozen.intermediate_values)
        return (
            ["complete", "pruned", "silent", "infeasible"].index(kind),
            -(frozen.value or 0) if kind == "complete" else -steps,
            -frozen.intermediate_values[steps] if kind == "pruned" else 0,
            frozen.number,
        )

    expected = [frozen.number for frozen, _ in sorted(made, key=place)]
    assert [frozen.number for frozen in ranking.best(80)] == expected
    assert [frozen.number for frozen in ranking.best(7)] == expected[:7]


def test_ranking_by_domination_is_the_pareto_front():
    rng, made = random.Random(3), []
    for number in range(60):
        frozen = create_trial(values=[rng.randint(0, 9), rng.randint(0, 9)])
        frozen.number = number
        made.append(frozen)
    front = {
        t.number for t in made if not any(o.values != t.values and o.values[0] <= t.values[0] and o.values[1] >= t.values[1] for o in made)
    }
    for _ in range(3):
        rng.shuffle(made)
        ranking = ByDomination([StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE])
        for frozen in made:
            ranking.add(frozen)
        assert {frozen.number for frozen in ranking.best(60)} == front
        assert len(ranking.best(2)) == min(2, len(front))


def test_evenly():
    assert evenly(range(5), 9) == [0, 1, 2, 3, 4]
    assert evenly(range(9), 5) == [0, 2, 4, 6, 8]
    assert evenly(range(9), 2) == [0, 8]
    assert evenly(range(9), 1) == [8]
    assert evenly(range(9), 0) == []


def test_a_gaussian_process_learns_from_every_end(ledger, loss, flat):
    ours, m = ledger(loss), mirror(flat, loss)
    for state, *values in ((S.COMPLETED, 5.0, 1.0), (S.PRUNED, 7.0), (S.DIVERGED, 3.0), (S.RUNNING, 2.0), (S.COMPLETED, 2.0)):
        trial(ours, state, *values)
    m.follow(ours.history)
    seen = observations(m.some(9), m.directions)
    assert [(t.state, t.values) for t in seen] == [
        (Told.COMPLETE, [1.0]),
        (Told.COMPLETE, [7.0]),
        (Told.COMPLETE, [7.0]),
        (Told.RUNNING, None),
        (Told.COMPLETE, [2.0]),
    ]
    assert not any(t.constraints for t in seen)
    trial(ours, S.INFEASIBLE)
    m.follow(ours.history)
    seen = observations(m.some(9), m.directions)
    assert [t.constraints for t in seen] == [{"space": -1.0}] * 3 + [{}, {"space": -1.0}, {"space": 1.0}]
    assert m.trial(0).constraints == {}
