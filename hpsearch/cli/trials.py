"""What `show` and `best` show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpsearch.cli.plots import Curve
from hpsearch.cli.session import Session
from hpsearch.cli.styles import state_text, sweep_state_text
from hpsearch.cli.summary import best_text, model_text, parameters_table, winner_text
from hpsearch.cli.sweeps import curve_in_short, progress_rows, show_link, status_json
from hpsearch.cli.tables import facts, narrowing, plain_table
from hpsearch.cli.words import clean, duration, inline, moment, number, short_names
from hpsearch.diagnosis import diagnose
from hpsearch.overview import Attempt, Overview, trial_json
from hpsearch.search.history import TrialRecord
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.trial import Json, TrialKind, TrialState

_WHY_SHOWN = (TrialState.FAILED, TrialState.DIVERGED, TrialState.OUT_OF_MEMORY, TrialState.TIMED_OUT, TrialState.INFEASIBLE)


def show_trials(session: Session, seen: Overview, runs: Mapping[int, str]) -> None:
    """All trials of a sweep, one a line."""
    session.show(Text.assemble((clean(seen.sweep.name), "bold"), " is ", sweep_state_text(seen.state)), best_text(seen.history), "")
    session.show(facts(progress_rows(session.out, seen)), "")
    session.show(narrowing(_trials_table(session.out, seen), "parameters", session.out.width, _DISPENSABLE))
    if failed := [t for t in seen.history if t.state in _WHY_SHOWN and t.reason]:
        session.show("", _reasons(failed))
    session.result({"sweep": seen.sweep.name, "trials": [trial_json(seen, t, runs.get(t.number)) for t in seen.history]})


_DISPENSABLE = ("time", "parameters", "epoch", "kind", "curve")
"""Columns that a narrow terminal does without; they are all in `show NAME TRIAL`."""


def _trials_table(console: Console, seen: Overview) -> Table:
    names = short_names(seen.config.space.parameters)
    metrics = [_cut(clean(o.metric), max(10, console.width // 4)) for o in seen.history.objectives]
    table = plain_table(
        "trial", "kind", "state", "epoch", *metrics, "curve", "time", "parameters", right=("trial", "epoch", *metrics, "time")
    )
    best = {t.number for t in seen.history.best()}
    for trial in seen.history:
        values = seen.history.values(trial) or (None,) * len(metrics)
        style = "bold green" if trial.number in best else ""
        table.add_row(
            str(trial.number),
            kind_text(trial),
            state_text(trial.state),
            str(trial.step),
            *(Text("" if v is None else number(v), style=style) for v in values),
            curve_in_short(console, seen, trial),
            _took(trial),
            Text(inline(trial.parameters, names), style="dim"),
        )
    return table


def _cut(title: str, width: int) -> str:
    return title if cell_len(title) <= width else f"{set_cell_size(title, width - 1)}…"


def kind_text(trial: TrialRecord) -> str:
    """`baseline`, `retest of 17`; nothing for a trial of the search."""
    if trial.kind is TrialKind.RETEST:
        return f"retest of {trial.parent}"
    return "" if trial.kind is TrialKind.SEARCH else str(trial.kind)


def _took(trial: TrialRecord) -> str:
    if trial.begun_ms is None or trial.ended_ms is None:
        return ""
    return duration((trial.ended_ms - trial.begun_ms) / 1000)


def _reasons(trials: Sequence[TrialRecord]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    shown = trials[:10]
    for trial in shown:
        table.add_row(f"trial {trial.number}:", clean(trial.reason).strip().splitlines()[0])
    if len(trials) > len(shown):
        table.add_row("", f"and {len(trials) - len(shown)} more; see them one by one")
    return table


def show_trial(session: Session, seen: Overview, trial: TrialRecord, attempts: Sequence[Attempt], run_id: str | None) -> None:
    """One trial: what it tried, how it went, why it ended."""
    log = session.home.logs / seen.sweep.name / f"trial-{trial.number:05d}.log"
    rows: list[tuple[str, str | Text]] = [
        ("trial", Text.assemble(f"{trial.number} of ", (clean(seen.sweep.name), "bold"), f" ({kind_text(trial) or trial.kind})")),
        ("state", state_text(trial.state)),
    ]
    if trial.reason:
        rows.append(("reason", clean(trial.reason).strip()))
    found = diagnose(trial.reports, trial.state, trial.reason)
    rows += [("diagnosis", f"{finding.name.replace('_', ' ')}: {clean(finding.reason)}") for finding in found]
    rows += [("epochs", f"{trial.step} of {trial.until_step}"), ("seed", str(trial.seed))]
    if log.exists():
        rows.append(("log", clean(log)))
    if trial.checkpoint is not None:
        rows.append(("checkpoint", f"epoch {trial.checkpoint.step}: {clean(trial.checkpoint.uri)}"))
    if run_id:
        rows.append(("MLflow run", run_id))
    session.show(facts(rows), "", parameters_table(trial))
    if trial.reports:
        session.show("", narrowing(_curves(seen, trial), "epoch by epoch", session.out.width, ("first", "best")))
    if attempts:
        session.show("", narrowing(_attempts_table(attempts), "worker", session.out.width, ("begun (UTC)", "from epoch", "place")))
    session.result(
        {
            "sweep": seen.sweep.name,
            **trial_json(seen, trial, run_id),
            "seed": trial.seed,
            "until_step": trial.until_step,
            "curves": _curves_json(trial),
            "attempts_made": [attempt.to_json() for attempt in attempts],
            "diagnosis": [asdict(finding) for finding in found],
            "checkpoint": trial.checkpoint and {"uri": trial.checkpoint.uri, "step": trial.checkpoint.step},
            "log": str(log) if log.exists() else None,
        }
    )


def _metrics(trial: TrialRecord) -> list[str]:
    return list(dict.fromkeys(metric for report in trial.reports for metric in report))


def _curves(seen: Overview, trial: TrialRecord) -> Table:
    table = plain_table("metric", "first", "best", "last", "epoch by epoch", right=("first", "best", "last"))
    goals = {o.metric: o.goal for o in seen.history.objectives}
    for metric in _metrics(trial):
        values = trial.curve(metric)
        finite = [v for v in values if math.isfinite(v)] or [math.nan]
        is_up = goals.get(metric, "minimize" if metric.endswith(("loss", "mse", "rmse", "mae")) else "maximize") == "maximize"
        best = "" if metric in DIAGNOSTIC_METRICS else number(max(finite) if is_up else min(finite))
        style = "bold" if metric in goals else ""
        table.add_row(Text(clean(metric), style=style), number(values[0]), best, number(values[-1]), Curve(values))
    return table


def _curves_json(trial: TrialRecord) -> dict[str, Json]:
    return {metric: trial.curve(metric) for metric in _metrics(trial)}


def _attempts_table(attempts: Sequence[Attempt]) -> Table:
    table = plain_table("attempt", "place", "worker", "from epoch", "state", "begun (UTC)", "time", right=("attempt", "from epoch", "time"))
    for attempt in attempts:
        state = state_text(attempt.state)
        took = "" if attempt.begun_ms is None or attempt.ended_ms is None else duration((attempt.ended_ms - attempt.begun_ms) / 1000)
        table.add_row(
            str(attempt.number),
            clean(attempt.place),
            clean(attempt.worker or ""),
            "" if attempt.from_step is None else str(attempt.from_step),
            state,
            moment(attempt.begun_ms),
            took,
        )
    return table


def show_best(session: Session, seen: Overview) -> int:
    """The best trials, with their parameters; 1 where no trial has completed."""
    front, winner = seen.history.best(), seen.winner
    session.show(best_text(seen.history), *winner_text(winner), *model_text(seen.model.to_json() if seen.model else None))
    if winner is not None:
        session.show("", parameters_table(winner.trial))
    elif len(front) == 1:
        session.show("", parameters_table(front[0]))
    elif front:
        session.show("", _front_table(seen, front))
    show_link(session, seen)
    status = status_json(session, seen)
    session.result({key: status[key] for key in ("sweep", "state", "best", "baseline", "winner", "model", "mlflow")})
    return 0 if front else 1


def _front_table(seen: Overview, front: Sequence[TrialRecord]) -> Table:
    names = [n for n in dict.fromkeys(n for t in front for n in t.parameters) if n not in seen.config.space.fixed]
    metrics = [clean(o.metric) for o in seen.history.objectives]
    table = plain_table("trial", *metrics, *map(clean, names), right=("trial", *metrics))
    for trial in front:
        values = seen.history.values(trial) or ()
        chosen = (number(trial.parameters[n]) if n in trial.parameters else "–" for n in names)
        table.add_row(str(trial.number), *map(number, values), *chosen)
    return table
