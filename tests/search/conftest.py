"""Sweeps made up at random: whatever can happen to a trial happens in them, and the search is asked as a controller asks it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hpsearch.events import Answered, Assigned, Begun, Body, Ended, Event, Reported, TrialCreated
from hpsearch.search.history import History
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.space import Categorical, Float, Int, SearchSpace
from hpsearch.trial import Continue, Done, Objective, Start, Stop, TrialKind, TrialState

ACCURACY = (Objective("acc", "maximize"),)
LOSS = (Objective("loss", "minimize"),)
NETWORK = SearchSpace(
    {
        "learning_rate": Float(1e-5, 0.1, log=True),
        "num_layers": Int(1, 4),
        "optimizer": Categorical(("adamw", "sgd")),
        "momentum": Float(0.5, 0.99, when={"optimizer": ("sgd",)}),
        "nesterov": Categorical((True, False), when={"optimizer": ("sgd",)}),
        "hidden": Categorical(([64, 64], [128], [])),
    },
    {"activation": "relu"},
)
FLAT = SearchSpace({"x": Float(-5.0, 5.0), "y": Float(-5.0, 5.0), "n": Int(1, 9)})

Quality = dict[int, float]


class Ledger:
    """Events in order, and the history folded from them."""

    def __init__(self, objectives: tuple[Objective, ...]) -> None:
        self.events: list[Event] = []
        self.history = History(objectives)

    def add(self, *bodies: Body) -> None:
        new = [Event(len(self.events) + i, len(self.events) + i, body) for i, body in enumerate(bodies, 1)]
        self.events += new
        self.history = self.history.apply(new)

    def start(self, start: Start, kind: TrialKind = TrialKind.SEARCH, state: TrialState = TrialState.WAITING) -> int:
        number = len(self.history)
        proposed = kind == TrialKind.SEARCH
        self.add(
            TrialCreated(
                number, kind, start.parameters, number, start.until_step, state, proposed=proposed, search_state=start.search_state
            )
        )
        return number

    def run(self, number: int) -> None:
        record = self.history.trials[number]
        self.add(Assigned(number, record.attempt + 1, "a", record.until_step), Begun(number, record.attempt + 1, "w", record.step))

    def report(self, search: OptunaSearch, number: int, metrics: Mapping[str, float]) -> Continue | Stop:
        record = self.history.trials[number]
        reported = Reported(number, record.attempt, record.step + 1, metrics, 0.1)
        self.add(reported)
        answer = search.judge(self.history, reported)
        if answer != Continue(record.until_step):
            stop = isinstance(answer, Stop)
            self.add(
                Answered(
                    number, reported.step, "stop" if stop else "continue", "search", None if stop else answer.until_step,
                    answer.reason if stop else None, answer.search_state,
                )
            )  # fmt: skip
        return answer

    def end(self, number: int, state: TrialState, reason: str | None = None) -> None:
        self.add(Ended(number, self.history.trials[number].attempt, state, reason))

    def complete(self, parameters: Mapping[str, Any], *values: float, metric: str = "loss", until_step: int | None = None) -> int:
        """A whole trial that reports `values`, step by step, with nobody asked."""
        number = self.start(Start(parameters, until_step or len(values)))
        self.run(number)
        for step, value in enumerate(values, 1):
            self.add(Reported(number, 1, step, {metric: value}, 0.1))
        self.end(number, TrialState.COMPLETED)
        return number


def story(search: OptunaSearch, space: SearchSpace, objectives: tuple[Objective, ...], trials: int, max_steps: int, seed: int) -> Ledger:
    """A sweep with up to four trials under way at a time, in which everything goes wrong now and then."""
    rng = random.Random(seed)
    ledger = Ledger(objectives)
    quality: Quality = {}
    while True:
        records = list(ledger.history)
        running = [r.number for r in records if r.state == TrialState.RUNNING]
        waiting = [r.number for r in records if r.state in (TrialState.WAITING, TrialState.PAUSED)]
        if len(records) >= trials and not running and not waiting:
            return ledger
        if waiting and rng.random() < 0.5:
            ledger.run(rng.choice(waiting))
        elif len(records) < trials and len(running) < 4 and rng.random() < 0.4:
            _create(ledger, search, space, rng, max_steps, quality)
        elif running:
            _go_on(ledger, search, rng, rng.choice(running), quality, max_steps)


def _create(ledger: Ledger, search: OptunaSearch, space: SearchSpace, rng: random.Random, max_steps: int, quality: Quality) -> None:
    quality[len(ledger.history)] = rng.random() + 1
    if rng.random() < 0.1 and ledger.history.trials:
        kind = rng.choice([TrialKind.BASELINE, TrialKind.RETEST])
        ledger.start(Start(rng.choice(list(ledger.history)).parameters, max_steps), kind)
        return
    proposal = search.propose(ledger.history)
    if isinstance(proposal, Done):
        ledger.start(Start(ledger.history.trials[0].parameters, max_steps), TrialKind.RETEST)
        return
    space.check({name: value for name, value in proposal.parameters.items() if name not in space.fixed})
    ledger.start(proposal, state=TrialState.INFEASIBLE if rng.random() < 0.1 else TrialState.WAITING)


def _go_on(ledger: Ledger, search: OptunaSearch, rng: random.Random, number: int, quality: Quality, max_steps: int) -> None:
    chance = rng.random()
    ends = [TrialState.DIVERGED, TrialState.OUT_OF_MEMORY, TrialState.TIMED_OUT, TrialState.FAILED, TrialState.CANCELLED]
    if chance < 0.06:
        ledger.end(number, rng.choice(ends), "bad luck")
    elif chance < 0.12:
        ledger.end(number, rng.choice([TrialState.WAITING, TrialState.PAUSED]))
    else:
        step = ledger.history.trials[number].step + 1
        value = quality[number] * (1 - 0.6**step) + rng.gauss(0, 0.02)
        if rng.random() < 0.03:
            value = rng.choice([float("nan"), float("inf")])
        metrics = {o.metric: value if o.goal == "maximize" else 2 - value for o in ledger.history.objectives}
        answer = ledger.report(search, number, metrics if rng.random() > 0.03 else {"other": 1.0})
        if isinstance(answer, Stop):
            ledger.end(number, TrialState.PRUNED, answer.reason)
        elif step == max_steps:
            ledger.end(number, TrialState.COMPLETED)


Make = Callable[..., OptunaSearch]


def make_search(space: SearchSpace = NETWORK, objectives: tuple[Objective, ...] = ACCURACY, **changes: Any) -> OptunaSearch:
    defaults = {
        "sampler": "random", "sampler_options": {}, "scheduler": "none", "scheduler_options": {}, "seed": 7, "max_steps": 9, "trials": 60,
    }  # fmt: skip
    return OptunaSearch(space, objectives, **{**defaults, **changes})


@pytest.fixture
def make() -> Make:
    return make_search


@pytest.fixture
def ledger() -> type[Ledger]:
    return Ledger


@pytest.fixture
def tell() -> Callable[..., Ledger]:
    return story


@pytest.fixture
def network() -> SearchSpace:
    return NETWORK


@pytest.fixture
def flat() -> SearchSpace:
    return FLAT


@pytest.fixture
def grid_space() -> SearchSpace:
    """Seven configurations: three with adamw, two times two with sgd."""
    return SearchSpace(
        {
            "optimizer": Categorical(("adamw", "sgd")),
            "momentum": Float(0.5, 0.75, step=0.25, when={"optimizer": ("sgd",)}),
            "beta": Categorical((0.9, 0.99, 0.999), when={"optimizer": ("adamw",)}),
            "nesterov": Categorical((True, False), when={"optimizer": ("sgd",)}),
        },
        {"num_layers": 2},
    )


@pytest.fixture
def acc() -> tuple[Objective, ...]:
    return ACCURACY


@pytest.fixture
def loss() -> tuple[Objective, ...]:
    return LOSS
