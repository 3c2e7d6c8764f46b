"""What a place must know once to train any assignment of a sweep."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.training.s3 import is_url
from hpsearch.training.storage import below, folder_at
from hpsearch.trial import Assignment, Outcome, Resources

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig
    from hpsearch.config.home import Home
    from hpsearch.tasks import Task
    from hpsearch.training import Channel


_ONE_CPU = Resources()


@dataclass(frozen=True, slots=True)
class Room:
    """What the sweep file and the command line say of places. `workers`: how many; None: as many as there is room for.

    `address`: of the Ray cluster; None: one of this machine alone, for this sweep. `home`: the folder of all that hpsearch writes, which
    does not travel to other machines, although the user's code may be beside it.
    """

    workers: int | None = None
    resources: Resources = _ONE_CPU
    address: str | None = None
    home: Path | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A task and where its trials keep their things. Pickles small: the data stay in the task's prepared folder."""

    task: Task
    checkpoints: Path | str
    """A folder or an s3:// URL. Each trial has a folder of its own under it."""
    logs: Path
    """What a trial prints goes to `<logs>/trial-00017.log`."""
    checkpoint_every_s: float
    outputs: Path
    """Each trial has a folder of its own under it, for its artifacts."""
    scratch: Path | None = None
    """A folder of this machine. Each trial has one of its own under it, for what must lie on a disk while it trains; None: where its
    checkpoints are."""

    def train(self, assignment: Assignment, channel: Channel) -> Outcome:
        """Train one assignment in this process, to its end or to the channel's word."""
        from hpsearch.training import run_assignment

        name = _folder(assignment.trial)
        return run_assignment(
            self.task,
            assignment,
            channel,
            below(self.checkpoints, name),
            checkpoint_every_s=self.checkpoint_every_s,
            folder=self.scratch and self.scratch / name,
            outputs=self.outputs_of(assignment.trial),
        )

    def outputs_of(self, trial: int) -> Path:
        return self.outputs / _folder(trial)

    def log_file(self, trial: int) -> Path:
        return self.logs / f"{_folder(trial)}.log"


def checkpoints_of(config: SweepConfig, home: Home) -> Path | str:
    """Where the sweep's trials keep their checkpoints: in a folder of its name below its `storage`, or in the home."""
    if config.storage is None:
        return home.checkpoints / config.name
    if is_url(config.storage):
        return below(config.storage, config.name)
    return config.directory / Path(config.storage).expanduser() / config.name


def forget_checkpoints(location: Path | str) -> None:
    """Remove what trials have left there, and nothing else: a storage is the user's own. Raises `OSError`."""
    folder_at(location).remove_below(_FOLDER.fullmatch)


_FOLDER = re.compile(r"trial-\d{5,}")


def _folder(trial: int) -> str:
    return f"trial-{trial:05d}"
