"""What `function` and `command` share: other people's code trains, and the sweep file says what it reports."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.trial import Json, Objective

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig
    from hpsearch.training.trial import Trial


class OwnCode:
    """The part of the face of a task that needs no data.

    Args:
        directory: the sweep file's, where the code is looked for.
        names: the code, as the file names it.
        metrics: that each report must have, besides the objectives; none: any are kept.
    """

    def __init__(self, config: SweepConfig, names: Sequence[str]) -> None:
        self.directory: Path = config.directory
        self.objectives: Sequence[Objective] = config.objectives
        self.metrics: tuple[str, ...] = config.task.metrics
        self.resumable: bool = config.task.resumable is not False
        self._names = tuple(names)

    @property
    def data_digest(self) -> str:
        """What the code reads is its own affair: this only tells which code it is."""
        return hashlib.sha256("\n".join(self._names).encode()).hexdigest()

    @property
    def dataset(self) -> None:
        """See Task: what the code reads is its own affair."""

    @property
    def folder(self) -> Path | None:
        """See Task: what the code reads is its own affair."""
        return None

    @property
    def code(self) -> Path | None:
        """See Task."""
        return self.directory

    def move(self, folder: Path) -> None:
        """See Task: the code is in `folder`."""
        self.directory = folder

    @property
    def warnings(self) -> Sequence[str]:
        """See Task: nothing is known of what the code reads."""
        return ()

    def tell(self, trial: Trial) -> None:
        """Tell a trial what the sweep file says of the code that is about to train it."""
        trial.expect(self.metrics)
        if not self.resumable:
            trial.keep_no_checkpoints()

    def static_metrics(self, parameters: Mapping[str, Json]) -> dict[str, float]:
        """See Task: of other people's code nothing is known before it trains."""
        return {}
