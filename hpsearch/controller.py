"""The sweep's brain: answers an executor's five calls, and commits every decision before it takes effect."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from hpsearch import packing
from hpsearch.events import (
    Answered,
    Assigned,
    Begun,
    Body,
    Ended,
    Event,
    Measured,
    Reported,
    Sampled,
    SweepClosed,
    SweepExtended,
    SweepOpened,
    TrialCreated,
)
from hpsearch.ledger.face import Lease, Ledger, Request
from hpsearch.ledger.renewal import Renewal
from hpsearch.provenance import Provenance
from hpsearch.rules import Rules
from hpsearch.search.history import History, TrialRecord
from hpsearch.trial import (
    Answer,
    Assignment,
    Continue,
    Done,
    Json,
    Outcome,
    Pause,
    Place,
    Proposal,
    Report,
    Resume,
    Sample,
    Start,
    Stop,
    TrialKind,
    TrialState,
    Wait,
    derive_seed,
)

log = logging.getLogger(__name__)

IDLE_WAIT_S = 0.2
REQUEST_POLL_S = 0.5
MAX_INFEASIBLE_RUN = 500
"""Proposals in a row that may break a constraint before the sweep gives up: the space has next to nothing that is allowed."""


class Search(Protocol):
    """What to do next, from history alone (DESIGN §3)."""

    def propose(self, history: History) -> Proposal: ...

    def judge(self, history: History, reported: Reported) -> Answer: ...


class Controller:
    """Owns one sweep under its lease. `history` is always what has been committed; other threads may read it."""

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        history: History,
        search: Search,
        rules: Rules,
        broken_constraint: Callable[[Mapping[str, Json]], str | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        retests: Callable[[History], Sequence[TrialCreated]] = lambda _: (),
    ) -> None:
        self.history = history
        self.rules = rules
        self.stopping: str | None = None
        self.failure: str | None = None
        self._ledger = ledger
        self._lease = lease
        self._search = search
        self._broken_constraint = broken_constraint
        self._retests = retests
        self._clock = clock
        self._running: dict[tuple[int, int], Assignment] = {}
        self._deadlines: dict[tuple[int, int], float] = {}
        self._aborting: dict[tuple[int, int], Outcome] = {}
        self._given_back: dict[tuple[int, int], str] = {}
        self._began = clock()
        self._active_before_s = history.active_ms / 1000
        self._next_poll = clock()
        self._interrupt = threading.Event()
        self._interrupt_at_once = threading.Event()
        self._renewal = Renewal(ledger, lease)

    def open(self, data_digest: str | None = None, user: str | None = None, provenance: Provenance | None = None) -> None:
        """Take over, for `user`: what the controller before us left running waits for a new attempt, or ends as its record says."""
        self._renewal.start()
        self._began = self._clock()
        lost = [self._recover(record) for record in self.history.in_state(TrialState.RUNNING)]
        self._commit(SweepOpened(self._lease.holder, data_digest, user, provenance), *lost)
        for request in self._ledger.take_requests(self._lease):
            if request.kind != "stop":  # that one was meant for the controller before us
                self._obey(request)

    def close(self) -> SweepClosed:
        """Record how the run ended and let go of the sweep."""
        try:
            closed = self._closing()
            self._commit(closed)
            return closed
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go without a word, as after an error: the sweep can be resumed."""
        self._renewal.stop()
        self._ledger.release(self._lease)

    def interrupt(self) -> None:
        """Ask for an end in order; a second time, for an end at once. May be called from a signal handler."""
        if self._interrupt.is_set():
            self._interrupt_at_once.set()
        self._interrupt.set()

    # ---- the five calls

    def next(self, place: Place) -> Assignment | Wait | Done:
        """A trial that waits, else what the search proposes, while the budget lasts; then the re-tests of the best."""
        if self.stopping or self.failure:
            return self._idle()
        if waiting := self.history.in_state(TrialState.WAITING):
            return self._assign(waiting[0], place)
        for _ in range(MAX_INFEASIBLE_RUN):
            if self.rules.are_spent(self.history, self._active_s()):
                return self._after_the_search(place)
            match self._search.propose(self.history):
                case Start() as start:
                    reason = self._broken_constraint(start.parameters)
                    created = self._created(start, reason)
                    if reason is None:
                        return self._assign_created(created, place)
                    self._commit(created)
                case Resume() as resume:
                    return self._resume(resume, place)
                case Wait() as wait:
                    return wait
                case Done():
                    return self._after_the_search(place)
        self.failure = f"{MAX_INFEASIBLE_RUN} proposals in a row broke a constraint ({reason}); loosen it or narrow the space"
        return self._idle()

    def begin(self, assignment: Assignment, worker: str, from_step: int) -> None:
        """Start the attempt's time-out."""
        if self._is_stale(assignment):
            return
        if self.rules.timeout_s is not None:
            self._deadlines[assignment.key] = self._clock() + self.rules.timeout_s
        self._commit(Begun(assignment.trial, assignment.attempt, worker, from_step))

    def report(self, reports: Sequence[tuple[Assignment, Report]]) -> list[Answer]:
        """Judge each report on the history before it, and commit all of them with their answers in one transaction."""
        bodies: list[Body] = []
        answers: list[Answer] = []
        history = self.history
        for assignment, report in reports:
            answer, new = self._judge(history, assignment, report)
            history = _ahead(history, new)
            bodies += [*new, *self._sampled(assignment, report.samples)]
            answers.append(answer)
        if bodies:
            self._commit(*bodies)
        return answers

    def end(self, assignment: Assignment, outcome: Outcome) -> None:
        """Settle the trial's state; an attempt that was given up already changes nothing."""
        self._running.pop(assignment.key, None)
        self._deadlines.pop(assignment.key, None)
        sampled = self._sampled(assignment, outcome.samples)
        outcome = self._aborting.pop(assignment.key, outcome)
        if not self._is_stale(assignment):
            self._commit(*sampled, self._settle(self.history.trials[assignment.trial], outcome))

    def tick(self) -> list[Assignment]:
        """Hear interrupts and other commands' requests, and find what has run out of time."""
        self._renewal.check()
        now = self._clock()
        if now >= self._next_poll:
            self._hear()
        if self._interrupt.is_set() and not self.stopping:
            self.stopping = "interrupted"
        if self._interrupt_at_once.is_set():
            self._abort_all(Outcome(TrialState.WAITING, "interrupted"))
        if self.rules.time_is_spent(self._active_s()):
            self._abort_searched(Outcome(TrialState.CANCELLED, f"the budget's time ({self.rules.time_s:g} s) was spent"))
        for key in [key for key, deadline in self._deadlines.items() if now >= deadline]:
            self._abort(key, Outcome(TrialState.TIMED_OUT, f"ran longer than its time-out of {self.rules.timeout_s:g} s"))
        return [self._running[key] for key in self._aborting if key in self._running]

    # ---- giving out work

    def _after_the_search(self, place: Place) -> Assignment | Wait | Done:
        """The re-tests, all committed at once, as soon as nothing runs that may be among the best."""
        rest = self._idle()
        if isinstance(rest, Wait) or self.stopping or not (due := self._retests(self.history)):
            return rest
        self._commit(*due)
        return self._assign(self.history.in_state(TrialState.WAITING)[0], place)

    def _idle(self) -> Wait | Done:
        if self._running:
            return Wait(IDLE_WAIT_S)
        before = self.rules
        self._hear()
        return Done() if self.rules == before else Wait(0.0)

    def _created(self, start: Start, broken: str | None) -> TrialCreated:
        number = len(self.history)
        state = TrialState.WAITING if broken is None else TrialState.INFEASIBLE
        seed = derive_seed(self.rules.seed, "trial", number)
        return TrialCreated(
            number,
            TrialKind.SEARCH,
            start.parameters,
            seed,
            start.until_step,
            state,
            broken,
            proposed=True,
            search_state=start.search_state,
        )

    def _assign_created(self, created: TrialCreated, place: Place) -> Assignment:
        self._commit(created, Assigned(created.trial, 1, place.name, created.until_step, gpus=self._grant(None)))
        return self._assignment(created.trial)

    def _assign(self, record: TrialRecord, place: Place) -> Assignment:
        self._commit(Assigned(record.number, record.attempt + 1, place.name, record.until_step, gpus=self._grant(record)))
        return self._assignment(record.number)

    def _resume(self, resume: Resume, place: Place) -> Assignment:
        record = self.history.trials[resume.trial]
        self._commit(
            Assigned(
                resume.trial, record.attempt + 1, place.name, resume.until_step, decided=True, search_state=resume.search_state,
                gpus=self._grant(record),
            )
        )  # fmt: skip
        return self._assignment(resume.trial)

    def _assignment(self, trial: int) -> Assignment:
        record = self.history.trials[trial]
        resources, until_step = self.rules.resources, record.until_step
        if resources.packed:
            resources = replace(resources, gpus=record.gpus)
            if record.memory is None and record.kind is not TrialKind.RETEST:  # which is measured on the test split at its end
                until_step = min(until_step, record.step + 1)
        assignment = Assignment(
            record.number, record.attempt, record.kind, record.parameters, record.seed, until_step, record.checkpoint, resources=resources
        )
        self._running[assignment.key] = assignment
        return assignment

    def _grant(self, record: TrialRecord | None) -> float:
        return packing.grant(self.history, record) if self.rules.resources.packed else 0.0

    def _active_s(self) -> float:
        return self._active_before_s + self._clock() - self._began

    # ---- judging

    def _judge(self, history: History, assignment: Assignment, report: Report) -> tuple[Answer, list[Body]]:
        if self._is_stale(assignment):
            return Stop("this attempt was given up"), []
        record = history.trials[assignment.trial]
        if report.step <= record.step or record.stop is not None:
            return self._from_the_record(record), []
        reported = Reported(record.number, assignment.attempt, report.step, report.metrics, report.duration_s, report.checkpoint)
        bodies: list[Body] = [*_measured(assignment, report), reported]
        history = _ahead(history, bodies)
        answer = self._search.judge(history, reported)
        if answer != Continue(record.until_step):
            bodies.append(_answered(reported, answer, "search"))
        if isinstance(answer, Continue) and report.step < answer.until_step and (reason := self.stopping or _moves(record, history)):
            answer = Pause()
            self._given_back[assignment.key] = reason
            bodies.append(_answered(reported, answer, "controller"))
        return answer, bodies

    def _sampled(self, assignment: Assignment, samples: Sequence[Sample]) -> list[Sampled]:
        if self._is_stale(assignment):
            return []
        return [Sampled(assignment.trial, assignment.attempt, sample.taken_ms, sample.used) for sample in samples]

    def _from_the_record(self, record: TrialRecord) -> Answer:
        if record.stop is not None:
            return Stop(record.stop)
        return Continue(record.until_step)

    def _is_stale(self, assignment: Assignment) -> bool:
        record = self.history.trials[assignment.trial]
        return record.state is not TrialState.RUNNING or record.attempt != assignment.attempt

    # ---- ends

    def _settle(self, record: TrialRecord, outcome: Outcome) -> Ended:
        if record.stop is not None:  # whatever became of the epoch that the worker began before it heard of it
            return Ended(record.number, record.attempt, TrialState.PRUNED, record.stop, outcome.checkpoint)
        state, reason, retry = outcome.state, outcome.reason, False
        match state:
            case TrialState.COMPLETED if not record.reports:
                state, reason = TrialState.FAILED, reason or "ended without reporting a single step"
            case TrialState.COMPLETED if reason is None and record.step == record.until_step < self.rules.max_steps:
                state = TrialState.PAUSED
            case TrialState.PAUSED if (record.number, record.attempt) in self._given_back:
                state, reason = TrialState.WAITING, self._given_back[record.number, record.attempt]
            case TrialState.OUT_OF_MEMORY if 0 < record.gpus < 1:
                more = f"{record.gpus:g} of a GPU was too little; it is tried again with more ({reason})"
                return Ended(record.number, record.attempt, TrialState.WAITING, more, outcome.checkpoint, starved=True)
        if state is TrialState.FAILED and record.retries < self.rules.retries:
            state, retry = TrialState.WAITING, True
        return Ended(record.number, record.attempt, state, reason, outcome.checkpoint, retry)

    def _recover(self, record: TrialRecord) -> Ended:
        if record.stop is not None:
            return Ended(record.number, record.attempt, TrialState.PRUNED, record.stop)
        if record.step >= self.rules.max_steps:
            return Ended(record.number, record.attempt, TrialState.COMPLETED)
        return Ended(record.number, record.attempt, TrialState.WAITING, "the controller ended while it ran")

    def _closing(self) -> SweepClosed:
        if self.failure:
            return SweepClosed("failed", self.failure)
        if self.stopping:
            return SweepClosed("stopped", self.stopping)
        if not self.history.in_state(TrialState.COMPLETED):
            return SweepClosed("failed", "no trial completed")
        return SweepClosed("completed")

    # ---- requests and aborts

    def _hear(self) -> None:
        self._next_poll = self._clock() + REQUEST_POLL_S
        for request in self._ledger.take_requests(self._lease):
            self._obey(request)

    def _obey(self, request: Request) -> None:
        match request.kind:
            case "stop":
                self.stopping = "stopped on request"
            case "extend":
                self.extend(SweepExtended(**request.payload))
            case "cancel":
                self._cancel(int(request.payload["trial"]))
            case "enqueue":
                self._enqueue(request.payload["parameters"])

    def extend(self, extension: SweepExtended) -> None:
        """Raise the budget's totals; nothing is ever lowered."""
        extended = self.rules.extended(extension)
        if extended != self.rules:
            self._commit(extension)
            self.rules = extended

    def _cancel(self, trial: int) -> None:
        record = self.history.trials.get(trial)
        if record is None or record.state.is_terminal:
            return
        if record.state is TrialState.RUNNING:
            self._abort((trial, record.attempt), Outcome(TrialState.CANCELLED, "cancelled on request"))
        else:
            self._commit(Ended(trial, record.attempt, TrialState.CANCELLED, "cancelled on request"))

    def _enqueue(self, parameters: Mapping[str, Json]) -> None:
        number = len(self.history)
        seed = derive_seed(self.rules.seed, "trial", number)
        self._commit(TrialCreated(number, TrialKind.SEARCH, parameters, seed, self.rules.max_steps))

    def _abort(self, key: tuple[int, int], outcome: Outcome) -> None:
        self._aborting.setdefault(key, outcome)
        self._deadlines.pop(key, None)

    def _abort_searched(self, outcome: Outcome) -> None:
        """Re-tests come after the budget, and are no part of it."""
        for key, assignment in self._running.items():
            if assignment.kind is not TrialKind.RETEST:
                self._abort(key, outcome)

    def _abort_all(self, outcome: Outcome) -> None:
        for key in self._running:
            self._abort(key, outcome)

    def _commit(self, *bodies: Body) -> None:
        self._renewal.check()
        self.history = self.history.apply(self._ledger.commit(self._lease, bodies))


def _ahead(history: History, bodies: Sequence[Body]) -> History:
    """The history as it will be once `bodies` are committed; decisions never read its times."""
    return history.apply(Event(history.seq + 1 + i, 0, body) for i, body in enumerate(bodies))


def _measured(assignment: Assignment, report: Report) -> list[Measured]:
    if report.memory is None:
        return []
    return [Measured(assignment.trial, assignment.attempt, report.memory.peak_bytes, report.memory.total_bytes)]


def _moves(before: TrialRecord, history: History) -> str | None:
    """Why a trial that has just been measured goes on elsewhere: another part of a GPU suits it."""
    now = history.trials[before.number]
    if before.memory is not None or now.memory is None or (wanted := packing.grant(history, now)) == now.gpus:
        return None
    return f"measured: it goes on with {wanted:g} of a GPU, in place of {now.gpus:g}"


def _answered(reported: Reported, answer: Answer, by: Literal["search", "controller"]) -> Answered:
    match answer:
        case Continue(until_step, state):
            return Answered(reported.trial, reported.step, "continue", by, until_step, search_state=state)
        case Pause(state):
            return Answered(reported.trial, reported.step, "pause", by, search_state=state)
        case Stop(reason, state):
            return Answered(reported.trial, reported.step, "stop", by, reason=reason, search_state=state)
