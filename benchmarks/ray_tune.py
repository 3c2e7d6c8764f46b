"""The same trainings as people run them: Ray Tune with OptunaSearch and its MLflow callback.

Arguments: TRIALS WORKERS FOLDER function|reuse. `function`, the default set-up: a function, an actor for each trial. `reuse`: a class
whose actors live on.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    trials, workers, folder, reuse = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "reuse"
    import optuna
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.optuna import OptunaSearch

    from benchmarks.ten_reports import losses

    def train(config: dict[str, Any]) -> None:
        for loss in losses(config["x"]):
            tune.report({"loss": loss})

    class Train(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, config: dict[str, Any]) -> bool:
            self.curve = losses(config["x"])
            return True

        def step(self) -> dict[str, Any]:
            return {"loss": self.curve[self.iteration], "done": self.iteration + 1 == len(self.curve)}

    class Ends(tune.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.at: list[float] = []

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.at.append(time.perf_counter())

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ends = Ends()
    tuner = tune.Tuner(
        tune.with_resources(Train if reuse else train, {"cpu": 1}),
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(num_samples=trials, metric="loss", mode="min", search_alg=OptunaSearch(), reuse_actors=reuse),
        run_config=tune.RunConfig(
            verbose=0,
            storage_path=str(folder),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False) if reuse else None,
            callbacks=[MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="ten-reports"), ends],
        ),
    )
    results = tuner.fit()
    print(json.dumps({"trials": len(results), "errors": results.num_errors, "ended_s": ends.at}))


if __name__ == "__main__":
    main()
