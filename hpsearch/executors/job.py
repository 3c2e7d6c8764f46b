"""What a place must know once to train any assignment of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.trial import Assignment, Outcome, Resources

if TYPE_CHECKING:
    from hpsearch.tasks import Task
    from hpsearch.training import Channel


_ONE_CPU = Resources()


@dataclass(frozen=True, slots=True)
class Room:
    """What the sweep file and the command line say of places. `workers`: how many; None: as many as there is room for.

    `address`: of the Ray cluster; None: one of this machine alone, for this sweep.
    """

    workers: int | None = None
    resources: Resources = _ONE_CPU
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A task and where its trials keep their things. Pickles small: the data stay in the task's prepared folder."""

    task: Task
    checkpoints: Path
    """Each trial has a folder of its own under it."""
    logs: Path
    """What a trial prints goes to `<logs>/trial-00017.log`."""
    checkpoint_every_s: float
    outputs: Path
    """Each trial has a folder of its own under it, for its artifacts."""

    def train(self, assignment: Assignment, channel: Channel) -> Outcome:
        """Train one assignment in this process, to its end or to the channel's word."""
        from hpsearch.training import run_assignment

        folder, outputs = self.checkpoints / _folder(assignment.trial), self.outputs_of(assignment.trial)
        return run_assignment(self.task, assignment, channel, folder, checkpoint_every_s=self.checkpoint_every_s, outputs=outputs)

    def outputs_of(self, trial: int) -> Path:
        return self.outputs / _folder(trial)

    def log_file(self, trial: int) -> Path:
        return self.logs / f"{_folder(trial)}.log"


def _folder(trial: int) -> str:
    return f"trial-{trial:05d}"
