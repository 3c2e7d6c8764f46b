"""What people do today: Optuna in a SQLite file, MLflow written by hand: `python -m benchmarks.optuna_mlflow TRIALS WORKERS FOLDER`.

Each process asks Optuna for a configuration, trains it, and logs its parameters and every epoch's metrics as an MLflow run.
Nothing is pruned.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.workload import DEPTHS, DROPOUT, LEARNING_RATE, WEIGHT_DECAY, WIDTHS, train

STUDY = "overhead"


def connect(folder: Path) -> str:
    """The storage's URL; MLflow is pointed at its own beside it."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment(STUDY)
    return f"sqlite:///{folder / 'optuna.db'}"


def objective(trial: Any) -> float:
    """Trains what Optuna suggests, and logs it."""
    import mlflow

    parameters = {
        "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATE, log=True),
        "weight_decay": trial.suggest_float("weight_decay", *WEIGHT_DECAY, log=True),
        "dropout": trial.suggest_float("dropout", *DROPOUT),
        "width": trial.suggest_categorical("width", WIDTHS),
        "depth": trial.suggest_categorical("depth", DEPTHS),
    }
    with mlflow.start_run():
        mlflow.log_params(parameters)
        for epoch, metrics in enumerate(train(parameters), start=1):
            mlflow.log_metrics(metrics, step=epoch)
            trial.report(metrics["val_accuracy"], epoch)
    return metrics["val_accuracy"]


def work(folder: Path, trials: int, seed: int) -> None:
    """One process: trials until the study has enough of them."""
    import optuna

    storage = connect(folder)
    study = optuna.load_study(study_name=STUDY, storage=storage, sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=trials, callbacks=[optuna.study.MaxTrialsCallback(trials, states=None)])


def main(trials: int, workers: int, folder: Path) -> None:
    """Make the study, start the processes, wait."""
    import optuna

    study = optuna.create_study(study_name=STUDY, storage=connect(folder), direction="maximize")
    command = [sys.executable, "-m", "benchmarks.optuna_mlflow", str(trials), str(workers), str(folder)]
    processes = [subprocess.Popen([*command, str(seed)], stderr=subprocess.DEVNULL) for seed in range(workers)]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        sys.exit(f"the processes ended with {statuses}")
    print(json.dumps({"trials": len(study.trials), "best": study.best_value}))


if __name__ == "__main__":
    count, processes_wanted, place = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    if len(sys.argv) > 4:
        work(place, count, seed=int(sys.argv[4]))
    else:
        main(count, processes_wanted, place)
