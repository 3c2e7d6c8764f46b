"""The schedulers by name: Optuna's pruners, the options each takes, and in which words each says why it stopped a trial.

Steps count completed epochs from 1, so `n_warmup_steps: 4` lets a trial be stopped after its 4th epoch at the earliest, and a rung at 3 is
reached when 3 epochs are done. What Optuna calls "auto" is known here before the first trial: the steps of a full training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpsearch.errors import InputError, unknown
from hpsearch.search.options import Option, check_options
from hpsearch.search.samplers import quiet
from hpsearch.trial import Json

_COUNT = Option("integer", 0)
_AT_LEAST_ONE = Option("integer", 1)
_WARMUP = {"n_warmup_steps": _COUNT, "interval_steps": _AT_LEAST_ONE}
_AMONG = {"n_startup_trials": _COUNT, **_WARMUP, "n_min_trials": _AT_LEAST_ONE}
_RUNGS = {"reduction_factor": Option("integer", 2), "bootstrap_count": _COUNT}


@dataclass(frozen=True, slots=True)
class SchedulerEntry:
    """`pruner`: the class in `optuna.pruners`; None stops nothing. `steps`: what "auto", the default, comes to, given max_steps.

    `raw`: it looks at how the steps follow each other, which the best until each step would hide.
    """

    doc: str
    pruner: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    steps: Mapping[str, Callable[[int], int]] = field(default_factory=dict)
    raw: bool = False


SCHEDULERS: Mapping[str, SchedulerEntry] = {
    "auto": SchedulerEntry("median after a fifth of the epochs (three at least), for one objective and five epochs or more; else none"),
    "none": SchedulerEntry("every trial runs to its end"),
    "nop": SchedulerEntry("the same as none"),
    "median": SchedulerEntry("worse than the median of the completed trials at the same step", "MedianPruner", _AMONG),
    "percentile": SchedulerEntry(
        "not in the best `percentile` per cent of the completed trials at the same step",
        "PercentilePruner",
        {"percentile": Option("number", 0, 100), **_AMONG},
        required=("percentile",),
    ),
    "successive_halving": SchedulerEntry(
        "not in the best 1/reduction_factor of those that reached the same rung",
        "SuccessiveHalvingPruner",
        {"min_resource": Option("integer", 1, words=("auto",)), "min_early_stopping_rate": _COUNT, **_RUNGS},
        steps={"min_resource": lambda max_steps: max(1, max_steps // 100)},
    ),
    "hyperband": SchedulerEntry(
        "successive halving in several brackets that begin at different rungs",
        "HyperbandPruner",
        {"min_resource": _AT_LEAST_ONE, "max_resource": Option("integer", 1, words=("auto",)), **_RUNGS},
        steps={"max_resource": lambda max_steps: max_steps},
    ),
    "threshold": SchedulerEntry(
        "below `lower` or above `upper`",
        "ThresholdPruner",
        {"lower": Option("number", words=(None,)), "upper": Option("number", words=(None,)), **_WARMUP},
    ),
    "patient": SchedulerEntry(
        "no better for `patience` steps, and stopped by `wrapped_pruner` if there is one",
        "PatientPruner",
        {"wrapped_pruner": Option("scheduler", words=(None,)), "patience": _COUNT, "min_delta": Option("number", 0)},
        required=("patience",),
        raw=True,
    ),
    "wilcoxon": SchedulerEntry(
        "worse than the best trial, step by step, by Wilcoxon's signed-rank test",
        "WilcoxonPruner",
        {"p_threshold": Option("number", 0, 1), "n_startup_steps": _COUNT},
        raw=True,
    ),
}


SCHEDULERS_TO_COME = ("promote",)
"""Names that sweep files may hold later."""


def check_scheduler(name: str, options: Mapping[str, Json], max_steps: int) -> None:
    """Raises `InputError` where the name or an option is wrong. Imports nothing."""
    if name not in SCHEDULERS:
        if name in SCHEDULERS_TO_COME:
            raise InputError(f"scheduler {name} is not available yet; available: {', '.join(sorted(SCHEDULERS))}")
        raise InputError(unknown("scheduler", name, SCHEDULERS))
    entry, owner = SCHEDULERS[name], f"scheduler {name}"
    check_options(owner, entry.options, options)
    if missing := [option for option in entry.required if option not in options]:
        raise InputError(f"{owner} needs {missing[0]}: {entry.options[missing[0]].wanted}")
    match name:
        case "threshold":
            _check_threshold(options)
        case "hyperband":
            _check_hyperband(options, max_steps)
        case "patient":
            wrapped, inner = split(options.get("wrapped_pruner"))
            if wrapped in ("auto", "none", "nop", "patient"):
                raise InputError(f"scheduler patient cannot wrap {wrapped!r}; name another scheduler, or leave wrapped_pruner out")
            if wrapped is not None:
                check_scheduler(wrapped, inner, max_steps)


def _check_threshold(options: Mapping[str, Json]) -> None:
    lower, upper = options.get("lower"), options.get("upper")
    if lower is None and upper is None:
        raise InputError("scheduler threshold needs lower or upper: a number")
    if lower is not None and upper is not None and lower > upper:
        raise InputError(f"scheduler threshold: lower must not be above upper, got {lower:g} and {upper:g}")


def _check_hyperband(options: Mapping[str, Json], max_steps: int) -> None:
    least, most = options.get("min_resource", 1), options.get("max_resource", "auto")
    most = max_steps if most == "auto" else most
    if least > most:
        raise InputError(f"scheduler hyperband: min_resource must be at most max_resource ({most}), got {least}")


def split(scheduler: Json) -> tuple[str | None, Mapping[str, Json]]:
    """`median`, `{kind: median, n_warmup_steps: 3}` or None as a name and options."""
    if not isinstance(scheduler, Mapping):
        return scheduler, {}
    if "kind" not in scheduler:
        raise InputError(f"scheduler patient: wrapped_pruner must be a name or have a `kind`, got {dict(scheduler)!r}")
    return scheduler["kind"], {name: value for name, value in scheduler.items() if name != "kind"}


def build_pruner(name: str, options: Mapping[str, Json], max_steps: int) -> Any:
    """The Optuna pruner, None where nothing is ever stopped. All that is "auto" is resolved, so that it keeps nothing between two calls."""
    import optuna.pruners

    entry = SCHEDULERS[name]
    if entry.pruner is None:
        return None
    settings = dict(options)
    for option, steps in entry.steps.items():
        if settings.get(option, "auto") == "auto":
            settings[option] = steps(max_steps)
    if name == "patient":
        wrapped, inner = split(settings.get("wrapped_pruner"))
        settings["wrapped_pruner"] = None if wrapped is None else build_pruner(wrapped, inner, max_steps)
    try:
        with quiet():
            return getattr(optuna.pruners, entry.pruner)(**settings)
    except (ValueError, TypeError) as error:
        raise InputError(f"scheduler {name}: {error}") from error
