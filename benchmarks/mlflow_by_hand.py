"""Workers that log to MLflow themselves: `python -m benchmarks.mlflow_by_hand WAY URI WORKERS SECONDS`.

First as fast as they can, then a few of them at the pace of trainings, for so many seconds each. Prints one JSON object with both:
points, the seconds until all of them were durable, calls that failed, and how long each step's logging kept its worker.
Each worker is a process with a run of its own, forked from one that has imported MLflow.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Any

from benchmarks.talkers import METRICS, values

STEP_S = 0.01
"""Of a training whose stalls are measured: an epoch of a small network."""

TALKING = 8
"""How many such trainings go on side by side: together 800 steps a second."""

BACKLOG_STEPS = 20
"""Of each worker that logs asynchronously as fast as it can: what has not been written by then is waited for."""

STEPS_A_BATCH = 100
"""Of ten metrics: a thousand points, which is all that MLflow takes at a time."""


class OneByOne:
    """A call for each metric: `log_metric`."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._run_id = client, run_id

    def log(self, step: int) -> None:
        for name, value in values(step).items():
            self._client.log_metric(self._run_id, name, value, step=step)

    def flush(self) -> None:
        """All is written."""


class StepByStep(OneByOne):
    """A call for each step: `log_metrics`."""

    is_synchronous = True

    def log(self, step: int) -> None:
        import mlflow

        mlflow.log_metrics(values(step), step=step, run_id=self._run_id, synchronous=self.is_synchronous)


class InBatches(OneByOne):
    """A call for a hundred steps: `log_batch`."""

    def __init__(self, client: Any, run_id: str) -> None:
        super().__init__(client, run_id)
        self._points: list[Any] = []

    def log(self, step: int) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        self._points += [Metric(name, value, now_ms, step) for name, value in values(step).items()]
        if step % STEPS_A_BATCH == 0:
            self.flush()

    def flush(self) -> None:
        points, self._points = self._points, []
        if points:
            self._client.log_batch(self._run_id, metrics=points)


class Asynchronously(StepByStep):
    """The same call, which returns before anything is written."""

    is_synchronous = False

    def flush(self) -> None:
        import mlflow

        mlflow.flush_async_logging()


WAYS: dict[str, Callable[[Any, str], OneByOne]] = {
    "log_metric": OneByOne,
    "log_metrics": StepByStep,
    "log_batch": InBatches,
    "asynchronous": Asynchronously,
}


@dataclass(frozen=True)
class Load:
    """What workers do side by side."""

    way: str
    uri: str
    workers: int
    seconds: float
    step_s: float = 0.0
    most_steps: int = 10**9


def _work(load: Load, run_id: str, number: int, ready: Barrier, said: SimpleQueue[dict[str, Any]]) -> None:
    try:
        said.put(_worked(load, run_id, number, ready))
    except BaseException as error:  # the others would be waited for in vain
        ready.abort()
        said.put({"error": f"{type(error).__name__}: {error}"})


def _worked(load: Load, run_id: str, number: int, ready: Barrier) -> dict[str, Any]:
    import mlflow

    mlflow.set_tracking_uri(load.uri)
    client = mlflow.MlflowClient(load.uri)
    client.get_run(run_id)  # connects
    logger = WAYS[load.way](client, run_id)
    ready.wait()
    began, stalls, failed, step = time.perf_counter(), [], 0, 0
    time.sleep(load.step_s * number / load.workers)
    while step < load.most_steps and time.perf_counter() - began < load.seconds:
        time.sleep(load.step_s)
        step += 1
        before = time.perf_counter()
        try:
            logger.log(step)
        except Exception as error:  # SQLite may be locked for too long, for example
            failed += 1
            print(f"{type(error).__name__}: {error}"[:300], file=sys.stderr)
        stalls.append(time.perf_counter() - before)
    logger.flush()
    return {"steps": step, "failed": failed, "began": began, "ended": time.perf_counter(), "stalls": stalls}


def measured(load: Load) -> dict[str, Any]:
    """What the workers came to together."""
    fork = multiprocessing.get_context("fork")
    ready, said = fork.Barrier(load.workers), fork.SimpleQueue()
    processes = [fork.Process(target=_work, args=(load, run, i, ready, said)) for i, run in enumerate(_runs(load))]
    for process in processes:
        process.start()
    heard = [said.get() for _ in processes]
    for process in processes:
        process.join()
    if errors := [h["error"] for h in heard if "error" in h]:
        sys.exit(errors[0])
    return {
        "points": sum(h["steps"] - h["failed"] for h in heard) * len(METRICS),
        "seconds": max(h["ended"] for h in heard) - min(h["began"] for h in heard),
        "failed": sum(h["failed"] for h in heard),
        "stalls": [stall for h in heard for stall in h["stalls"]],
    }


def _runs(load: Load) -> list[str]:
    """A new run for each worker, made in a process of its own: a connection must not be forked."""
    fork = multiprocessing.get_context("fork")
    found: SimpleQueue[list[str]] = fork.SimpleQueue()
    maker = fork.Process(target=_make_runs, args=(load, found))
    maker.start()
    made = found.get()
    maker.join()
    return made


def _make_runs(load: Load, found: SimpleQueue[list[str]]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(load.uri)
    experiment = client.create_experiment(f"by-hand-{time.time_ns()}")
    found.put([client.create_run(experiment).info.run_id for _ in range(load.workers)])


def main() -> None:
    way, uri, workers, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    import mlflow.store.tracking.rest_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # once, and not in each worker

    fast = Load(way, uri, workers, seconds, most_steps=BACKLOG_STEPS if way == "asynchronous" else 10**9)
    paced = Load(way, uri, min(workers, TALKING), seconds, STEP_S)
    print(json.dumps({"fast": measured(fast), "paced": measured(paced)}))


if __name__ == "__main__":
    main()
