"""How much of a GPU a trial gets where the sweep file leaves that open (`gpus: auto`): a function of the committed past alone."""

from __future__ import annotations

from statistics import median_low

from hpsearch.search.history import History, TrialRecord
from hpsearch.trial import Memory, TrialKind

GRANTS = (0.125, 0.25, 0.5, 1.0)
"""Halves of halves, so that whatever ends leaves room that the next can use; a worker lives on among trials of one grant."""

MARGIN = 1.15
"""For what an epoch does not show: memory in pieces that are too small, libraries that take more when they can."""


def grant(history: History, trial: TrialRecord | None) -> float:
    """A part of a GPU, of GRANTS.

    A trial that has been measured gets what it has taken, with a margin; another one as much as is usual among those that have, and a
    whole GPU while none has. What ran out of memory gets more than it had. None: a trial that does not exist yet.
    """
    if trial is not None and (memory := _memory(history, trial)) is not None:
        wanted = _part(history, memory)
    else:
        measured = [_part(history, each.memory) for each in history if each.memory is not None]
        wanted = median_low(measured) if measured else 1.0
    return max(wanted, trial.least_gpus if trial is not None else 0.0)


def _memory(history: History, trial: TrialRecord) -> Memory | None:
    """A re-test is its parent's configuration again."""
    if trial.memory is None and trial.kind is TrialKind.RETEST and trial.parent is not None:
        return history.trials[trial.parent].memory
    return trial.memory


def _part(history: History, memory: Memory) -> float:
    """Of the smallest GPU that any trial was on: nobody knows which is next."""
    smallest = min(each.memory.total_bytes for each in history if each.memory is not None)
    share = MARGIN * memory.peak_bytes / smallest
    return next((grant for grant in GRANTS if share <= grant), GRANTS[-1])
