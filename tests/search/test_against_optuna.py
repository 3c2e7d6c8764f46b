"""Plain Optuna, driven as its own documentation does it, proposes and prunes the same."""

from __future__ import annotations

import random
import warnings

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState as Told

from hpsearch.events import Reported
from hpsearch.space import Categorical, Float, Int, SearchSpace
from hpsearch.trial import Continue, Objective, Start, Stop, TrialState, derive_seed

optuna.logging.set_verbosity(optuna.logging.ERROR)
DISTRIBUTIONS = {
    "learning_rate": FloatDistribution(1e-5, 0.1, log=True),
    "num_layers": IntDistribution(1, 4),
    "optimizer": CategoricalDistribution(["adamw", "sgd"]),
    "momentum": FloatDistribution(0.5, 0.99),
    "nesterov": CategoricalDistribution([True, False]),
}
FINAL = [TrialState.COMPLETED, TrialState.COMPLETED, TrialState.PRUNED, TrialState.INFEASIBLE, TrialState.FAILED, TrialState.RUNNING]


@pytest.fixture
def plain_space():
    only_sgd = {"optimizer": ("sgd",)}
    return SearchSpace(
        {
            "learning_rate": Float(1e-5, 0.1, log=True),
            "num_layers": Int(1, 4),
            "optimizer": Categorical(("adamw", "sgd")),
            "momentum": Float(0.5, 0.99, when=only_sgd),
            "nesterov": Categorical((True, False), when=only_sgd),
        }
    )


def draw(rng: random.Random) -> dict:
    chosen = {"learning_rate": 10 ** rng.uniform(-5, -1), "num_layers": rng.randint(1, 4), "optimizer": rng.choice(["adamw", "sgd"])}
    if chosen["optimizer"] == "sgd":
        chosen |= {"momentum": rng.uniform(0.5, 0.99), "nesterov": rng.random() < 0.5}
    return chosen


def tell_plain(study: optuna.Study, parameters: dict, state: TrialState, values: list[float]) -> None:
    told = {TrialState.COMPLETED: Told.COMPLETE, TrialState.FAILED: Told.FAIL, TrialState.RUNNING: Told.RUNNING}.get(state, Told.PRUNED)
    trial = optuna.trial.create_trial(
        state=told,
        value=values[-1] if told == Told.COMPLETE else None,
        params=parameters,
        distributions={name: DISTRIBUTIONS[name] for name in parameters},
        intermediate_values={} if state == TrialState.INFEASIBLE else dict(enumerate(values, 1)),
        constraints={"any": 1.0} if state == TrialState.INFEASIBLE else None,
    )
    study.add_trial(trial)


def tell_ours(ledger, parameters: dict, state: TrialState, values: list[float]) -> None:
    if state == TrialState.INFEASIBLE:
        ledger.start(Start(parameters, 9), state=state)
        return
    number = ledger.start(Start(parameters, 9))
    ledger.run(number)
    for step, value in enumerate(values, 1):
        ledger.add(Reported(number, 1, step, {"acc": value}, 0.1))
    if state != TrialState.RUNNING:
        ledger.end(number, state)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("states", [FINAL, [TrialState.PRUNED, TrialState.INFEASIBLE, TrialState.RUNNING]])
def test_tpe_proposes_what_plain_tpe_proposes(seed, states, make, ledger, acc, plain_space):
    rng = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        number = 40
        sampler = optuna.samplers.TPESampler(seed=derive_seed(11, "sampler", number), multivariate=True, group=True)
    study, ours = optuna.create_study(direction="maximize", sampler=sampler), ledger(acc)
    for _ in range(number):
        parameters, state, values = draw(rng), rng.choice(states), [rng.random() for _ in range(rng.randint(1, 4))]
        tell_plain(study, parameters, state, values)
        tell_ours(ours, parameters, state, values)
    asked = study.ask()
    expected = {"learning_rate": asked.suggest_float("learning_rate", 1e-5, 0.1, log=True)}
    expected |= {"num_layers": asked.suggest_int("num_layers", 1, 4)}
    expected |= {"optimizer": asked.suggest_categorical("optimizer", ["adamw", "sgd"])}
    if expected["optimizer"] == "sgd":
        expected |= {"momentum": asked.suggest_float("momentum", 0.5, 0.99)}
        expected |= {"nesterov": asked.suggest_categorical("nesterov", [True, False])}
    proposed = make(plain_space, sampler="tpe", seed=11).propose(ours.history)
    assert proposed == Start(expected, 9)


@pytest.mark.parametrize("options", [{}, {"n_startup_trials": 50}, {"multivariate": False}, {"n_ei_candidates": 5, "constant_liar": False}])
def test_tpe_over_a_space_without_conditions(options, make, ledger, loss, flat):
    """Here the joint space is given at once, where Optuna gathers it from the trials."""
    rng = random.Random(3)
    sampler = optuna.samplers.TPESampler(seed=derive_seed(5, "sampler", 30), **options)
    study, ours = optuna.create_study(sampler=sampler), ledger(loss)
    distributions = {"x": FloatDistribution(-5, 5), "y": FloatDistribution(-5, 5), "n": IntDistribution(1, 9)}
    for _ in range(30):
        parameters, value = {"x": rng.uniform(-5, 5), "y": rng.uniform(-5, 5), "n": rng.randint(1, 9)}, rng.random()
        study.add_trial(optuna.trial.create_trial(params=parameters, distributions=distributions, value=value))
        ours.complete(parameters, value)
    proposed = make(flat, loss, sampler="tpe", sampler_options=options, seed=5).propose(ours.history)
    assert proposed.parameters == study.ask(distributions).params


CURVES = 40
PRUNERS = [
    ("median", {}, optuna.pruners.MedianPruner()),
    ("median", {"n_warmup_steps": 3, "interval_steps": 2}, optuna.pruners.MedianPruner(n_warmup_steps=3, interval_steps=2)),
    ("percentile", {"percentile": 20, "n_min_trials": 4}, optuna.pruners.PercentilePruner(20, n_min_trials=4)),
    ("successive_halving", {"reduction_factor": 3}, optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)),
    (
        "successive_halving",
        {"min_resource": 2, "reduction_factor": 2, "min_early_stopping_rate": 1, "bootstrap_count": 2},
        optuna.pruners.SuccessiveHalvingPruner(2, 2, 1, 2),
    ),
    ("hyperband", {}, optuna.pruners.HyperbandPruner(max_resource=12)),
    ("hyperband", {"min_resource": 2, "reduction_factor": 2}, optuna.pruners.HyperbandPruner(2, 12, 2)),
    ("threshold", {"lower": 0.4, "upper": 1.7}, optuna.pruners.ThresholdPruner(0.4, 1.7)),
    ("wilcoxon", {"p_threshold": 0.2}, None),
]


@pytest.mark.slow
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize(("name", "options", "pruner"), PRUNERS, ids=lambda v: v if isinstance(v, str) else None)
@pytest.mark.filterwarnings("ignore:WilcoxonPruner finds steps")
def test_pruners_stop_the_same_trials_at_the_same_steps(name, options, pruner, goal, make, ledger):
    if pruner is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner = optuna.pruners.WilcoxonPruner(**options)
    objectives, rng, steps = (Objective("acc", goal),), random.Random(4), 12
    search = make(SearchSpace({"x": Float(0.0, 1.0)}), objectives, scheduler=name, scheduler_options=options, max_steps=steps, seed=2)
    study = optuna.create_study(direction=goal, pruner=pruner, study_name="hpsearch-2")
    ours, under_way, stopped = ledger(objectives), {}, set()
    while len(ours.history) < CURVES or under_way:
        if len(ours.history) < CURVES and len(under_way) < 3:
            number = ours.start(Start({"x": rng.random()}, steps))
            ours.run(number)
            under_way[number] = (study.ask(), rng.random() + 0.5)
        number = rng.choice(list(under_way))
        plain, quality = under_way[number]
        step = ours.history.trials[number].step + 1
        value = quality * (1 - 0.7**step) + rng.gauss(0, 0.03)
        value = value if goal == "maximize" else 2 - value
        plain.report(value, step)
        answer = ours.report(search, number, {"acc": value})
        if step == steps:  # a trial that is done is done
            study.tell(plain, value)
            ours.end(number, TrialState.COMPLETED)
        elif plain.should_prune():
            assert isinstance(answer, Stop), (number, step)
            stopped.add(number)
            study.tell(plain, state=Told.PRUNED)
            ours.end(number, TrialState.PRUNED, answer.reason)
        else:
            assert isinstance(answer, Continue), (number, step)
            continue
        del under_way[number]
    assert 0 < len(stopped) < CURVES


@pytest.mark.slow
def test_the_gaussian_process_proposes_what_plain_gp_proposes(make, ledger, loss, flat):
    rng = random.Random(3)
    sampler = optuna.samplers.GPSampler(seed=derive_seed(5, "sampler", 12))
    study, ours = optuna.create_study(sampler=sampler), ledger(loss)
    distributions = {"x": FloatDistribution(-5, 5), "y": FloatDistribution(-5, 5), "n": IntDistribution(1, 9)}
    for _ in range(12):
        parameters, value = {"x": rng.uniform(-5, 5), "y": rng.uniform(-5, 5), "n": rng.randint(1, 9)}, rng.random()
        study.add_trial(optuna.trial.create_trial(params=parameters, distributions=distributions, value=value))
        ours.complete(parameters, value)
    proposed = make(flat, loss, sampler="gp", seed=5).propose(ours.history)
    assert proposed.parameters == pytest.approx(study.ask(distributions).params)
