"""Runs one assignment to its outcome; whatever a training does, this returns."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch

import hpsearch
from hpsearch.training import memory
from hpsearch.training.checkpoint import CheckpointStore
from hpsearch.training.trial import Channel, Diverged, Trial
from hpsearch.training.usage import Usage
from hpsearch.trial import Assignment, Objective, Outcome, TrialState


class Trains(Protocol):
    """Of a task, what a worker needs."""

    @property
    def objectives(self) -> Sequence[Objective]: ...

    def run(self, trial: Trial) -> None: ...


def run_assignment(
    task: Trains,
    assignment: Assignment,
    channel: Channel,
    checkpoints: Path | str,
    *,
    checkpoint_every_s: float = 10.0,
    folder: Path | None = None,
    outputs: Path | None = None,
) -> Outcome:
    """Trains until the assignment ends: COMPLETED, PAUSED, PRUNED, DIVERGED, OUT_OF_MEMORY or FAILED.

    The traceback of an error goes to standard error, the outcome's reason is one line.

    Args:
        checkpoints: where this trial keeps them: a folder or an s3:// URL of its own.
        checkpoint_every_s: seconds between checkpoints that nothing else calls for.
        folder: this trial's own on this machine; by default that of its checkpoints, if they are on a disk.
        outputs: this trial's own folder for artifacts; by default a folder in that one.
    """
    if torch.get_num_threads() != assignment.resources.cpus:
        torch.set_num_threads(assignment.resources.cpus)
    if assignment.resources.packed:
        memory.bound(assignment.resources)
    with Usage(assignment.resources.gpus) as usage:
        trial = Trial(
            assignment,
            channel,
            CheckpointStore(checkpoints),
            checkpoint_every_s=checkpoint_every_s,
            objectives=task.objectives,
            folder=folder,
            outputs=outputs,
            usage=usage,
        )
        outcome = _run(task, trial)
    return replace(outcome, samples=usage.take())


def _run(task: Trains, trial: Trial) -> Outcome:
    try:
        task.run(trial)
    except Diverged as error:
        return Outcome(TrialState.DIVERGED, str(error))
    except (Exception, SystemExit) as error:
        return _failure(error)
    return trial.outcome or Outcome(TrialState.COMPLETED, None, trial.checkpoint)


def _failure(error: BaseException) -> Outcome:
    traceback.print_exception(error, file=sys.stderr)
    if _is_out_of_memory(error):
        return Outcome(TrialState.OUT_OF_MEMORY, _one_line(error))
    return Outcome(TrialState.FAILED, f"{_one_line(error)} ({_where(error)})")


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What those say that have no exception of their own: the CPU's allocator, and libraries beside torch's own allocator of a GPU."""


def _one_line(error: BaseException) -> str:
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message[:500]}" if message else type(error).__name__


def _where(error: BaseException) -> str:
    """File and line of the innermost frame of the user's own code; where there is none, of ours; else of whoever's it is."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_others(frame.filename)]
    users = [frame for frame in own if not frame.filename.startswith(_HOUSE)]
    frame = (users or own or frames)[-1]
    return f"{_shown(frame.filename)}:{frame.lineno}"


_HOUSE = str(Path(hpsearch.__file__).parent)
_OTHERS = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def _is_others(filename: str) -> bool:
    return not filename.startswith(_HOUSE) and filename.startswith((*_OTHERS, "<frozen"))


def _shown(filename: str) -> str:
    return str(Path(filename).relative_to(Path(_HOUSE).parent)) if filename.startswith(_HOUSE) else filename
