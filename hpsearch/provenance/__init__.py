"""What a run of a sweep came from, as its ledger keeps it: the data, the commit of the code, the environment.

dataset       what a task trains on; made by tasks
git           the commit of a folder, asked of git
environment   Python, platform, versions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from hpsearch.provenance.dataset import Dataset, digest_of
from hpsearch.provenance.environment import Environment, environment_now
from hpsearch.provenance.git import Commit, commit_of
from hpsearch.trial import Json

__all__ = ["Commit", "Dataset", "Environment", "Provenance", "commit_of", "digest_of", "environment_now"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of one run; None: there is none, or nobody can tell. `file`: the sweep file's path, where the run was given one."""

    dataset: Dataset | None = None
    commit: Commit | None = None
    environment: Environment | None = None
    file: str | None = None

    def to_json(self) -> dict[str, Json]:
        """What is known."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Self:
        """What `to_json` gave."""
        parts = {name: _PARTS[name](**value) if name in _PARTS else value for name, value in data.items()}
        return cls(**parts)


_PARTS = {"dataset": Dataset, "commit": Commit, "environment": Environment}
