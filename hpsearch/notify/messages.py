"""What there is to tell of a sweep, folded from its history as it grows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hpsearch.config.home import mask
from hpsearch.events import SweepClosed
from hpsearch.notify.slack import LONGEST, cut, literal
from hpsearch.result import values_by_metric
from hpsearch.search.history import History, TrialRecord
from hpsearch.trial import Json, TrialKind, TrialState
from hpsearch.winner import choose
from hpsearch.words import count, duration, number, value_text

Event: TypeAlias = Literal["end", "failure", "best"]

APART_S = 60.0
"""Between two messages of one kind while the sweep runs; what happens meanwhile is in the next one."""

FAILED = (TrialState.FAILED, TrialState.OUT_OF_MEMORY, TrialState.TIMED_OUT)
"""What is a trial's failure for good. Divergence is no error: it is what a search finds out about configurations."""

_MOST_PARAMETERS = 20
_MOST_VALUES = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `trial`, with its values and parameters, is what it is about: the best, or the one that failed last."""

    event: Event
    sweep: str
    state: str
    text: str
    trial: int | None = None
    values: Mapping[str, float] | None = None
    params: Mapping[str, Json] | None = None

    def to_json(self, mlflow: str | None) -> dict[str, Json]:
        """What is sent. `mlflow`: a link to the sweep; NaN and infinities, which JSON has not, are null."""
        link = f" <{mlflow}|MLflow>" if mlflow else ""
        return {
            "event": self.event,
            "sweep": self.sweep,
            "state": self.state,
            "trial": self.trial,
            "values": _finite(self.values),
            "params": _finite(self.params),
            "mlflow": mlflow,
            "text": self.text + link,
        }


def _finite(values: Mapping[str, Json] | None) -> dict[str, Json] | None:
    if values is None:
        return None
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}


class News:
    """Follows a history, at the price of its open trials, and says what is new in it.

    Args:
        on: what is to be told of.
        history: as it is at the begin; what is in it already is not new.
    """

    def __init__(self, on: Sequence[Event], sweep: str, history: History) -> None:
        self._on = frozenset(on)
        self._sweep = sweep
        self._open: list[int] = []
        self._seen = 0
        self._ended(history)
        self._front = history.best()
        self._new_best: TrialRecord | None = None
        self._beaten: TrialRecord | None = None
        self._failures = 0
        self._last_failed: TrialRecord | None = None
        self._untold_failures = False
        self._told_at: dict[Event, float] = {}

    def look(self, history: History, now_s: float) -> Iterator[Message]:
        """What is to be told now, `now_s` by one monotonic clock."""
        self._take_in(history)
        if self._new_best is not None and self._is_time("best", now_s):
            yield self._best(history)
        if self._untold_failures and self._is_time("failure", now_s):
            yield self._failed(history)

    def end(self, history: History, closed: SweepClosed) -> Iterator[Message]:
        """How the sweep ended, as `end`; where that is not asked for, what had still to be told, and as `failure` that it failed."""
        self._take_in(history)
        if "end" in self._on:
            yield self._closing("end", history, closed.state, closed.reason)
            return
        if self._new_best is not None:
            yield self._best(history)
        if "failure" in self._on and closed.state == "failed":
            yield self._closing("failure", history, closed.state, closed.reason)
        elif self._untold_failures:
            yield self._failed(history)

    def broken(self, history: History, error: Exception) -> Iterator[Message]:
        """The run ended with an error: the sweep is not over, and nobody runs it."""
        events: tuple[Event, ...] = ("failure", "end")
        for event in [event for event in events if event in self._on][:1]:
            yield self._closing(event, history, "interrupted", f"{type(error).__name__}: {error}")

    # ---- folding

    def _take_in(self, history: History) -> None:
        """One trial after another: what is told must not depend on when somebody looks."""
        for trial in self._ended(history):
            if trial.state in FAILED:
                self._failures += 1
                self._last_failed = trial
                self._untold_failures = "failure" in self._on
            elif trial.state is TrialState.COMPLETED:
                self._compete(history, trial)

    def _compete(self, history: History, trial: TrialRecord) -> None:
        before, self._front = self._front, history.best([*self._front, trial])
        is_new = trial in self._front and all(history.values(trial) != history.values(t) for t in before)
        if is_new and before and trial.kind is not TrialKind.BASELINE and "best" in self._on:
            self._beaten = self._beaten or before[0]
            self._new_best = trial

    def _ended(self, history: History) -> list[TrialRecord]:
        """The trials that have ended since, in that order."""
        records = [history.trials[number] for number in (*self._open, *range(self._seen, len(history)))]
        self._seen = len(history)
        self._open = [t.number for t in records if not t.state.is_terminal]
        return sorted((t for t in records if t.state.is_terminal), key=lambda t: (t.ended_ms or 0, t.number))

    def _is_time(self, event: Event, now_s: float) -> bool:
        if now_s - self._told_at.get(event, -math.inf) < APART_S:
            return False
        self._told_at[event] = now_s
        return True

    # ---- wording

    def _best(self, history: History) -> Message:
        trial, before = self._new_best, self._beaten
        assert trial is not None
        self._new_best = self._beaten = None
        if len(history.objectives) > 1:
            said = f"trial {trial.number} is new on the front of {count(len(self._front), 'trial')}: {_reached(history, trial)}"
        else:
            was = f", before {_value(history, before)}" if before and before.kind is not TrialKind.BASELINE else ""
            said = f"new best {_reached(history, trial)} (trial {trial.number}){was}{_beside_baseline(history, trial)}"
        return self._message("best", history, "running", f"{said}. {_parameters(trial)}", trial)

    def _failed(self, history: History) -> Message:
        self._untold_failures = False
        last = self._last_failed
        assert last is not None
        how = str(last.state).replace("_", " ")
        why = f": {literal(mask(last.reason or ''), 300)}" if last.reason else ""
        said = f"{count(self._failures, 'trial')} failed, last: trial {last.number} {how}{why}"
        return self._message("failure", history, "running", said, last)

    def _closing(self, event: Event, history: History, state: str, reason: str | None) -> Message:
        counts = Counter(t.state for t in history)
        states = ", ".join(f"{counts[s]} {str(s).replace('_', ' ')}" for s in TrialState if counts[s])
        why = f" ({literal(mask(reason), 300)})" if reason else ""
        said = f"{state}{why} after {duration(history.active_ms / 1000)}: {states or 'no trial'}."
        winner, best = choose(history), history.best()
        trial = winner.trial if winner else best[0] if best else None
        if winner is not None:
            said += f" Winner: {'; '.join(literal(words, 600) for words in winner.in_words())}."
        elif len(best) > 1:
            said += f" {count(len(best), 'trial')} that no other beats in everything, the first: {_reached(history, best[0])}."
        elif trial is not None:
            said += f" Best: {_reached(history, trial)} (trial {trial.number}){_beside_baseline(history, trial)}."
        return self._message(event, history, state, f"{said} {_parameters(trial)}" if trial else said, trial)

    def _message(self, event: Event, history: History, state: str, said: str, trial: TrialRecord | None) -> Message:
        text = cut(f"*{literal(self._sweep)}*: {said}", LONGEST)
        if trial is None:
            return Message(event, self._sweep, state, text)
        return Message(event, self._sweep, state, text, trial.number, values_by_metric(history, trial), dict(trial.parameters))


def _reached(history: History, trial: TrialRecord) -> str:
    values = list(zip(history.objectives, history.values(trial) or (), strict=False))
    return ", ".join(f"{literal(o.metric)} {number(v)}" for o, v in values[:_MOST_VALUES])


def _value(history: History, trial: TrialRecord) -> str:
    values = history.values(trial)
    return number(values[0] if values else None)


def _beside_baseline(history: History, trial: TrialRecord) -> str:
    baseline = history.baseline()
    if baseline is None:
        return ""
    return ", the baseline itself" if baseline.number == trial.number else f"; the baseline has {_value(history, baseline)}"


def _parameters(trial: TrialRecord) -> str:
    shown = list(trial.parameters.items())[:_MOST_PARAMETERS]
    more = ["…"] if len(trial.parameters) > len(shown) else []
    return ", ".join([*(f"{literal(name, 60)} {literal(value_text(value), 40)}" for name, value in shown), *more])
