"""The best trial's training: its curves of train and validation, what is wrong with it, and the pictures that it left."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hpsearch.diagnosis import TRAIN, VALIDATION, Finding, diagnose
from hpsearch.report.facts import Facts
from hpsearch.report.plot import BLUE, INK, ORANGE, Plot, finite, titled
from hpsearch.search.history import TrialRecord
from hpsearch.trial import Json

MOST_BYTES = 1_500_000
"""Of all pictures together, so that a page with them can still be sent."""

_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
"""No SVG: it is a document of its own."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that the trial left, as a data URI."""

    name: str
    uri: str


def shown_trial(facts: Facts) -> TrialRecord | None:
    """The winner or the best; the first of a front."""
    return facts.leading[0] if facts.leading else None


def training_plots(facts: Facts) -> Iterator[Plot]:
    """The losses of train and validation where there are such, with those of the baseline."""
    trial = shown_trial(facts)
    if trial is None or not all(any(metric in report for report in trial.reports) for metric in (TRAIN, VALIDATION)):
        return
    traces = [*_losses(trial, f"trial {trial.number}", {"train": ORANGE, "validation": BLUE}, {"width": 2.5})]
    if facts.baseline is not None and facts.baseline.number != trial.number:
        traces += _losses(facts.baseline, "baseline", {"train": ORANGE, "validation": INK}, {"width": 1.5, "dash": "dot"})
    yield Plot(
        "training",
        f"Losses of trial {trial.number}",
        "Where the validation's rises while the training's falls on, the network learns by heart.",
        traces,
        {"xaxis": titled("epoch"), "yaxis": titled("loss")},
        height=400,
    )


def _losses(trial: TrialRecord, name: str, colours: Mapping[str, str], line: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    for metric, word in ((TRAIN, "train"), (VALIDATION, "validation")):
        yield {
            "type": "scatter", "mode": "lines", "name": f"{word}, {name}", "line": {"color": colours[word], **line},
            "x": list(range(1, trial.step + 1)), "y": [finite(report.get(metric, math.nan)) for report in trial.reports],
            "hovertemplate": "%{fullData.name}, epoch %{x}: %{y}<extra></extra>",
        }  # fmt: skip


def findings(facts: Facts) -> list[Finding]:
    """What is wrong with the best trial's training."""
    trial = shown_trial(facts)
    return [] if trial is None else diagnose(trial.reports, trial.state, trial.reason)


def pictures(facts: Facts, outputs: Path) -> list[Picture]:
    """What the best trial left as images under `outputs`, its sweep's folder; as many as there is room for."""
    trial = shown_trial(facts)
    folder = outputs / f"trial-{trial.number:05d}" if trial is not None else None
    if folder is None or not folder.is_dir():
        return []
    found, room = [], MOST_BYTES
    for file in sorted(folder.iterdir()):
        kind = _TYPES.get(file.suffix.lower())
        if kind is None or file.is_symlink() or not file.is_file() or file.stat().st_size > room:
            continue
        room -= file.stat().st_size
        found.append(Picture(file.name, f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"))
    return found
