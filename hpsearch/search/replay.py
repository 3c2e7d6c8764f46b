"""Ask the search again for every decision that a ledger holds: each must come out as it was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from hpsearch.events import Answered, Assigned, Event, Reported, TrialCreated
from hpsearch.search.history import History
from hpsearch.trial import Answer, Continue, Json, Objective, Pause, Proposal, Resume, Start, Stop


class Search(Protocol):
    def propose(self, history: History) -> Proposal: ...

    def judge(self, history: History, reported: Reported) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A decision that comes out otherwise: the event that records it (a report, where a plain Continue is not recorded)."""

    seq: int
    trial: int
    recorded: Proposal | Answer
    replayed: Proposal | Answer

    def __str__(self) -> str:
        return f"event {self.seq}, trial {self.trial}: recorded {self.recorded}, replayed {self.replayed}"


def replay(events: Sequence[Event], search: Search, objectives: tuple[Objective, ...]) -> list[Mismatch]:
    """The decisions of the search in `events` (a whole sweep, from its first) that `search` would not take again."""
    history = History(objectives)
    mismatches: list[Mismatch] = []
    for place, event in enumerate(events):
        recorded = _proposal(event)
        if recorded is not None:
            mismatches += _compare(event, recorded, search.propose(history))
        history = history.apply([event])
        if isinstance(event.body, Reported):
            until_step = history.trials[event.body.trial].until_step
            mismatches += _compare(event, _answer(events, place, until_step), search.judge(history, event.body))
    return mismatches


def _proposal(event: Event) -> Start | Resume | None:
    match event.body:
        case TrialCreated(proposed=True) as body:
            return Start(body.parameters, body.until_step, body.search_state)
        case Assigned(decided=True) as body:
            return Resume(body.trial, body.until_step, body.search_state)
    return None


def _answer(events: Sequence[Event], place: int, until_step: int) -> Answer:
    """What the search answered to the report at `place`: its answer follows before any other report, else it was a plain Continue."""
    reported = events[place].body
    assert isinstance(reported, Reported)
    for event in events[place + 1 :]:
        body = event.body
        if isinstance(body, Reported):
            break
        if isinstance(body, Answered) and body.by == "search" and (body.trial, body.step) == (reported.trial, reported.step):
            return _answered(body, until_step)
    return Continue(until_step)


def _answered(body: Answered, until_step: int) -> Answer:
    match body.answer:
        case "continue":
            return Continue(until_step if body.until_step is None else body.until_step, body.search_state)
        case "pause":
            return Pause(body.search_state)
        case "stop":
            return Stop(body.reason or "", body.search_state)


def _compare(event: Event, recorded: Proposal | Answer, replayed: Proposal | Answer) -> Iterator[Mismatch]:
    if type(recorded) is not type(replayed) or _plain(recorded) != _plain(replayed):
        yield Mismatch(event.seq, event.body.trial, recorded, replayed)  # type: ignore[union-attr]


def _plain(decision: Proposal | Answer) -> Json:
    """As the ledger would give it back: tuples are lists there."""
    return json.loads(json.dumps(asdict(decision)))
