from __future__ import annotations

from hpsearch.trial import Done, Start, TrialKind, TrialState


def drain(search, ours) -> list[dict]:
    proposed = []
    while isinstance(start := search.propose(ours.history), Start):
        proposed.append(dict(start.parameters))
        ours.start(start, state=TrialState.INFEASIBLE if len(proposed) % 2 else TrialState.WAITING)
    return proposed


def test_every_configuration_once(make, ledger, acc, grid_space):
    proposed = drain(make(grid_space, acc, sampler="grid"), ledger(acc))
    assert len(proposed) == 7
    assert sorted(map(repr, proposed)) == sorted(repr(configuration) for configuration in grid_space.configurations())


def test_the_order_is_the_seeds(make, ledger, acc, grid_space):
    orders = [drain(make(grid_space, acc, sampler="grid", seed=seed), ledger(acc)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_what_a_baseline_tried_is_not_tried_again_but_a_retest_is_no_try(make, ledger, acc, grid_space):
    search, ours = make(grid_space, acc, sampler="grid"), ledger(acc)
    first = search.propose(ours.history)
    ours.start(first, TrialKind.RETEST)
    assert search.propose(ours.history) == first
    ours.start(first, TrialKind.BASELINE)
    assert len(drain(search, ours)) == 6
    assert search.propose(ours.history) == Done()
