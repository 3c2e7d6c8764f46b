"""The Markdown note on a sweep's run: the best configuration beside the baseline, the trials by state, and how to look."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from hpsearch.search.history import History, TrialRecord
from hpsearch.tracking.keys import cut, param
from hpsearch.trial import TrialKind, TrialState
from hpsearch.winner import Winner

_MAX_ROWS = 40
_MAX_COLUMNS = 4
_MAX_CELL = 60


def markdown(
    name: str,
    state: str,
    history: History,
    best: Sequence[TrialRecord],
    winner: Winner | None = None,
    report: str | None = None,
    model: str | None = None,
    trials: tuple[str, str] | None = None,
) -> str:
    """The whole note.

    Args:
        best: the best trial, or the Pareto front.
        winner: of the re-tests, where there were any.
        report: the link to the sweep's page, once it is there.
        model: what is said of the winner's network in the model registry, once it is there.
        trials: the links to all trials as a table and as charts.
    """
    parts = (
        f"**{plain(name)}** is {state}.",
        f"[Open the report]({report}): every trial, what mattered, how it went." if report else "",
        f"[All trials, the best first]({trials[0]}) or [as charts]({trials[1]})." if trials else "",
        _winner(winner),
        f"**Model:** {plain(model)}." if model else "",
        _comparison(history, best),
        _states(history),
        _commands(name),
    )
    return "\n\n".join(part for part in parts if part)


def _winner(winner: Winner | None) -> str:
    """Who has won, what it gained on the baseline, and with which configuration."""
    if winner is None:
        return ""
    said = "; ".join(plain(words) for words in winner.in_words())
    return f"**Winner:** {said}.\n\n{_table(['winner', f'trial {winner.trial.number}'], _parameters([winner.trial]))}"


def plain(text: str) -> str:
    """`text` as Markdown and HTML show it letter by letter, on one line of a table."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace("@", "&commat;")  # the UI would link it to a person on GitHub
    text = text.replace(":", "&colon;")  # it would show a backslash before it, and may make an address a link
    return re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", text)


def _comparison(history: History, best: Sequence[TrialRecord]) -> str:
    baseline = _baseline(history)
    shown = [(f"trial {t.number}" if t.kind is not TrialKind.BASELINE else "baseline", t) for t in best[:_MAX_COLUMNS]]
    if not shown:
        return "No trial has completed yet."
    if baseline is not None and baseline.number not in {t.number for _, t in shown}:
        shown.append(("baseline", baseline))
    heads = [f"{'best: ' if t.number in {b.number for b in best} else ''}{title}" for title, t in shown]
    rows = [*_objectives(history, [t for _, t in shown]), *_parameters([t for _, t in shown])]
    more = len(best) - _MAX_COLUMNS
    return _table(["", *heads], rows) + (f"\n\n{more} more trials are as good: no other is better in everything." if more > 0 else "")


def _baseline(history: History) -> TrialRecord | None:
    """What was to be beaten; of several objectives, the first baseline that was measured."""
    if len(history.objectives) == 1:
        return history.baseline()
    return next((t for t in history.in_state(TrialState.COMPLETED) if t.kind is TrialKind.BASELINE), None)


def _objectives(history: History, trials: Sequence[TrialRecord]) -> Iterable[list[str]]:
    values = [history.values(t) or () for t in trials]
    for i, objective in enumerate(history.objectives):
        yield [f"**{plain(objective.metric)}** ({objective.goal})", *(f"{v[i]:.6g}" if i < len(v) else "" for v in values)]


def _parameters(trials: Sequence[TrialRecord]) -> list[list[str]]:
    names = list(dict.fromkeys(name for t in trials for name in t.parameters))
    rows = [[plain(cut(n, _MAX_CELL)), *(_cell(t, n) for t in trials)] for n in names[:_MAX_ROWS]]
    return rows if len(names) <= _MAX_ROWS else [*rows, [f"{len(names) - _MAX_ROWS} more …", *("" for _ in trials)]]


def _cell(trial: TrialRecord, name: str) -> str:
    if name not in trial.parameters:
        return "–"
    value = trial.parameters[name]
    return plain(cut(f"{value:.6g}" if isinstance(value, float) else param(value), _MAX_CELL))


def _states(history: History) -> str:
    counts = Counter(t.state for t in history)
    return _table(
        ["trials", str(len(history))], [[state.value.replace("_", " "), str(counts[state])] for state in TrialState if counts[state]]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _commands(name: str) -> str:
    word = shlex.quote(name)
    commands = (f"hpsearch show {word}", f"hpsearch best {word}", f"hpsearch sync {word}")
    return "To look closer, and to repair what is shown here from the ledger:\n\n" + "\n".join(f"    {c}" for c in commands)
