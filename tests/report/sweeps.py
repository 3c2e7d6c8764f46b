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
    """The events of a trial whose val_accuracy was `values`; `parameters`, `reason`, `place` and `metrics` may be given."""
    parameters = more.get("parameters", {"learning_rate": 0.01, "hidden_units": 32, "num_layers": 1, "dropout": 0.0, "optimizer": "adamw"})
    reports = [Reported(number, 1, step, {"val_accuracy": value, **more.get("metrics", {})}, 0.1) for step, value in enumerate(values, 1)]
    return [
        TrialCreated(number, kind, parameters, number, 20),
        Assigned(number, 1, more.get("place", "worker-1"), 20),
        Begun(number, 1, "host:1", 0),
        *reports,
        Ended(number, 1, end, more.get("reason")),
    ]
