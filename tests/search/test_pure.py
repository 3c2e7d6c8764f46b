"""Every decision is a function of the history and the seed: replayed with a new search for each question, a sweep comes out the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpsearch.events import Reported
from hpsearch.search.history import History
from hpsearch.search.replay import replay
from hpsearch.trial import Answer, Objective, Proposal

pytestmark = pytest.mark.slow

SAMPLERS = [
    ("random", {}),
    ("qmc", {}),
    ("qmc", {"qmc_type": "halton", "scramble": False}),
    ("tpe", {"n_startup_trials": 3}),
    ("tpe", {"n_startup_trials": 3, "multivariate": False}),
    ("tpe", {"n_startup_trials": 3, "constant_liar": False}),
    ("auto", {}),
]
SCHEDULERS = [
    ("median", {"n_startup_trials": 2}),
    ("percentile", {"percentile": 30, "n_startup_trials": 2, "interval_steps": 2}),
    ("successive_halving", {"reduction_factor": 2}),
    ("successive_halving", {"min_resource": 2, "reduction_factor": 2, "bootstrap_count": 2}),
    ("hyperband", {"reduction_factor": 2}),
    ("threshold", {"lower": 0.7, "n_warmup_steps": 2}),
    ("patient", {"patience": 1}),
    ("patient", {"patience": 1, "min_delta": 0.01, "wrapped_pruner": {"kind": "successive_halving", "reduction_factor": 2}}),
    ("wilcoxon", {"p_threshold": 0.3}),
    ("auto", {}),
    ("none", {}),
    ("nop", {}),
]


class Anew:
    """A search that forgets: a new one for each question."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def propose(self, history: History) -> Proposal:
        return self._make().propose(history)

    def judge(self, history: History, reported: Reported) -> Answer:
        return self._make().judge(history, reported)


def check(make: Any, tell: Any, space: Any, objectives: tuple[Objective, ...], trials: int, seed: int, **settings: Any) -> None:
    lasting = make(space, objectives, **settings)
    told = tell(lasting, space, objectives, trials, 9, seed)
    assert replay(told.events, Anew(lambda: make(space, objectives, **settings)), objectives) == []
    assert replay(told.events, lasting, objectives) == []  # it has seen the future, and another past's records


@pytest.mark.parametrize(("sampler", "options"), [*SAMPLERS[:2], *(pytest.param(*each, marks=pytest.mark.slow) for each in SAMPLERS[2:])])
def test_each_sampler_is_a_function_of_the_history(sampler, options, make, tell, network, acc):
    for seed in range(2):
        check(make, tell, network, acc, 25, seed, sampler=sampler, sampler_options=options, scheduler="median")


@pytest.mark.parametrize(
    ("scheduler", "options"), [*SCHEDULERS[:3], *(pytest.param(*each, marks=pytest.mark.slow) for each in SCHEDULERS[3:])]
)
def test_each_scheduler_is_a_function_of_the_history(scheduler, options, make, tell, flat, acc):
    for seed in range(2):
        check(make, tell, flat, acc, 30, seed, scheduler=scheduler, scheduler_options=options)


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_several_objectives(sampler, make, tell, network):
    objectives = (Objective("acc", "maximize"), Objective("size", "minimize", "best"))
    check(make, tell, network, objectives, 25, 1, sampler=sampler, scheduler="auto")


def test_a_grid_is_a_function_of_the_history(make, tell, acc, grid_space):
    check(make, tell, grid_space, acc, 12, 1, sampler="grid", scheduler="successive_halving")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_the_gaussian_process_is_a_function_of_the_history(count, make, tell, network, acc):
    objectives = (*acc, Objective("size", "minimize"))[:count]
    check(make, tell, network, objectives, 9 - count, 6, sampler="gp", sampler_options={"n_startup_trials": 2}, scheduler="auto")


@pytest.mark.slow
def test_a_long_history_is_thinned_by_the_history_alone(make, tell, flat, acc, monkeypatch):
    from dataclasses import replace as changed

    from hpsearch.search import samplers

    monkeypatch.setitem(samplers.SAMPLERS, "tpe", changed(samplers.SAMPLERS["tpe"], sees=12))
    check(make, tell, flat, acc, 50, 3, sampler="tpe", sampler_options={"n_startup_trials": 5}, scheduler="median")


SCRIPT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("made_up", sys.argv[1])
made_up = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made_up)
search = made_up.make_search(sampler="tpe", sampler_options={"n_startup_trials": 3}, scheduler="hyperband")
told = made_up.story(search, made_up.NETWORK, made_up.ACCURACY, 15, 9, 2)
print([event.body for event in told.events])
"""


@pytest.mark.slow
def test_another_process_decides_the_same():
    """Sets of strings are ordered otherwise in each process; nothing of that may show."""
    here = str(Path(__file__).parent / "conftest.py")
    seen = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, here], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    assert "TrialCreated" in seen.pop()
