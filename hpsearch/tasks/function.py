"""A Python function of one's own as a task: `module:function`, called with the trial.

Before anything begins the module is imported once in a process of its own, so that what is wrong with it is said at once, and the
process that runs the sweep never holds what other people's modules do when they are imported.
"""

from __future__ import annotations

import importlib
import inspect
import random
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hpsearch.errors import InputError, unknown
from hpsearch.tasks.own_code import OwnCode

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig
    from hpsearch.training.trial import Trial

IMPORT_S = 300.0
"""How long the import of a module may take, in seconds."""

_MARK = "hpsearch: "
"""Begins the line with which the process that tries the import tells what is wrong."""


class FunctionTask(OwnCode):
    """Calls a function with the trial, in a worker. `target`: `module:function`; the module is looked for beside the sweep file first."""

    def __init__(self, config: SweepConfig) -> None:
        assert config.task.target is not None, "a sweep file without a target is refused before"
        self.target = config.task.target
        super().__init__(config, [self.target])

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        return cls(config)

    def prepare(self, folder: Path) -> None:
        """See Task. Raises `InputError` where the function cannot be imported, or takes something else than a trial."""
        command = [sys.executable, "-P", "-m", "hpsearch.tasks.function", self.target, str(self.directory)]
        try:
            tried = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=IMPORT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"importing {self.target} took more than {IMPORT_S:g} s; put what it does into the function, or under "
                "`if __name__ == '__main__'`"
            ) from None
        if tried.returncode:
            said = [line for line in tried.stderr.splitlines() if line.strip()]
            reason = next((line.removeprefix(_MARK) for line in said if line.startswith(_MARK)), said[-1] if said else "")
            raise InputError(reason or f"importing {self.target} ended Python with status {tried.returncode}")

    def run(self, trial: Trial) -> None:
        """See Task. Global generators are seeded from the trial's seed, for code that draws from them."""
        train = load_function(self.target, self.directory)
        _seed_globally(trial.seed)
        self.tell(trial)
        train(trial)


def load_function(target: str, directory: Path) -> Callable[[Trial], object]:
    """Import `module:function`, from `directory` or from what is installed.

    Raises:
        InputError: it is not there, or cannot be called with a trial; the message says where an error arose.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise InputError(f"must be `module:function`, got {target!r}; for example my_training:train")
    if sys.path[:1] != [str(directory)]:
        sys.path.insert(0, str(directory))
    _forget_namesake(module, directory)
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{module} cannot be imported from {directory}: {_describe(error)}") from error
    functions = [known for known, value in vars(found).items() if callable(value) and not known.startswith("_")]
    train = getattr(found, name, None)
    if train is None:
        raise InputError(unknown(f"function of {module}", name, functions))
    if not callable(train) or not _takes_one(train):
        raise InputError(f"{target} must be a function of one argument, the trial: def {name}(trial): ...")
    if inspect.isgeneratorfunction(train) or inspect.iscoroutinefunction(train):
        raise InputError(f"{target} must be a plain function: one with `yield` or `async` does nothing when it is called")
    return train  # type: ignore[no-any-return]


def _forget_namesake(module: str, directory: Path) -> None:
    """What another sweep of this process has loaded under the same name, from a folder of its own, is no code of this one."""
    loaded, own = sys.modules.get(module), directory.joinpath(*module.split("."))
    files = (own.with_suffix(".py"), own / "__init__.py")
    if loaded is not None and any(file.exists() for file in files) and Path(getattr(loaded, "__file__", None) or "") not in files:
        del sys.modules[module]


def _takes_one(train: Callable[..., object]) -> bool:
    try:
        inspect.signature(train).bind(None)
    except TypeError:
        return False
    except ValueError:  # a function that is not written in Python does not tell
        return True
    return True


def _describe(error: BaseException) -> str:
    """`my_training.py, line 3: ModuleNotFoundError: No module named 'foo'`."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename and f.filename != __file__]
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{Path(error.filename).name}, line {error.lineno}: "
    else:
        place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""
    message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"{place}{type(error).__name__}: {message}"


def _seed_globally(seed: int) -> None:
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def main() -> int:
    """Try an import: `python -m hpsearch.tasks.function TARGET DIRECTORY`."""
    try:
        load_function(sys.argv[1], Path(sys.argv[2]))
    except InputError as error:
        print(f"{_MARK}{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
