"""What was asked and found, in words: the one place that says who won and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpsearch.report.facts import Facts
from hpsearch.search.history import TrialRecord
from hpsearch.space import Categorical, Float, Int, Parameter
from hpsearch.trial import TrialState
from hpsearch.winner import Winner
from hpsearch.words import NONE, count, duration, gain, number, share, value_text


@dataclass(frozen=True, slots=True)
class Tile:
    """One number that matters, with what it is and what it is beside."""

    name: str
    value: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who won. `sure` says how sure that is."""

    headline: str
    sure: str = ""


def verdict(facts: Facts) -> Verdict:
    """The winner of the re-tests, or else of one objective the best trial against the baseline; of several, the front."""
    history = facts.seen.history
    if facts.winner is not None:
        return _won(facts.winner)
    if not facts.best:
        return Verdict("No trial has completed yet." if facts.is_running else "No trial completed, so there is no best one.")
    if len(history.objectives) > 1:
        front = count(len(facts.best), "trial")
        return Verdict(
            f"{front} of {len(history):,} {'is' if len(facts.best) == 1 else 'are'} on the Pareto front.",
            "No other is better in everything.",
        )
    best, baseline, objective = facts.best[0], facts.baseline, history.objectives[0]
    reached = f"Trial {best.number} reached {objective.metric} {number(facts.value(best))}"
    if baseline is None:
        return Verdict(f"{reached}.", "No baseline was given, so there is nothing to say what that is worth.")
    if baseline.number == best.number:
        return Verdict(f"The baseline won: {objective.metric} {number(facts.value(best))}.", "No trial was better than it.")
    value, against = facts.value(best), facts.value(baseline)
    assert value is not None
    assert against is not None
    return Verdict(f"{reached}: {gain(objective, value, against)}.", _one_run(facts))


def _won(winner: Winner) -> Verdict:
    won, *gained = winner.in_words()
    who, _, tested = won.partition("; ")
    return Verdict(f"The winner is {who}.", " ".join(f"{said[0].upper()}{said[1:]}." for said in (*gained, tested) if said))


def _one_run(facts: Facts) -> str:
    """Choosing the best of many flatters it."""
    tried = count(len(facts.rated), "trial")
    return f"Each was trained once, and the best of {tried} is partly luck: train it again with other seeds to be sure."


def asked(facts: Facts) -> list[tuple[str, str]]:
    """What the sweep file asked, line by line."""
    config = facts.seen.config
    task = config.task
    trained = " · ".join(part for part in (task.kind.replace("_", " "), _data(facts), task.model or "") if part)
    objectives = ", ".join(f"{o.goal} {o.metric}" for o in config.objectives)
    how = f"{config.search.sampler.kind} sampler, {config.search.scheduler.kind} scheduler, seed {config.search.seed}"
    size = count(len(config.space.parameters), "hyperparameter")
    return [("Task", trained), ("Objective", objectives), ("Space", size), ("Search", how), ("Budget", _budget(facts))]


def _data(facts: Facts) -> str:
    task = facts.seen.config.task
    if task.data is None:
        return task.target or " ".join(task.run or ())
    return task.data if isinstance(task.data, str) else task.data.path


def _budget(facts: Facts) -> str:
    seen = facts.seen
    parts = [
        count(seen.trials_wanted, "trial") if seen.trials_wanted is not None else "",
        count(seen.epochs_wanted, "epoch") if seen.epochs_wanted is not None else "",
        duration(seen.seconds_wanted) if seen.seconds_wanted is not None else "",
    ]
    return " or ".join(part for part in parts if part) + f", {count(seen.config.training.epochs, 'epoch')} each at most"


def tiles(facts: Facts) -> Iterator[Tile]:
    """The sweep in numbers."""
    objectives = facts.seen.history.objectives
    if facts.best and len(objectives) == 1:
        baseline = facts.baseline
        beside = f"baseline {number(facts.value(baseline))}" if baseline else "no baseline"
        yield Tile(f"best {objectives[0].metric}", number(facts.value(facts.best[0])), beside)
    counts = facts.seen.counts()
    yield Tile("trials", f"{sum(counts.values()):,}", f"{counts.get('completed', 0):,} completed")
    trained = sum(bool(t.reports) for t in facts.seen.history)
    yield Tile("time", duration(facts.clock.total_s), f"{duration(facts.cost.busy_s)} of training")
    yield Tile("epochs", f"{facts.cost.epochs:,}", f"{facts.cost.epochs / trained:.0f} a trial on average" if trained else "")
    if saved := facts.cost.epochs_saved:
        pruned = counts.get("pruned", 0)
        yield Tile("saved by pruning", f"{share(saved, saved + facts.cost.epochs)}", f"{saved:,} epochs of {count(pruned, 'trial')}")


@dataclass(frozen=True, slots=True)
class Row:
    """One hyperparameter or objective: its value in each trial shown, and what was searched or wanted."""

    name: str
    values: tuple[str, ...]
    searched: str
    differs: bool


def compared(facts: Facts) -> tuple[list[str], list[Row]]:
    """The winner or the best (of a front the first few) beside the baseline: heads of columns; a row an objective or hyperparameter."""
    shown = [(f"trial {t.number}", t) for t in facts.leading[:3]]
    if facts.baseline is not None:
        shown = [(head, t) for head, t in shown if t.number != facts.baseline.number] + [("baseline", facts.baseline)]
    names = [n for n in facts.seen.config.space.parameters if any(n in t.parameters for _, t in shown)]
    rows = list(_reached(facts, [t for _, t in shown]))
    for name in names:
        values = tuple(value_text(t.parameters[name]) if name in t.parameters else NONE for _, t in shown)
        rows.append(Row(name, values, searched(facts.seen.config.space.parameters[name]), len(set(values)) > 1))
    return [head for head, _ in shown], rows


def _reached(facts: Facts, trials: Sequence[TrialRecord]) -> Iterator[Row]:
    for i, objective in enumerate(facts.seen.history.objectives) if trials else ():
        yield Row(objective.metric, tuple(number(facts.value(t, i)) for t in trials), objective.goal, differs=True)


def searched(parameter: Parameter) -> str:
    """`1e-05 to 0.1, log`, `adamw or sgd`."""
    match parameter:
        case Float() | Int():
            return f"{value_text(parameter.min)} to {value_text(parameter.max)}{', log' if parameter.log else ''}"
        case Categorical():
            shown = [value_text(v) for v in parameter.values[:8]]
            return " or ".join(shown) + (" …" if len(parameter.values) > len(shown) else "")


def states(facts: Facts) -> list[tuple[TrialState, int, float]]:
    """Trials by state: how many, and in percent."""
    counts = facts.seen.sweep.trials
    total = sum(counts.values())
    return [(state, counts[state], 100 * counts[state] / total) for state in TrialState if counts.get(state)]
