"""Search the hyperparameters of PyTorch networks: one file, one command, every trial in MLflow.

What this package exports is imported when it is first used: `import hpsearch` alone imports no heavy library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        HpsearchError,
        InputError,
        LeaseHeld,
        LeaseLost,
        StaleAttempt,
        StoreError,
    )
    from hpsearch.result import SweepResult
    from hpsearch.sweep import load, resume, run
    from hpsearch.training.trial import Trial

    __version__: str

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "HpsearchError",
    "InputError",
    "LeaseHeld",
    "LeaseLost",
    "StaleAttempt",
    "StoreError",
    "SweepResult",
    "Trial",
    "__version__",
    "load",
    "resume",
    "run",
]

_HOMES = {
    **dict.fromkeys((name for name in __all__ if name[0].isupper()), "hpsearch.errors"),
    **dict.fromkeys(("load", "resume", "run"), "hpsearch.sweep"),
    "SweepResult": "hpsearch.result",
    "Trial": "hpsearch.training.trial",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("hpsearch")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
