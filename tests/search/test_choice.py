from __future__ import annotations

import subprocess
import sys

import pytest

from hpsearch.errors import InputError
from hpsearch.search import SAMPLERS, SCHEDULERS, check_search
from hpsearch.space import Categorical, Float, Int, SearchSpace
from hpsearch.trial import Objective

INFINITE = SearchSpace({"units": Int(1, 4), "learning_rate": Float(0.001, 0.1)})
SIX = SearchSpace({"units": Int(1, 3), "activation": Categorical(("relu", "tanh"))})
ONE = (Objective("val_accuracy", "maximize"),)
TWO = (*ONE, Objective("parameters", "minimize"))
DEFAULTS = {
    "sampler": "auto", "sampler_options": {}, "scheduler": "auto", "scheduler_options": {}, "seed": 0, "max_steps": 20, "trials": 60,
}  # fmt: skip


@pytest.mark.parametrize(
    ("space", "objectives", "changes", "described"),
    [
        (INFINITE, ONE, {}, "tpe, median after 4 epochs"),
        (INFINITE, ONE, {"max_steps": 5}, "tpe, median after 3 epochs"),
        (INFINITE, ONE, {"max_steps": 4}, "tpe, every trial to its end"),
        (INFINITE, TWO, {}, "tpe, every trial to its end"),
        (SIX, ONE, {"trials": 6}, "grid, median after 4 epochs"),
        (SIX, ONE, {"trials": 5, "scheduler": "none"}, "tpe, every trial to its end"),
        (SIX, ONE, {"trials": None, "scheduler": "hyperband"}, "tpe, hyperband"),
        (SearchSpace({}, {"units": 3}), ONE, {"scheduler": "nop"}, "tpe, every trial to its end"),
        (INFINITE, ONE, {"sampler": "gp", "scheduler": "median", "scheduler_options": {"n_warmup_steps": 7}}, "gp, median after 7 epochs"),
    ],
)
def test_auto(space, objectives, changes, described):
    assert check_search(space, objectives, **{**DEFAULTS, **changes}).describe() == described


@pytest.mark.parametrize(
    ("sampler", "options", "message"),
    [
        ("tpee", {}, "unknown sampler 'tpee'; did you mean 'tpe'? Known: auto, gp, grid, qmc, random, tpe"),
        ("tpe", {"n_startup_trails": 3}, "unknown option of sampler tpe 'n_startup_trails'; did you mean 'n_startup_trials'?"),
        ("tpe", {"n_startup_trials": "ten"}, "sampler tpe: n_startup_trials must be an integer of at least 1, got 'ten'"),
        ("tpe", {"n_startup_trials": 0}, "sampler tpe: n_startup_trials must be an integer of at least 1, got 0"),
        ("tpe", {"n_ei_candidates": True}, "sampler tpe: n_ei_candidates must be an integer of at least 1, got True"),
        ("tpe", {"constant_liar": 1}, "sampler tpe: constant_liar must be true or false, got 1"),
        ("tpe", {"group": True}, "unknown option of sampler tpe 'group'"),
        ("qmc", {"qmc_type": "sobel"}, "sampler qmc: qmc_type must be sobol, or halton, got 'sobel'"),
        ("random", {"seed": 3}, "sampler random takes no options, got 'seed'; remove it"),
        ("grid", {}, "learning_rate takes any value in its range; give it `step` or `values`"),
    ],
)
def test_what_is_wrong_with_a_sampler(sampler, options, message):
    with pytest.raises(InputError) as caught:
        check_search(INFINITE, ONE, **{**DEFAULTS, "sampler": sampler, "sampler_options": options})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("scheduler", "options", "message"),
    [
        ("medain", {}, "unknown scheduler 'medain'; did you mean 'median'?"),
        ("none", {"patience": 3}, "scheduler none takes no options, got 'patience'; remove it"),
        ("auto", {"n_warmup_steps": 3}, "scheduler auto takes no options"),
        ("median", {"n_warmup_steps": -1}, "n_warmup_steps must be an integer of at least 0, got -1"),
        ("median", {"interval_steps": 0}, "interval_steps must be an integer of at least 1, got 0"),
        ("percentile", {}, "scheduler percentile needs percentile: a number from 0 to 100"),
        ("percentile", {"percentile": 101}, "percentile must be a number from 0 to 100, got 101"),
        ("percentile", {"percentile": float("nan")}, "percentile must be a number from 0 to 100, got nan"),
        ("successive_halving", {"min_resource": "aut"}, "min_resource must be an integer of at least 1, or auto, got 'aut'"),
        ("successive_halving", {"reduction_factor": 1}, "reduction_factor must be an integer of at least 2, got 1"),
        ("hyperband", {"min_resource": 21}, "min_resource must be at most max_resource (20), got 21"),
        ("hyperband", {"min_resource": 0}, "min_resource must be an integer of at least 1, got 0"),
        ("threshold", {}, "scheduler threshold needs lower or upper: a number"),
        ("threshold", {"lower": 2, "upper": 1}, "lower must not be above upper, got 2 and 1"),
        ("patient", {}, "scheduler patient needs patience: an integer of at least 0"),
        ("patient", {"patience": 2, "wrapped_pruner": "medain"}, "unknown scheduler 'medain'"),
        ("patient", {"patience": 2, "wrapped_pruner": "patient"}, "cannot wrap 'patient'"),
        ("patient", {"patience": 2, "wrapped_pruner": 3}, "wrapped_pruner must be a scheduler, or null, got 3"),
        ("patient", {"patience": 2, "wrapped_pruner": {"n_warmup_steps": 3}}, "must be a name or have a `kind`"),
        ("patient", {"patience": 2, "wrapped_pruner": {"kind": "median", "warmup": 3}}, "unknown option of scheduler median 'warmup'"),
        ("wilcoxon", {"p_threshold": 2}, "p_threshold must be a number from 0 to 1, got 2"),
    ],
)
def test_what_is_wrong_with_a_scheduler(scheduler, options, message):
    with pytest.raises(InputError) as caught:
        check_search(INFINITE, ONE, **{**DEFAULTS, "scheduler": scheduler, "scheduler_options": options})
    assert message in str(caught.value)


def test_a_scheduler_for_several_objectives_is_refused():
    with pytest.raises(InputError, match=r"one objective, and there are 2 \(val_accuracy, parameters\); use none"):
        check_search(INFINITE, TWO, **{**DEFAULTS, "scheduler": "median"})


def test_a_grid_too_large_to_lay_out_is_refused():
    with pytest.raises(InputError, match="1,000,000 configurations"):
        check_search(SearchSpace({"a": Int(1, 1000), "b": Int(1, 1000)}), ONE, **{**DEFAULTS, "sampler": "grid"})


def test_every_option_that_passes_the_check_passes_optuna(make, flat, acc):
    """Whatever an option's smallest allowed value is, Optuna takes it."""
    for name, entry in SAMPLERS.items():
        if name == "grid":
            continue
        for option, known in entry.options.items():
            value = known.words[0] if known.words else False if known.kind == "boolean" else int(known.low)
            assert make(flat, acc, sampler=name, sampler_options={option: value}, scheduler="none")
    for name, entry in SCHEDULERS.items():
        for option, known in entry.options.items():
            needed = dict.fromkeys(entry.required, 3) | ({"lower": 0.0} if name == "threshold" else {})
            value = known.words[0] if known.words else int(known.low)
            if (name, option) == ("threshold", "lower"):
                continue
            assert make(flat, acc, scheduler=name, scheduler_options={**needed, option: value})


def test_checking_and_importing_is_cheap():
    """Nothing heavy is imported until a search is made, and torch only by the Gaussian process."""
    script = """
import sys
from hpsearch.search import SAMPLERS, SCHEDULERS, OptunaSearch, check_search
from hpsearch.space import Float, SearchSpace
from hpsearch.trial import Objective
arguments = dict(sampler="tpe", sampler_options={}, scheduler="median", scheduler_options={}, seed=0, max_steps=9, trials=9)
space, objectives = SearchSpace({"x": Float(0.0, 1.0)}), (Objective("a", "maximize"),)
check_search(space, objectives, **arguments)
assert not {"optuna", "torch", "numpy"} & sys.modules.keys(), sys.modules.keys()
from hpsearch.search.history import History
OptunaSearch(space, objectives, **arguments).propose(History(objectives))
assert "optuna" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
