"""What a sweep file may say of code of one's own, whose hyperparameters and metrics no table knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hpsearch.errors import InputError, unknown
from hpsearch.space import Categorical
from hpsearch.tasks.command_output import STEP, check_pattern
from hpsearch.tasks.command_words import check_variables, check_words, split_words

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig

_CODE_DECIDES = ("patience", "device", "precision")
"""Keys of `training` that only a built-in training loop heeds."""


def problems(config: SweepConfig) -> Iterator[tuple[str, str]]:
    """All that is wrong, each with its dotted key."""
    yield from _training(config)
    yield from _metrics(config)
    for i, constraint in enumerate(config.constraints):
        yield (
            f"constraints.{i}.metric",
            f"{constraint.metric} is not known of code of one's own before it trains; leave the constraint out, and let the code report it",
        )
    if config.task.kind == "command":
        yield from _command(config)


def _training(config: SweepConfig) -> Iterator[tuple[str, str]]:
    for name in _CODE_DECIDES:
        if getattr(config.training, name) != type(config.training).model_fields[name].default:
            yield f"training.{name}", f"is not for kind {config.task.kind}, whose own code decides; remove it"


def _metrics(config: SweepConfig) -> Iterator[tuple[str, str]]:
    declared = tuple(config.task.patterns) or config.task.metrics
    for i, objective in enumerate(config.objectives):
        if declared and objective.metric not in declared:
            key = "objective.metric" if len(config.objectives) == 1 else f"objective.{i}.metric"
            where = "task.patterns" if config.task.patterns else "task.metrics"
            yield key, f"{unknown('metric', objective.metric, declared)} (as {where} declares them)"
    if STEP in (*declared, *(objective.metric for objective in config.objectives)):
        yield "task.metrics", f"{STEP} is what a report says of itself, and no metric; name another"


def _command(config: SweepConfig) -> Iterator[tuple[str, str]]:
    if config.task.patterns and config.task.metrics:
        yield "task.metrics", "is not needed beside task.patterns, which names the metrics; remove it"
    for name, pattern in config.task.patterns.items():
        yield from _said(f"task.patterns.{name}", check_pattern, pattern)
    space = config.space
    names = (*space.parameters, *space.fixed)
    yield from _said("space", check_variables, names)
    for name, values in _texts(config):
        if any("\0" in value for value in values):
            yield f"space.{name}", "has a value with a zero byte, which no argument can hold; choose another"
    conditional = [name for name, parameter in space.parameters.items() if parameter.when]
    assert config.task.run is not None
    yield from _said("task.run", _check_run, config.task.run, names, conditional)


def _texts(config: SweepConfig) -> Iterator[tuple[str, list[str]]]:
    """The strings among the values of each hyperparameter that has some."""
    for name, parameter in config.space.parameters.items():
        if isinstance(parameter, Categorical):
            yield name, [value for value in parameter.values if isinstance(value, str)]
    yield from ((name, [value]) for name, value in config.space.fixed.items() if isinstance(value, str))


def _check_run(run: tuple[str, ...], names: tuple[str, ...], conditional: list[str]) -> None:
    check_words(split_words(run), names, conditional)


def _said(key: str, check: Callable[..., None], *arguments: object) -> Iterator[tuple[str, str]]:
    try:
        check(*arguments)
    except InputError as error:
        yield key, str(error)
