"""The limit: the workload in two bare processes, random configurations, nothing kept: `python -m benchmarks.bare TRIALS WORKERS`.

Prints a line of JSON: seconds of training, from the moment when all processes are ready.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np

from benchmarks.workload import draw, train


def get_ready(barrier: Barrier) -> None:
    """Import torch, read the data, and train one epoch: the first costs more than the others."""
    list(train(draw(np.random.default_rng(0)), epochs=1))
    barrier.wait()


def best_accuracy(parameters: dict[str, Any]) -> float:
    """One trial."""
    return max(metrics["val_accuracy"] for metrics in train(parameters))


def main(trials: int, workers: int) -> None:
    """Run it."""
    random = np.random.default_rng(0)
    configurations = [draw(random) for _ in range(trials)]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers + 1)
    with context.Pool(workers, get_ready, (barrier,)) as pool:
        barrier.wait()
        began = time.perf_counter()
        best = max(pool.map(best_accuracy, configurations, chunksize=1))
        train_s = time.perf_counter() - began
    print(json.dumps({"trials": trials, "train_s": train_s, "best": best}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
