"""All trials as rows, which the page sorts and filters."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.diagnosis import diagnose
from hpsearch.report.axis import choice_text
from hpsearch.report.facts import Facts
from hpsearch.report.plot import finite
from hpsearch.search.history import TrialRecord
from hpsearch.trial import Json

_LONGEST = 300


def trial_table(facts: Facts) -> dict[str, Json]:
    """Names of columns, a list of cells for each trial, the numbers of the best, and the columns that are first sorted downwards."""
    objectives = [o.metric for o in facts.seen.history.objectives]
    names = list(facts.seen.config.space.parameters)
    return {
        "columns": ["trial", "kind", "state", "epochs", *objectives, "seconds", *names, "diagnosis", "reason"],
        "largest_first": [4 + i for i, o in enumerate(facts.seen.history.objectives) if o.goal == "maximize"],
        "rows": [list(_cells(facts, trial, names)) for trial in facts.seen.history],
        "best": [t.number for t in facts.best],
    }


def _cells(facts: Facts, trial: TrialRecord, names: list[str]) -> Iterator[Json]:
    yield from (trial.number, str(trial.kind), str(trial.state).replace("_", " "), trial.step)
    yield from (finite(facts.value(trial, i)) for i in range(len(facts.seen.history.objectives)))
    yield _seconds(facts, trial)
    for name in names:
        value = trial.parameters.get(name)
        yield None if name not in trial.parameters else _cell(value)
    found = diagnose(trial.reports, trial.state, trial.reason) if trial.state.is_terminal else []
    yield ", ".join(finding.name.replace("_", " ") for finding in found) or None
    yield (trial.reason or "").strip()[:_LONGEST] or None


def _cell(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return choice_text(value)
    return finite(value) if isinstance(value, float) else value


def _seconds(facts: Facts, trial: TrialRecord) -> float | None:
    took = [(a.ended_ms - a.begun_ms) / 1000 for a in facts.attempts.get(trial.number, ()) if a.begun_ms and a.ended_ms]
    return finite(sum(took)) if took else None
