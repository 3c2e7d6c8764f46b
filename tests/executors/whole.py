"""Whether a sweep whose executor was disturbed has everything, once."""

from __future__ import annotations

import contextlib

from hpsearch import ledger as ledgers
from hpsearch.config import SweepConfig
from hpsearch.plan import make_plan
from hpsearch.search.replay import replay


def check_whole(store: str, tracking: str, name: str, trials: int) -> None:
    """So many trials, once each, in the ledger and in MLflow; and the ledger's decisions are what the search says again.

    Args:
        tracking: the database that MLflow keeps, whoever writes it: no server stands between it and this check.
    """
    with contextlib.closing(ledgers.open(store)) as ledger:
        sweep = ledger.find(name)
        config = SweepConfig.from_json(sweep.config)
        history = ledgers.fold(ledger, sweep.id, config.objectives)
        assert sorted(history.trials) == list(range(trials))
        assert {str(t.state) for t in history} <= {"completed", "pruned"}
        plan = make_plan(config)
        assert replay(ledger.events(sweep.id), plan.search(config.budget.trials), config.objectives) == []
    import mlflow

    client = mlflow.MlflowClient(tracking)
    experiment = client.get_experiment_by_name(name)
    children = [run for run in client.search_runs([experiment.experiment_id], max_results=1000) if "mlflow.parentRunId" in run.data.tags]
    assert len(children) == trials
    assert {run.info.status for run in children} <= {"FINISHED", "KILLED"}
