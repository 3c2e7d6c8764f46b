"""The face of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hpsearch.provenance import Dataset
from hpsearch.trial import Json, Objective

if TYPE_CHECKING:
    from hpsearch.tasks.label_errors import LabelCheck
    from hpsearch.training.trial import Trial


@runtime_checkable
class Labelled(Protocol):
    """A task whose data have labels that can be doubted."""

    def check_labels(self) -> LabelCheck:
        """Labels that are probably wrong; prepared or not. Raises `DataError`."""


class Task(Protocol):
    """Data and objective. It is made and prepared in the main process, without torch, then pickled to the workers, where it trains."""

    @property
    def objectives(self) -> Sequence[Objective]: ...

    @property
    def resumable(self) -> bool:
        """Whether `run` goes on from a checkpoint; schedulers that pause need it."""

    @property
    def data_digest(self) -> str:
        """SHA-256 of the raw data, once prepared: the same sweep must go on with the same data."""

    @property
    def dataset(self) -> Dataset | None:
        """What is trained on, once prepared; None where the task has no data of its own."""

    @property
    def folder(self) -> Path | None:
        """Where its prepared data lie; None where it has none."""

    @property
    def code(self) -> Path | None:
        """A folder with code of the user's own, which every machine needs that trains; None where there is none."""

    def move(self, folder: Path) -> None:
        """Use a copy of `folder`, or of `code`, on a machine that does not see the original."""

    @property
    def warnings(self) -> Sequence[str]:
        """What was found in the data, once prepared, that a person should know of: a sentence each."""

    def prepare(self, folder: Path) -> None:
        """Reads and checks the data and writes its splits below `folder`, unless they are there.

        Raises:
            DataError: the data cannot be used; the message says what and where.
        """

    def static_metrics(self, parameters: Mapping[str, Json]) -> dict[str, float]:
        """What a configuration is known to cost before it trains, once prepared: {"parameters": number}.

        Raises:
            InputError: a hyperparameter's value is not allowed.
        """

    def run(self, trial: Trial) -> None:
        """Trains one trial, in a worker."""
