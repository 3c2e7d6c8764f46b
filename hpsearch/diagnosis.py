"""What a trial's reports say of its training: findings in words, with their numbers. Nothing is said of metrics that are not there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean, median
from typing import TypeAlias

from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.trial import TrialState

TRAIN, VALIDATION = "train_loss", "val_loss"
NORM, SMALLEST, LARGEST, DEAD_UNITS = DIAGNOSTIC_METRICS

Reports: TypeAlias = Sequence[Mapping[str, float]]
"""The metrics of each step, from step 1."""

FEWEST_STEPS = 5
"""A curve of fewer steps has no shape yet that could be told from chance."""

LAST_SHARE = 0.25
"""How a curve ends is what it does in its last quarter: in less of it one step decides."""

CLEAR = 0.1
"""A rise by a tenth is seen in any plot; less is common between two seeds. In the last quarter a loss that still falls by a tenth of its
whole way would have much further to go: one that falls all the way alike does a quarter of it there, one like 1/step 2 %."""

NOISES = 3
"""A rise counts if it is so many times what the loss strays from its smoothed self on average."""

HARDLY = 0.01
"""A loss that never came down by a hundredth after its first step is flat to the eye."""

RUNAWAY = 2
"""A loss that ends at so many times its first value has undone what was learned, and more."""

VANISHED = 1e-3
"""Of the largest gradient by layer, the smallest. Networks that learn were above 0.003 in every sweep that this was tried on, and mostly
above 0.02; those below 0.001 stayed at or near what guessing gives."""

EXPLODED = 300
"""In units of the loss, or of 1 where that is smaller, the gradient's norm. In the sweeps that ship none went beyond 100."""

DEAD = 0.5
"""Where half of the hidden units do nothing, a network of half the width would have done."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a training: a short name, and why it is said, with numbers."""

    name: str
    reason: str


def diagnose(reports: Reports, state: TrialState, reason: str | None = None) -> list[Finding]:
    """What is to be found in a trial, the gravest first; of one that still runs, as far as it has come.

    Args:
        reason: why the trial ended.
    """
    return list(
        chain(
            _divergence(reports, state, reason),
            _exploding_gradients(reports),
            _vanishing_gradients(reports),
            _dead_units(reports),
            _overfitting(reports),
            _underfitting(reports, state),
        )
    )


def _divergence(reports: Reports, state: TrialState, reason: str | None) -> Iterator[Finding]:
    """It ended in what is not finite, or well on its way there."""
    if state is TrialState.DIVERGED:
        yield Finding("divergence", _broken(reports) or reason or "a loss or an objective is not finite")
        return
    train, validation = _curve(reports, TRAIN), _curve(reports, VALIDATION)
    if len(train) >= FEWEST_STEPS and all(_runs_away(curve) for curve in (train, validation) if curve):
        yield Finding("divergence", f"{TRAIN} rose from {_shown(train[0])} at step 1 to about {_shown(_smooth(train)[-1])} in the end")


def _runs_away(values: Sequence[float]) -> bool:
    return _smooth(values)[-1] - values[0] > (RUNAWAY - 1) * abs(values[0])


def _broken(reports: Reports) -> str | None:
    """The loss, or else the metric, that is not finite in the last step, and since when."""
    last = reports[-1] if reports else {}
    broken = sorted((name for name, value in last.items() if not math.isfinite(value)), key=lambda name: not name.endswith("loss"))
    if not broken:
        return None
    name = broken[0]
    before = f", after {_shown(reports[-2][name])} at step {len(reports) - 1}" if len(reports) > 1 and name in reports[-2] else ""
    return f"{name} is {last[name]} at step {len(reports)}{before}"


def _exploding_gradients(reports: Reports) -> Iterator[Finding]:
    """It was far larger at some step than the loss, at its lowest, can account for."""
    norms = [(report[NORM], step) for step, report in enumerate(reports, 1) if not math.isnan(report.get(NORM, math.nan))]
    losses = [abs(report[TRAIN]) for report in reports if math.isfinite(report.get(TRAIN, math.nan))]
    largest, step = max(norms, default=(0.0, 0))
    if largest > EXPLODED * max(1.0, min(losses, default=1.0)):
        usual = median(norm for norm, _ in norms)
        yield Finding("exploding_gradients", f"{NORM} was {_shown(largest)} at step {step}; the median of all steps is {_shown(usual)}")


def _vanishing_gradients(reports: Reports) -> Iterator[Finding]:
    """Some layer gets next to nothing of the gradient, in most steps."""
    pairs = [(report[SMALLEST], report[LARGEST]) for report in reports if SMALLEST in report and LARGEST in report]
    ratios = [smallest / largest for smallest, largest in pairs if math.isfinite(smallest) and 0 < largest < math.inf]
    if len(ratios) >= FEWEST_STEPS and median(ratios) < VANISHED:
        smallest, largest = pairs[-1]
        yield Finding(
            "vanishing_gradients",
            f"the layer with the smallest gradient had {_shown(median(ratios))} of the largest one's (median of {len(ratios)} steps; "
            f"in the last {_shown(smallest)} beside {_shown(largest)})",
        )


def _dead_units(reports: Reports) -> Iterator[Finding]:
    shares = [report[DEAD_UNITS] for report in reports[-3:] if math.isfinite(report.get(DEAD_UNITS, math.nan))]
    if shares and (share := median(shares)) >= DEAD:
        yield Finding(
            "dead_units", f"{100 * share:.0f} % of the hidden units gave nothing, or were saturated, for every example in the end"
        )


def _overfitting(reports: Reports) -> Iterator[Finding]:
    """Validation has turned, and is clearly worse and beyond its noise all through the end, and training has gone on falling."""
    train, validation = _curve(reports, TRAIN), _curve(reports, VALIDATION)
    if min(len(train), len(validation)) < FEWEST_STEPS:
        return
    smooth, learned = _smooth(validation), _smooth(train)
    noise = fmean(abs(value - middle) for value, middle in zip(validation, smooth, strict=True))
    best = min(range(len(smooth)), key=lambda i: (smooth[i], validation[i]))
    risen = min(smooth[-_last(smooth) :]) - smooth[best]
    if risen > max(CLEAR * abs(smooth[best]), NOISES * noise) and learned[best] - learned[-1] > CLEAR * abs(learned[best]):
        yield Finding(
            "overfitting",
            f"{VALIDATION} rose from about {_shown(smooth[best])} at step {best + 1} to {_shown(smooth[-1])} at step {len(smooth)}, "
            f"while {TRAIN} went on falling from {_shown(learned[best])} to {_shown(learned[-1])}",
        )


def _underfitting(reports: Reports, state: TrialState) -> Iterator[Finding]:
    """Nothing was learned; or training was not cut short, and yet ended while it was still getting clearly better."""
    train, validation = _curve(reports, TRAIN), _curve(reports, VALIDATION)
    if len(train) < FEWEST_STEPS or not state.is_terminal:
        return
    lowest = min(_smooth(train))
    if train[0] - lowest < HARDLY * abs(train[0]) and not _runs_away(train):
        yield Finding("underfitting", f"{TRAIN} never came down: {_shown(train[0])} at step 1, about {_shown(lowest)} at best")
    elif state is TrialState.COMPLETED and _still_falls(train) and (not validation or _still_falls(validation)):
        smooth = _smooth(train)
        yield Finding(
            "underfitting",
            f"{TRAIN} was still falling when training ended: from about {_shown(smooth[-1 - _last(smooth)])} at step "
            f"{len(smooth) - _last(smooth)} to {_shown(smooth[-1])} at step {len(smooth)}, of {_shown(train[0])} at step 1",
        )


def _still_falls(values: Sequence[float]) -> bool:
    smooth = _smooth(values)
    return smooth[-1] == min(smooth) and smooth[-1 - _last(values)] - smooth[-1] > CLEAR * (values[0] - smooth[-1])


def _last(values: Sequence[float]) -> int:
    """How many steps are the end of a curve."""
    return max(2, math.ceil(LAST_SHARE * len(values)))


def _curve(reports: Reports, metric: str) -> list[float]:
    """The metric at each step; nothing, unless every step has it and it is finite."""
    values = [report.get(metric, math.nan) for report in reports]
    return values if all(map(math.isfinite, values)) else []


def _smooth(values: Sequence[float]) -> list[float]:
    """Each the median of itself and its neighbours; the first and the last as those beside them. No step decides alone."""
    inner = [median(values[i - 1 : i + 2]) for i in range(1, len(values) - 1)]
    return [inner[0], *inner, inner[-1]]


def _shown(value: float) -> str:
    return f"{value:.4g}"
