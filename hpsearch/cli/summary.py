"""What a sweep came to, in words: at the end of `run`, and for `best`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from hpsearch.cli.session import Session
from hpsearch.cli.styles import state_text
from hpsearch.cli.tables import plain_table
from hpsearch.cli.words import clean, duration, number
from hpsearch.search.history import History, TrialRecord
from hpsearch.trial import Json, Objective, TrialState
from hpsearch.winner import Winner
from hpsearch.words import count, gain

if TYPE_CHECKING:
    from hpsearch.result import SweepResult

_SHOWN = 10


def show_result(session: Session, result: SweepResult) -> None:
    """How it ended, the best, and what to do next; on the stage, since with --json standard output is for the JSON."""
    stage = session.stage
    stage.print(_outcome(result))
    stage.print(best_text(result.history))
    winner = result.winner
    for text in (*winner_text(winner), *model_text(result.tracked.model)):
        stage.print(text)
    if session.settings.quiet:
        return
    only = result.best[:1] if len(result.history.objectives) == 1 else []
    for trial in [winner.trial] if winner else only:
        stage.print(parameters_table(trial))
    if not result.tracked.up_to_date:
        why = f" ({result.tracked.error})" if result.tracked.error else ""
        session.warn(f"MLflow does not have everything yet{why}; mend that with: {session.command('sync', result.sweep.name)}")
    stage.print()
    for label, command in _next(session, result):
        stage.print(f"{label:<13}{command}" if label else command, soft_wrap=True)


def _outcome(result: SweepResult) -> Text:
    sweep = result.sweep
    text = Text.assemble((clean(sweep.name), "bold"), f" {_how(result)}: ")
    for i, state in enumerate(state for state in TrialState if sweep.trials.get(state)):
        text.append(", " if i else "")
        text.append(f"{sweep.trials[state]} ").append_text(state_text(state))
    return text


def _how(result: SweepResult) -> str:
    sweep = result.sweep
    if result.finished_before:
        return f"was finished before ({sweep.state})"
    reason = f" ({clean(sweep.reason)})" if sweep.reason else ""
    return f"{sweep.state}{reason} after {duration(result.wall_s)}"


def best_text(history: History, label: str = "best: ") -> Text:
    """`best: val_accuracy 0.9815 (trial 17), better than the baseline's 0.963 by 0.0185 (1.9 %)`."""
    front = history.best()
    if not front:
        return Text("no trial completed, so there is no best one", style="red")
    if len(history.objectives) > 1:
        return _front(history, front, label)
    best, objective = front[0], history.objectives[0]
    values = history.values(best)
    assert values is not None, best
    text = Text.assemble(f"{label}{clean(objective.metric)} ", (number(values[0]), "bold green"), f" (trial {best.number})")
    return text.append(_against(history, best, values[0], objective))


def winner_text(winner: Winner | None, label: str = "winner: ") -> list[Text]:
    """What the re-tests say, and what was gained on the baseline, on one line; nothing where there is no winner."""
    if winner is None:
        return []
    who, *gained = winner.in_words()
    style = {"better": "bold green", "worse": "red"}.get(winner.against.verdict if winner.against else "", "yellow")
    text = Text(f"{label}{clean(who)}")
    for said in gained:
        text.append("\n  ").append(clean(said), style=style)
    return [text]


def model_text(model: Mapping[str, Json] | None) -> list[Text]:
    """Which version of which registered model the winner is, and whether it is the champion."""
    if model is None:
        return []
    return [Text(f"model: {clean(model['said'])}", style="green" if model["champion"] else "yellow")]


def _against(history: History, best: TrialRecord, value: float, objective: Objective) -> str:
    baseline = history.baseline()
    if baseline is None or not (against := history.values(baseline)):
        return ""
    if baseline.number == best.number:
        return ", the baseline itself: no trial was better"
    return f", {gain(objective, value, against[0])}"


def _front(history: History, front: list[TrialRecord], label: str) -> Text:
    text = Text(f"{label}{count(len(front), 'trial')} that no other beats in everything")
    for trial in front[:_SHOWN]:
        values = ", ".join(f"{clean(o.metric)} {number(v)}" for o, v in zip(history.objectives, history.values(trial) or (), strict=False))
        text.append(f"\n  trial {trial.number}: {values}")
    return text.append(f"\n  and {len(front) - _SHOWN} more") if len(front) > _SHOWN else text


def parameters_table(trial: TrialRecord) -> Table:
    """A configuration, one hyperparameter a line."""
    table = plain_table("", "", fold=("",))
    table.show_header = False
    for name, value in trial.parameters.items():
        table.add_row(f"  {clean(name)}", number(value, 6))
    return table


def _next(session: Session, result: SweepResult) -> list[tuple[str, str]]:
    name, best = result.sweep.name, [result.winner.trial] if result.winner else result.best[:1]
    rows: list[tuple[str, str]] = []
    if result.finished_before:
        wanted = max(len(result.history), 1) * 2
        rows += [
            ("more trials", session.command("extend", name, "--trials", str(wanted))),
            ("and then", session.command("resume", name)),
            ("another one", f"{session.command('run', 'FILE', '--new')}, or --name NAME"),
        ]
    elif result.sweep.state == "stopped":
        rows.append(("go on", session.command("resume", name)))
    rows.append(("look", session.command("show", name)))
    rows += [("the winner" if result.winner else "the best", session.command("show", name, str(trial.number))) for trial in best]
    rows += [("the report", clean(_seen_from_here(result.report)))] if result.report else []
    return [*rows, ("in MLflow", session.command("ui")), *([("", clean(result.link))] if result.link else [])]


def _seen_from_here(file: Path) -> Path:
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file
