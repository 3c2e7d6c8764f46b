"""Training of one trial: what a worker's code holds, one visible loop, optimizers, checkpoints.

It runs where only torch, numpy and scikit-learn are installed. What this package exports is imported when it is first used: reading
a table of hyperparameters must not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.training.checkpoint import CheckpointStore
    from hpsearch.training.run import Trains, run_assignment
    from hpsearch.training.trial import Channel, Diverged, Trial

__all__ = ["Channel", "CheckpointStore", "Diverged", "Trains", "Trial", "run_assignment"]

_HOMES = {
    "Channel": "trial",
    "CheckpointStore": "checkpoint",
    "Diverged": "trial",
    "Trains": "run",
    "Trial": "trial",
    "run_assignment": "run",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
