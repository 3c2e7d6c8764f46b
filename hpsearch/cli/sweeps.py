"""What `list` and `status` show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from hpsearch.cli.plots import curve, range_in_words, state_bars
from hpsearch.cli.session import Session
from hpsearch.cli.styles import sweep_state_text
from hpsearch.cli.summary import best_text, winner_text
from hpsearch.cli.tables import facts, narrowing, plain_table
from hpsearch.cli.words import clean, duration, inline, iso, listed, number, short_names
from hpsearch.config.home import mask
from hpsearch.ledger.process import describe
from hpsearch.overview import Overview
from hpsearch.result import mlflow_json
from hpsearch.search.history import TrialRecord
from hpsearch.tracking.links import sweep_link
from hpsearch.trial import Json, TrialKind, TrialState
from hpsearch.words import count


def show_sweeps(session: Session, sweeps: Sequence[Overview]) -> None:
    """One line a sweep, oldest first."""
    if not sweeps:
        session.show(f"no sweep yet in {session.home.root}; start one with: {session.command('run', 'FILE')}")
    else:
        table = plain_table("name", "state", "trials", "best", "age", right=("age",), fold=("trials",))
        for seen in sweeps:
            table.add_row(
                Text(clean(seen.sweep.name), style="bold"),
                sweep_state_text(seen.state),
                _trials(seen),
                _best(seen),
                duration(seen.age_s),
            )
        session.show(narrowing(table, "trials", session.out.width))
    session.result({"sweeps": [status_json(session, seen) for seen in sweeps]})


def _trials(seen: Overview) -> str:
    """`60 of 60, 20 re-tests (44 completed, 36 pruned)`."""
    wanted = f" of {seen.trials_wanted}" if seen.trials_wanted is not None else ""
    retests = sum(t.kind is TrialKind.RETEST for t in seen.history)
    beside = f", {count(retests, 're-test')}" if retests else ""
    states = f" ({listed(seen.counts())})" if seen.counts() else ""
    return f"{_spent(seen)['trials']}{wanted}{beside}{states}"


def _best(seen: Overview) -> str:
    front = seen.history.best()
    if not front:
        return ""
    if len(front) > 1:
        return f"{len(front)} on the front"
    values = seen.values(front[0]) or {}
    return ", ".join(f"{clean(metric)} {number(value)}" for metric, value in values.items())


def show_status(session: Session, seen: Overview) -> None:
    """One sweep as it stands."""
    rows: list[tuple[str, str | Text]] = [("sweep", Text(clean(seen.sweep.name), style="bold")), ("state", _state(seen))]
    rows += [
        ("budget", "; ".join(_budget(seen))),
        ("best", best_text(seen.history, label="")),
        *progress_rows(session.out, seen),
    ]
    rows += [("winner", text) for text in winner_text(seen.winner, label="")]
    rows += [("begun", f"{iso(seen.sweep.created_ms)} ({duration(seen.age_s)} ago)")]
    session.show(facts(rows))
    running = seen.history.in_state(TrialState.RUNNING) if seen.holder else []
    if running:
        names = short_names(seen.config.space.parameters)
        metric = clean(seen.history.objectives[0].metric)
        table = plain_table("runs now", "epoch", metric, "curve", "parameters", right=("runs now", "epoch", metric))
        for trial in running:
            values = seen.history.values(trial)
            table.add_row(
                f"trial {trial.number}",
                f"{trial.step}/{trial.until_step}",
                number(values[0]) if values else "",
                curve_in_short(session.out, seen, trial),
                inline(trial.parameters, names),
            )
        session.show("", narrowing(table, "parameters", session.out.width, ("parameters", "curve")))
    elif seen.state in ("interrupted", "stopped"):
        session.show(f"go on with: {session.command('resume', seen.sweep.name)}")
    show_link(session, seen)
    session.result(status_json(session, seen))


def progress_rows(console: Console, seen: Overview) -> list[tuple[str, str | Text]]:
    """The best so far over the trials, for each objective that has one; then the trials by state."""
    room = console.width - len("progress") - 2
    rows: list[tuple[str, str | Text]] = []
    for i, objective in enumerate(seen.history.objectives):
        if any(map(math.isfinite, values := seen.best_so_far(i))):
            what = f"{clean(objective.metric)} " if len(seen.history.objectives) > 1 else ""
            rows.append(("progress", _beside(console, values, f"{what}{range_in_words(values, 'trial')}", room)))
    return [*rows, ("trials", state_bars(console, seen.counts(), room))]


def _beside(console: Console, values: Sequence[float], words: str, room: int) -> Text:
    """A curve and words on a line, or on two where that leaves the curve too little."""
    left = room - len(words) - 1
    is_narrow = left < 16
    drawn = curve(console, values, min(40, room if is_narrow else left))
    return Text.assemble(drawn, "\n" if is_narrow else " ", words)


def curve_in_short(console: Console, seen: Overview, trial: TrialRecord) -> Text:
    """A trial's first objective epoch by epoch, in 8 to 16 columns."""
    return curve(console, trial.curve(seen.history.objectives[0].metric), min(16, max(8, console.width // 8)))


def _state(seen: Overview) -> Text:
    text = sweep_state_text(seen.state)
    if seen.holder:
        return text.append(f" ({describe(seen.holder)})", style="dim")
    return text.append(f" ({clean(seen.sweep.reason)})", style="dim") if seen.sweep.reason else text


def _budget(seen: Overview) -> list[str]:
    spent, parts = _spent(seen), []
    if seen.trials_wanted is not None:
        parts.append(f"{spent['trials']} of {seen.trials_wanted} trials")
    if seen.epochs_wanted is not None:
        parts.append(f"{spent['epochs']} of {seen.epochs_wanted} epochs")
    if seen.seconds_wanted is not None:
        parts.append(f"{duration(float(spent['time_s']))} of {duration(seen.seconds_wanted)}")
    return parts


def _spent(seen: Overview) -> dict[str, float]:
    searched = [t for t in seen.history if t.kind is not TrialKind.RETEST]
    return {
        "trials": sum(t.state.is_terminal and t.state is not TrialState.INFEASIBLE for t in searched),
        "epochs": sum(t.step for t in searched),
        "time_s": round(seen.history.active_ms / 1000, 3),
    }


def show_link(session: Session, seen: Overview) -> None:
    """Where all of its trials are seen in MLflow, on a line of its own: it may be long."""
    if link := sweep_link(session.home.tracking_uri, seen.projection.experiment_id, seen.sweep):
        session.show_line(f"in MLflow  {clean(link)}")


def status_json(session: Session, seen: Overview) -> dict[str, Json]:
    """A sweep as `list --json` and `status --json` give it."""
    baseline, winner = seen.history.baseline(), seen.winner
    return {
        "sweep": seen.sweep.name,
        "state": seen.state,
        "reason": seen.sweep.reason,
        "holder": seen.holder,
        "trials": seen.counts(),
        "budget": {"trials": seen.trials_wanted, "epochs": seen.epochs_wanted, "time_s": seen.seconds_wanted},
        "spent": _spent(seen),
        "best": [{"trial": t.number, "values": seen.values(t), "params": dict(t.parameters)} for t in seen.history.best()],
        "baseline": baseline and {"trial": baseline.number, "values": seen.values(baseline)},
        "winner": winner and winner.to_json(),
        "model": seen.model and seen.model.to_json(),
        "mlflow": mlflow_json(mask(session.home.tracking_uri), seen.projection, seen.sweep),
        "created": iso(seen.sweep.created_ms),
        "ended": iso(seen.sweep.ended_ms),
    }
