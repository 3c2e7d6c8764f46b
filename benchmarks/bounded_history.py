"""What TPE loses and gains by seeing a bounded part of a long history: `python -m benchmarks.bounded_history [--trials 1500] [--seeds 5]`.

First the time of one proposal (CPU time, median of 15), then the best value found on four functions, the median over the seeds.
`all` is plain TPE, which sees every trial. The figures in docs/decisions/bounded-history.md come from here.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

from hpsearch.events import Assigned, Body, Ended, Event, Reported, TrialCreated
from hpsearch.search import SAMPLERS, OptunaSearch
from hpsearch.search.history import History
from hpsearch.space import Categorical, Float, Int, SearchSpace
from hpsearch.trial import Objective, TrialKind, TrialState

LOSS = (Objective("loss", "minimize"),)
ALL = 10**9
Values = list[float]


def _floats(count: int, low: float, high: float) -> SearchSpace:
    return SearchSpace({f"x{i}": Float(low, high) for i in range(count)})


DIGITS = SearchSpace(
    {
        "learning_rate": Float(1e-5, 0.1, log=True),
        "batch_size": Categorical((32, 64, 128)),
        "num_layers": Int(1, 4),
        "hidden_units": Int(16, 256, log=True),
        "dropout": Float(0.0, 0.6),
        "optimizer": Categorical(("adamw", "sgd")),
        "momentum": Float(0.5, 0.99, when={"optimizer": ("sgd",)}),
    }
)


def sphere(x: Values) -> float:
    return sum((v - 1.3) ** 2 for v in x)


def rosenbrock(x: Values) -> float:
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def ackley(x: Values) -> float:
    """Many local minima around one valley, moved off the centre."""
    shifted = [v - 1.3 for v in x]
    norm = math.sqrt(sum(v * v for v in shifted) / len(x))
    waves = sum(math.cos(2 * math.pi * v) for v in shifted) / len(x)
    return 20 + math.e - 20 * math.exp(-0.2 * norm) - math.exp(waves)


_A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
_P = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]


def hartmann(x: Values) -> float:
    """Hartmann's function of six variables, above its minimum of -3.32237."""
    exponents = [sum(a * (v - p) ** 2 for a, v, p in zip(ra, x, rp, strict=True)) for ra, rp in zip(_A, _P, strict=True)]
    return 3.32237 - sum(alpha * math.exp(-e) for alpha, e in zip((1.0, 1.2, 3.0, 3.2), exponents, strict=True))


FUNCTIONS: dict[str, tuple[Callable[[Values], float], SearchSpace]] = {
    "sphere": (sphere, _floats(5, -5.0, 5.0)),
    "rosenbrock": (rosenbrock, _floats(4, -2.0, 2.0)),
    "ackley": (ackley, _floats(5, -5.0, 5.0)),
    "hartmann": (hartmann, _floats(6, 0.0, 1.0)),
}


@contextmanager
def seeing(most: int) -> Iterator[None]:
    """TPE is shown at most so many finished trials."""
    entry = SAMPLERS["tpe"]
    SAMPLERS["tpe"] = replace(entry, sees=most)  # type: ignore[index]
    try:
        yield
    finally:
        SAMPLERS["tpe"] = entry  # type: ignore[index]


def search(space: SearchSpace, sampler: str, seed: int) -> OptunaSearch:
    return OptunaSearch(
        space, LOSS, sampler=sampler, sampler_options={}, scheduler="none", scheduler_options={}, seed=seed, max_steps=1, trials=None
    )


def trial(history: History, parameters: dict, value: float) -> History:
    number = len(history)
    bodies: list[Body] = [
        TrialCreated(number, TrialKind.SEARCH, parameters, number, 1),
        Assigned(number, 1, "a", 1),
        Reported(number, 1, 1, {"loss": value}, 0.1),
        Ended(number, 1, TrialState.COMPLETED),
    ]
    return history.apply(Event(history.seq + i, history.seq + i, body) for i, body in enumerate(bodies, 1))


def best_found(function: Callable[[Values], float], space: SearchSpace, seed: int, trials: int) -> float:
    tpe, history, best = search(space, "tpe", seed), History(LOSS), math.inf
    for _ in range(trials):
        parameters = dict(tpe.propose(history).parameters)
        value = function(list(parameters.values()))
        best = min(best, value)
        history = trial(history, parameters, value)
    return best


def proposal_ms(space: SearchSpace, trials: int) -> float:
    """One new trial and one proposal, after `trials` random ones."""
    rng, sampler, history = random.Random(0), search(space, "random", 0), History(LOSS)
    for _ in range(trials):
        history = trial(history, dict(sampler.propose(history).parameters), rng.random())
    tpe, took = search(space, "tpe", 0), []
    for _ in range(16):
        begun = time.process_time()
        proposed = tpe.propose(history)
        took.append(time.process_time() - begun)
        history = trial(history, dict(proposed.parameters), rng.random())
    return statistics.median(took[1:]) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sees", type=int, nargs="+", default=[100, 250, SAMPLERS["tpe"].sees, ALL])
    arguments = parser.parse_args()
    print("milliseconds a proposal")
    for trials in (100, 400, 2000, 20000):
        for name, space in (("5 floats", FUNCTIONS["sphere"][1]), ("digits", DIGITS)):
            for most in arguments.sees:
                if most != ALL or trials <= 2000:
                    with seeing(most):
                        print(f"{trials:6d} trials  {name:9s} sees {_named(most):>5s}  {proposal_ms(space, trials):6.1f}", flush=True)
    print(f"best of {arguments.trials} trials")
    for name, (function, space) in FUNCTIONS.items():
        for most in arguments.sees:
            with seeing(most):
                found = sorted(best_found(function, space, seed, arguments.trials) for seed in range(arguments.seeds))
            print(
                f"{name:11s} sees {_named(most):>5s}  median {statistics.median(found):.3g}  from {found[0]:.3g} to {found[-1]:.3g}",
                flush=True,
            )


def _named(most: int) -> str:
    return "all" if most == ALL else str(most)


if __name__ == "__main__":
    main()
