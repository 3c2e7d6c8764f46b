"""Sweeps that happened, written into a ledger without a controller: their numbers are drawn here, and nowhere computed by the package."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

from hpsearch.config import SweepConfig
from hpsearch.events import Answered, Assigned, Begun, Body, Ended, Reported, SweepClosed, SweepOpened, TrialCreated
from hpsearch.ledger.face import Ledger, Sweep
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.trial import TrialKind, TrialState

S = TrialState

SPACE = {
    "learning_rate": {"min": 1e-5, "max": 0.1, "log": True},
    "hidden_units": {"min": 16, "max": 256, "log": True},
    "num_layers": {"min": 1, "max": 4},
    "dropout": {"min": 0.0, "max": 0.6},
    "optimizer": {"values": ["adamw", "sgd"]},
    "momentum": {"min": 0.5, "max": 0.99, "when": {"optimizer": "sgd"}},
}


def config(name: str = "digits", **changes: Any) -> dict[str, Any]:
    """As the ledger keeps it."""
    asked = {
        "name": name,
        "task": {"kind": "classification", "data": "digits", "model": "mlp"},
        "objective": {"metric": "val_accuracy", "goal": "maximize"},
        "space": SPACE,
        "baseline": [{"learning_rate": 0.001, "hidden_units": 128, "num_layers": 1, "dropout": 0.0, "optimizer": "adamw"}],
        "training": {"epochs": 20},
        "budget": {"trials": 2000},
        **changes,
    }
    return SweepConfig.from_json(asked).to_json()


class Ticking:
    """A ledger's clock that a test sets."""

    def __init__(self) -> None:
        self.now_ms = 1_790_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def a_ledger() -> tuple[MemoryLedger, Ticking]:
    clock = Ticking()
    return MemoryLedger(clock), clock


def drawn(random_: random.Random) -> dict[str, Any]:
    """A configuration of the space."""
    chosen = {
        "learning_rate": 10 ** random_.uniform(-5, -1),
        "hidden_units": round(2 ** random_.uniform(4, 8)),
        "num_layers": random_.randint(1, 4),
        "dropout": random_.uniform(0, 0.6),
        "optimizer": random_.choice(["adamw", "sgd"]),
    }
    return chosen | ({"momentum": random_.uniform(0.5, 0.99)} if chosen["optimizer"] == "sgd" else {})


def accuracy(parameters: dict[str, Any]) -> float:
    """Best near a learning rate of 0.003; the number of units counts less, and the rest for nothing."""
    away = (math.log10(parameters["learning_rate"]) + 2.5) / 1.5
    return 0.97 - 0.25 * min(1.0, away**2) - 0.02 * (parameters["hidden_units"] < 48)


def trial_events(number: int, random_: random.Random, epochs: int) -> Iterator[Body]:
    """One trial, on one of four workers."""
    parameters = drawn(random_)
    kind = TrialKind.BASELINE if number == 0 else TrialKind.SEARCH
    end = S.COMPLETED if number < 6 else random_.choices([S.COMPLETED, S.PRUNED, S.DIVERGED, S.FAILED], [45, 50, 3, 2])[0]
    steps = epochs if end is S.COMPLETED else random_.randint(2, epochs // 2)
    reason = {S.PRUNED: "below the median", S.DIVERGED: f"val_loss is nan at step {steps}", S.FAILED: "ValueError: no such file"}.get(end)
    yield TrialCreated(number, kind, parameters, number, epochs)
    yield Assigned(number, 1, f"worker-{number % 4 + 1}", epochs)
    yield Begun(number, 1, f"host:{number % 4}", 0)
    final = accuracy(parameters)
    for step in range(1, steps + 1):
        learned = 1 - math.exp(-step / 4)
        value = 0.1 + (final - 0.1) * learned + random_.gauss(0, 0.004)
        metrics = {"train_loss": 2.3 * (1 - learned) + 0.05, "val_loss": 2.3 * (1 - learned) + 0.1, "val_accuracy": value}
        yield Reported(number, 1, step, metrics, 0.1)
    if end is S.PRUNED:
        yield Answered(number, steps, "stop", "search", reason=reason)
    yield Ended(number, 1, end, reason)


def fill(
    ledger: Ledger, clock: Ticking | None, trials: int, name: str = "digits", epochs: int = 20, seed: int = 0, **changes: Any
) -> Sweep:
    """A whole sweep, with the same numbers for the same seed; each trial takes half a second where the clock is ours."""
    random_ = random.Random(seed)
    sweep = ledger.create(name, config(name, training={"epochs": epochs}, **changes), [])
    lease = ledger.acquire(sweep.id, "controller", "somebody", 3600)
    ledger.commit(lease, [SweepOpened("somebody")])
    for number in range(trials):
        bodies = list(trial_events(number, random_, epochs))
        ledger.commit(lease, bodies[:3])
        if clock is not None:
            clock.now_ms += 500
        ledger.commit(lease, bodies[3:])
    ledger.commit(lease, [SweepClosed("completed")])
    ledger.release(lease)
    return ledger.find(name)


def trial(number: int, *values: float, kind: TrialKind = TrialKind.SEARCH, end: TrialState = S.COMPLETED, **more: Any) -> list[Body]:
    """The events of a trial whose val_accuracy was `values`; `parameters`, `reason`, `place`, `parent` and `metrics` may be given."""
    parameters = more.get("parameters", {"learning_rate": 0.01, "hidden_units": 32, "num_layers": 1, "dropout": 0.0, "optimizer": "adamw"})
    reports = [Reported(number, 1, step, {"val_accuracy": value, **more.get("metrics", {})}, 0.1) for step, value in enumerate(values, 1)]
    return [
        TrialCreated(number, kind, parameters, number, 20, parent=more.get("parent")),
        Assigned(number, 1, more.get("place", "worker-1"), 20),
        Begun(number, 1, "host:1", 0),
        *reports,
        Ended(number, 1, end, more.get("reason")),
    ]


PARAMETERS = (
    {"min": 0.0, "max": 1.0}, {"min": 1e-9, "max": 1e9, "log": True}, {"min": 1, "max": 3}, {"min": 1, "max": 100_000, "log": True},
    {"values": ["a", [1, 2], None, True, 3.5]}, {"values": list(range(200))}, {"min": 0.0, "max": 1.0, "step": 0.25},
)  # fmt: skip


def wild(seed: int) -> MemoryLedger:
    """A ledger with a sweep `wild` of any space, in which anything has happened."""
    chance = random.Random(seed)
    space: dict[str, Any] = {f"p{i}": chance.choice(PARAMETERS) for i in range(chance.choice([0, 1, 2, 3, 30]))}
    objectives = [
        {"metric": "val_accuracy", "goal": "maximize", "at": chance.choice(["last", "best"])},
        {"metric": "val_loss", "goal": "minimize"},
        {"metric": "size", "goal": "maximize"},
    ]
    ledger, clock = a_ledger()
    asked = config("wild", space={**space, "fixed": 3}, baseline=[], objective=objectives[: chance.choice([1, 1, 2, 3])])
    lease = ledger.acquire(ledger.create("wild", asked, []).id, "controller", "somebody", 3600)
    ledger.commit(lease, [SweepOpened("somebody")])
    for number in range(chance.choice([0, 1, 2, 12, 40])):
        for body in anything(number, {name: anywhere(chance, parameter) for name, parameter in space.items()}, chance):
            ledger.commit(lease, [body])
            clock.now_ms += chance.randrange(1000)
    ledger.release(lease)
    return ledger


def anywhere(chance: random.Random, parameter: dict[str, Any]) -> Any:
    if "values" in parameter:
        return chance.choice(parameter["values"])
    if "step" in parameter:
        return chance.randrange(5) * 0.25
    if isinstance(parameter["min"], int):
        return chance.randint(parameter["min"], parameter["max"])
    return 10 ** chance.uniform(-9, 9) if parameter.get("log") else chance.uniform(0, 1)


def anything(number: int, parameters: dict[str, Any], chance: random.Random) -> Iterator[Body]:
    """A trial that goes as far as it goes, with metrics that may be any number or missing."""
    kind = chance.choice([TrialKind.SEARCH] * 5 + [TrialKind.BASELINE, TrialKind.RETEST])
    end = chance.choice([S.COMPLETED] * 6 + [state for state in S if state is not S.COMPLETED])
    if end is S.INFEASIBLE:
        yield TrialCreated(number, kind, parameters, number, 20, end, "parameters: 9 > 5")
        return
    yield TrialCreated(number, kind, parameters, number, 20)
    if end is S.WAITING:
        return
    yield Assigned(number, 1, f"worker-{number % 3}", 20)
    if chance.random() < 0.9:
        yield Begun(number, 1, "host", 0)
        odd = [math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0]
        for step in range(1, chance.randint(1, 7)):
            metrics = {name: chance.choice([chance.random(), 0.5, *odd]) for name in ("val_accuracy", "val_loss", "train_loss", "size")}
            yield Reported(number, 1, step, {name: value for name, value in metrics.items() if chance.random() < 0.9}, 0.1)
    if end is not S.RUNNING:
        yield Ended(number, 1, end, chance.choice([None, "", "\n", "x 1"]))
