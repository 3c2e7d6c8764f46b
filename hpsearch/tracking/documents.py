"""The small files on a sweep's run: what was asked, where it came from, and once it has ended, the winner to read and to run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hpsearch.tracking.files import TrialFiles
from hpsearch.tracking.keys import CONFIG, ENVIRONMENT, EXPORT, EXPORT_FILE, WINNER
from hpsearch.tracking.picture import Picture
from hpsearch.trial import Json
from hpsearch.winner import choose, contenders

NAMES: Mapping[str, str] = {
    CONFIG: "sweep.json",
    ENVIRONMENT: "environment.json",
    WINNER: "winner.json",
    EXPORT: EXPORT_FILE,
}
"""Of the artifacts, by the tag that holds the digest of what is there."""


@dataclass(frozen=True, slots=True)
class Document:
    """As an artifact should be."""

    tag: str
    text: str

    @property
    def name(self) -> str:
        return NAMES[self.tag]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode("utf-8", "replace")).hexdigest()[:12]


def documents(picture: Picture, files: TrialFiles | None) -> Iterator[Document]:
    """Those that there should be now. `files`: where the exported sweep file is, if it is within reach."""
    yield Document(CONFIG, _text(picture.sweep.config))
    if picture.sessions:
        yield Document(ENVIRONMENT, _text([session.to_json() for session in picture.sessions]))
    if picture.has_ended:
        if (winner := winner_json(picture)) is not None:
            yield Document(WINNER, _text(winner))
        if files is not None and (exported := files.exported()) is not None:
            yield Document(EXPORT, exported)


def winner_json(picture: Picture) -> Json:
    """The winner of the re-tests with all that is known of it; without re-tests the best trial; None where no trial completed."""
    history = picture.history
    if (winner := choose(history)) is not None:
        return {"chosen_by": "re-tests", **winner.to_json()}
    for best in contenders(history, 1):
        values = dict(zip((o.metric for o in history.objectives), history.values(best) or (), strict=False))
        return {"chosen_by": "its own training", "trial": best.number, "params": dict(best.parameters), "values": values}
    return None


def _text(content: Json) -> str:
    return json.dumps(content, indent=2, sort_keys=True, default=dict)
