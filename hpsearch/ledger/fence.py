"""Which bodies a sweep's sequence takes: the rules that every ledger holds its writers to."""

from __future__ import annotations

from typing import NamedTuple

from hpsearch.errors import StaleAttempt
from hpsearch.events import Answered, Assigned, Begun, Body, Ended, Measured, Reported, Sampled, TrialCreated
from hpsearch.trial import TRANSITIONS, TrialState


class Standing(NamedTuple):
    """Where a trial stands: its latest attempt (0: none yet) and the last step reported by any (0: none yet)."""

    state: TrialState
    attempt: int = 0
    step: int = 0


def advance(body: Body, standing: Standing | None) -> Standing | None:
    """The standing of the body's trial after it; None where the trial does not exist or the body is the sweep's own.

    Raises:
        StaleAttempt: It speaks for an attempt that is not the trial's current one, or reports a step a second time.
    """
    match body:
        case TrialCreated():
            assert standing is None, f"{body} exists already"
            return Standing(body.state)
        case Assigned():
            assert standing is not None, body
            assert standing.attempt < body.attempt, (body, standing)
            assert TrialState.RUNNING in TRANSITIONS[standing.state], (body, standing)
            return standing._replace(state=TrialState.RUNNING, attempt=body.attempt)
        case Begun() | Measured() | Sampled():
            return _current(body, standing)
        case Reported():
            return _reported(body, standing)
        case Answered():
            assert standing is not None, body
            return standing
        case Ended():
            return _ended(body, standing)
    return None


def _current(body: Begun | Reported | Measured | Sampled, standing: Standing | None) -> Standing:
    if standing is None or standing.state is not TrialState.RUNNING or standing.attempt != body.attempt:
        raise _stale(body, standing)
    return standing


def _reported(body: Reported, standing: Standing | None) -> Standing:
    standing = _current(body, standing)
    if body.step <= standing.step:
        raise StaleAttempt(
            f"trial {body.trial}, step {body.step} was reported before (it is at step {standing.step}); the first report stands"
        )
    assert body.step == standing.step + 1, (body, standing)
    return standing._replace(step=body.step)


def _ended(body: Ended, standing: Standing | None) -> Standing:
    if standing is None or standing.attempt != body.attempt or body.state not in TRANSITIONS[standing.state]:
        raise _stale(body, standing)
    return standing._replace(state=body.state)


def _stale(body: Begun | Reported | Measured | Sampled | Ended, standing: Standing | None) -> StaleAttempt:
    now = "does not exist" if standing is None else f"is {standing.state.value}, its latest attempt {standing.attempt}"
    what = f"{type(body).__name__} of trial {body.trial}, attempt {body.attempt}"
    return StaleAttempt(f"{what} was refused, for it is not the current one: the trial {now}")
