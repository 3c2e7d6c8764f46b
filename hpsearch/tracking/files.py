"""What is on the disk and MLflow should have: of an ended trial its artifacts, and its log if anything was printed; the sweep's page."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hpsearch.tracking.keys import MAX_TAG, cut
from hpsearch.training.artifacts import MAX_BYTES, MAX_FILES, NETWORK, is_plain

if TYPE_CHECKING:
    from hpsearch.config.home import Home


@dataclass(frozen=True, slots=True)
class TrialFile:
    """A file and, where it is left out, why."""

    path: Path
    left_out: str | None = None

    def describe(self) -> str:
        """`samples.png`, `model.bin (left out: 120 MB)`."""
        return self.path.name if self.left_out is None else f"{self.path.name} (left out: {self.left_out})"


@dataclass(frozen=True, slots=True)
class TrialFiles:
    """Of one sweep: `<outputs>/trial-00017/*` and `<logs>/trial-00017.log`; and what is written when it has ended.

    Args:
        report: its page.
        winner: its winner as a sweep file.
    """

    outputs: Path
    logs: Path
    report: Path | None = None
    winner: Path | None = None

    @classmethod
    def in_home(cls, home: Home, sweep: str) -> Self:
        """Of the sweep of that name, where its home has them."""
        return cls(home.outputs / sweep, home.logs / sweep, home.report_of(sweep), home.export_of(sweep))

    def to_json(self) -> dict[str, str]:
        """Where they are; what is nowhere is left out."""
        return {f.name: str(path) for f in fields(self) if (path := getattr(self, f.name)) is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> Self:
        """What `to_json` gave."""
        return cls(**{name: Path(path) for name, path in data.items()})

    def of(self, trial: int) -> list[TrialFile]:
        """In order of their names, the log last. A trial without any costs two calls of the system."""
        name = f"trial-{trial:05d}"
        files = sorted(_plain_files(self.outputs / name), key=lambda entry: entry.name)
        kept = [_judged(Path(entry.path), entry.stat().st_size) for entry in files[:MAX_FILES]]
        log = self.logs / f"{name}.log"
        return [*kept, *_if_any(log)]

    def network(self, trial: int) -> Path | None:
        """What a re-test has left of its network; None where that is nothing."""
        path = self.outputs / f"trial-{trial:05d}" / NETWORK
        return path if path.is_file() else None

    def report_digest(self) -> str | None:
        """Of the report as it is now; None where there is none."""
        try:
            return hashlib.sha256(self.report.read_bytes()).hexdigest()[:12] if self.report else None
        except OSError:
            return None

    def exported(self) -> str | None:
        """The winner's sweep file as it is now; None where there is none."""
        try:
            return self.winner.read_text("utf-8") if self.winner else None
        except (OSError, UnicodeDecodeError):
            return None


def tag(files: Sequence[TrialFile]) -> str:
    """What the run's tag says of them."""
    return cut(", ".join(file.describe() for file in files), MAX_TAG)


def _plain_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if _is_artifact(entry))
    except FileNotFoundError:
        return


def _is_artifact(entry: os.DirEntry[str]) -> bool:
    return is_plain(entry.name) and entry.name != NETWORK and entry.is_file(follow_symlinks=False)


def _if_any(log: Path) -> Iterable[TrialFile]:
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return []
    return [_judged(log, size)] if size else []


def _judged(path: Path, size: int) -> TrialFile:
    return TrialFile(path, f"{size / 1e6:.0f} MB" if size > MAX_BYTES else None)
