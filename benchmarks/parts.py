"""What single decisions gain: each part beside what it stands in for, in one go: `python -m benchmarks.parts`. See docs/decisions/."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

REPORTS = 10
"""Of each trial that is written to a store."""


def ledger_trials_per_s(folder: Path, trials: int = 200) -> float:
    """Our ledger on SQLite, each event committed by itself."""
    from hpsearch import ledger
    from hpsearch.events import Assigned, Begun, Ended, Reported, TrialCreated
    from hpsearch.trial import TrialKind, TrialState

    parameters = dict.fromkeys("abcde", 0.5)
    with contextlib.closing(ledger.open(f"sqlite:///{folder / 'ledger.db'}")) as opened:
        sweep = opened.create("parts", {}, [])
        lease = opened.acquire(sweep.id, "controller", ledger.holder(), 60)
        began = time.perf_counter()
        for number in range(trials):
            created = TrialCreated(number, TrialKind.SEARCH, parameters, number, REPORTS, proposed=True)
            opened.commit(lease, [created, Assigned(number, 1, "place", REPORTS)])
            opened.commit(lease, [Begun(number, 1, "worker", 0)])
            for step in range(1, REPORTS + 1):
                opened.commit(lease, [Reported(number, 1, step, {"val_loss": 0.5}, 0.01)])
            opened.commit(lease, [Ended(number, 1, TrialState.COMPLETED)])
        return trials / (time.perf_counter() - began)


def optuna_trials_per_s(folder: Path, trials: int = 20) -> float:
    """Optuna's own store on SQLite, with its random sampler."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{folder / 'optuna.db'}", sampler=optuna.samplers.RandomSampler())
    began = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        for name in "abcde":
            trial.suggest_float(name, 0, 1)
        for step in range(1, REPORTS + 1):
            trial.report(0.5, step)
        study.tell(trial, 0.5)
    return trials / (time.perf_counter() - began)


def update_us(optimizer: Callable[[Any], Callable[[], None]], depth: int, width: int) -> float:
    """Microseconds for one update of an MLP's parameters, gradients given; one thread."""
    import torch

    from benchmarks.workload import build

    torch.set_num_threads(1)
    network = build({"depth": depth, "width": width, "dropout": 0.0})
    step = optimizer(network)
    network(torch.randn(64, 64)).square().mean().backward()
    times = []
    for _ in range(400):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return median(times) * 1e6


def torch_adamw(network: Any) -> Callable[[], None]:
    """As torch does it by default: parameter by parameter."""
    import torch

    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    return lambda: optimizer.step()


def flat_adamw(network: Any) -> Callable[[], None]:
    """As hpsearch does it: on one vector."""
    import torch

    from hpsearch.training.flat import FlatParameters
    from hpsearch.training.optimizers import Settings, adamw, initial_state

    flat = FlatParameters(network, torch.device("cpu"))
    state = initial_state("adamw", flat.values)
    settings = Settings(momentum=0.0, nesterov=False, weight_decay=0.01, decayed=flat.decayed)

    def step() -> None:
        with torch.no_grad():
            adamw(flat.values, flat.gradient, state, 1e-3, 1, settings)

    return step


def fork_ms(folder: Path) -> float:
    """Milliseconds until a worker has been forked from our server, once that has imported torch."""
    from hpsearch.executors.forkserver import ForkServer

    server = ForkServer(("hpsearch.training.preload",), folder / "log")
    server.start()
    times = []
    for _ in range(11):
        began = time.perf_counter()
        pid, pipe = server.fork()
        times.append(time.perf_counter() - began)
        pipe.close()
        server.end(pid)
    server.stop()
    return median(times) * 1e3


def spawn_ms() -> float:
    """Milliseconds for a new interpreter that imports the same."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import hpsearch.training.preload"], check=True)
        times.append(time.perf_counter() - began)
    return median(times) * 1e3


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hpsearch-parts-") as name:
        folder = Path(name)
        ours, theirs = ledger_trials_per_s(folder), optuna_trials_per_s(folder)
        print(f"{REPORTS} reports a trial, written to SQLite: ledger {ours:.0f} trials/s, Optuna {theirs:.1f}: {ours / theirs:.0f} times")
        for depth, width in ((1, 32), (3, 32), (3, 128)):
            flat, plain = update_us(flat_adamw, depth, width), update_us(torch_adamw, depth, width)
            print(f"AdamW, {depth} hidden x {width}: one vector {flat:.0f} us, torch.optim {plain:.0f} us: {plain / flat:.1f} times")
        forked, spawned = fork_ms(folder), spawn_ms()
        print(f"a worker process: forked {forked:.0f} ms, spawned {spawned:.0f} ms: {spawned / forked:.0f} times")


if __name__ == "__main__":
    main()
