from __future__ import annotations

import statistics

import pytest

from hpsearch.space import Categorical, Float, SearchSpace
from hpsearch.trial import Objective, TrialState


def best_of(search, ours, trials: int) -> float:
    """The smallest of a quadratic bowl with its minimum at (1, -2)."""
    best = float("inf")
    for _ in range(trials):
        p = search.propose(ours.history).parameters
        value = (p["x"] - 1) ** 2 + (p["y"] + 2) ** 2 + 0.1 * p["n"]
        best = min(best, value)
        ours.complete(p, value)
    return best


@pytest.mark.slow
def test_tpe_finds_better_values_than_random(make, ledger, loss, flat):
    """Over 15 seeds of 60 trials TPE wins at least 11 times.

    Were the two equally good, that would happen once in 17 runs; measured: it wins 15 of 15, with medians of 0.27 against 0.93. The seeds
    are fixed, so the test cannot fail by chance.
    """
    wins, found = 0, {"tpe": [], "random": []}
    for seed in range(15):
        for sampler in found:
            found[sampler].append(best_of(make(flat, loss, sampler=sampler, seed=seed), ledger(loss), 60))
        wins += found["tpe"][-1] < found["random"][-1]
    assert wins >= 11
    assert statistics.median(found["tpe"]) < 0.6 * statistics.median(found["random"])


@pytest.mark.slow
def test_the_gaussian_process_finds_better_values_than_random(make, ledger, loss, flat):
    found = {s: best_of(make(flat, loss, sampler=s, seed=1), ledger(loss), 15) for s in ("gp", "random")}
    assert found["gp"] < found["random"]


@pytest.mark.slow
def test_the_gaussian_process_leaves_what_breaks_a_constraint(make, ledger, loss, flat):
    """Half of the space is infeasible, and the best value lies at its edge: few of the later proposals are in it."""
    search, ours, broken = make(flat, loss, sampler="gp", sampler_options={"n_startup_trials": 6}), ledger(loss), []
    for _ in range(16):
        start = search.propose(ours.history)
        broken.append(start.parameters["x"] > 0)
        if broken[-1]:
            ours.start(start, state=TrialState.INFEASIBLE)
        else:
            ours.complete(start.parameters, (start.parameters["x"] - 3) ** 2)
    assert sum(broken[-8:]) <= 4


def test_qmc_covers_each_stratum_once(make, ledger, loss):
    """Of 2**k points of a scrambled Sobol sequence one lies in each of 2**k equal intervals of every coordinate, also after restarts."""
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    ours = ledger(loss)
    for _ in range(16):
        ours.start(make(space, loss, sampler="qmc").propose(ours.history))
    for name in ("x", "y"):
        assert sorted(int(trial.parameters[name] * 16) for trial in ours.history) == list(range(16))


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "auto"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_space_in_which_nothing_varies_is_proposed_again_and_again(sampler, count, make, ledger):
    """So a sweep over seeds alone is a sweep like others."""
    objectives = (Objective("loss", "minimize"), Objective("size", "minimize"))[:count]
    ours, search = ledger(objectives), make(SearchSpace({}, {"units": 3}), objectives, sampler=sampler)
    for _ in range(12):
        ours.complete(search.propose(ours.history).parameters, 1.0)
    assert all(trial.parameters == {"units": 3} for trial in ours.history)


@pytest.mark.slow
def test_the_gaussian_process_proposes_what_does_not_vary(make, ledger, loss):
    ours = ledger(loss)
    search = make(SearchSpace({}, {"units": 3}), loss, sampler="gp", sampler_options={"n_startup_trials": 2})
    for _ in range(4):
        ours.complete(search.propose(ours.history).parameters, 1.0)
    assert len(ours.history) == 4


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_proposals_are_plain_json(sampler, make, ledger, acc, network):
    """What a ledger gives back equals what was proposed, lists and all."""
    import json

    ours, search = ledger(acc), make(sampler=sampler, sampler_options={"n_startup_trials": 2} if sampler == "tpe" else {})
    for i in range(12):
        start = search.propose(ours.history)
        assert json.loads(json.dumps(start.parameters)) == start.parameters
        assert {type(v) for v in start.parameters.values()} <= {int, float, str, bool, list}
        ours.complete(start.parameters, i / 10, metric="acc")


def test_a_choice_of_lists_is_learnt(make, ledger, loss):
    space = SearchSpace({"hidden": Categorical(([64], [64, 64], [128])), "x": Float(0.0, 1.0)})
    ours, search = ledger(loss), make(space, loss, sampler="tpe")
    for _ in range(40):
        p = search.propose(ours.history).parameters
        ours.complete(p, abs(sum(p["hidden"]) - 128) + len(p["hidden"]) + p["x"])
    late = [trial.parameters["hidden"] for trial in list(ours.history)[20:]]
    assert late.count([128]) > 10


def test_completed_without_a_finite_value_does_no_harm(make, ledger, loss, flat):
    ours = ledger(loss)
    search = make(flat, loss, sampler="tpe", sampler_options={"n_startup_trials": 3}, scheduler="median")
    for i in range(15):
        ours.complete(search.propose(ours.history).parameters, float("nan") if i % 3 else float("inf"))
    assert len(ours.history) == 15
