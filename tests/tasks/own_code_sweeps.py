"""Sweep files of one's own code, made into tasks as the program does."""

from __future__ import annotations

import json
from pathlib import Path

from hpsearch.config import load
from hpsearch.config.home import Home
from hpsearch.plan import Plan, make_plan


def plan_of(folder: Path, task: dict[str, object], *overrides: str, space: object = None) -> Plan:
    """A checked sweep file in `folder`, with the objective to minimise `loss`."""
    whole = {
        "task": task,
        "objective": {"metric": "loss", "goal": "minimize"},
        "space": space or {"lr": {"min": 0.1, "max": 1.0}},
        "training": {"epochs": 4, "checkpoint_every": 0},
        "budget": {"trials": 2},
    }
    (folder / "own.yaml").write_text(json.dumps(whole))
    return make_plan(load(folder / "own.yaml", overrides))


def task_of(folder: Path, task: dict[str, object], *overrides: str, space: object = None):
    plan = plan_of(folder, task, *overrides, space=space)
    plan.prepare(Home(folder / "home", "", ""))
    return plan.task
