"""Turns a sweep file's names into objects: the one place that does. What it lets through can be run, if its data are good."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.config import SweepConfig
from hpsearch.config.home import Home
from hpsearch.config.sections import BudgetConfig, DataConfig
from hpsearch.errors import ConfigError, DataError, InputError, StorageError, unknown
from hpsearch.events import TrialCreated
from hpsearch.executors import EXECUTORS
from hpsearch.executors.job import Job, Room, checkpoints_of
from hpsearch.executors.ray_local import address_to_join
from hpsearch.models import MODELS
from hpsearch.models.hyperparameter import Hyperparameter
from hpsearch.packing import GRANTS
from hpsearch.rules import Rules
from hpsearch.search import OptunaSearch, check_search
from hpsearch.space import Categorical, Parameter
from hpsearch.tasks import TASKS, Labelled, Task, TaskEntry, own_code_plan
from hpsearch.tracking.model import fitting_model_name, problem_of_name
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS
from hpsearch.training.s3 import check_url, is_url
from hpsearch.training.storage import probe, reason
from hpsearch.trial import Executor, Json, Resources, TrialKind, derive_seed
from hpsearch.winner import Retests

if TYPE_CHECKING:
    from hpsearch.tasks.label_errors import LabelCheck

STATIC_METRICS = ("parameters",)
"""What a constraint may bound: known of a configuration before it trains."""


_WHAT_IS_PREPARED = {"function": "task.target", "command": "task.run"}
"""The key that errors of preparing belong to, where it is not `task.data`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep file that has been checked as far as it can be without its data, and the parts that it names."""

    config: SweepConfig
    task: Task
    executor_name: str
    address: str | None = None

    def rules(self, budget: BudgetConfig) -> Rules:
        """What the controller goes by, with the budget that the sweep was begun with."""
        config = self.config
        return Rules(
            seed=config.search.seed,
            max_steps=config.training.epochs,
            trials=budget.trials,
            total_epochs=budget.total_epochs,
            time_s=budget.time,
            resources=_of_one_trial(config),
            timeout_s=config.resources.timeout,
            retries=config.resources.retries,
        )

    def retests(self) -> Retests:
        """What is trained again when the search is over."""
        config = self.config
        return Retests(config.winner.top, config.winner.seeds, config.search.seed, config.training.epochs)

    def search(self, trials: int | None) -> OptunaSearch:
        """Optuna, by the file's names. What `auto` means depends on `trials`: the sweep's budget as it was begun, however extended."""
        return OptunaSearch(**{**_search_arguments(self.config), "trials": trials})

    def executor(self, home: Home) -> Executor:
        """Where the file (or the command line) wants the trials to run."""
        name, resources = self.config.name, self.config.resources
        job = Job(
            self.task,
            checkpoints_of(self.config, home),
            home.logs / name,
            self.config.training.checkpoint_every,
            home.outputs / name,
            None if self.config.storage is None else home.checkpoints / name,
        )
        address = self.address or (address_to_join(home) if self.executor_name == "ray" else None)
        room = Room(resources.workers, _of_one_trial(self.config), address, home.root)
        target = EXECUTORS[self.executor_name]
        assert target is not None
        module, _, kind = target.partition(":")
        executor: Executor = getattr(importlib.import_module(module), kind)(job, room)
        return executor

    def check_storage(self, home: Home) -> None:
        """Write to where checkpoints go, and read there. Raises `StorageError`."""
        if self.config.storage is None:
            return  # the home was made, or is there
        where = checkpoints_of(self.config, home)
        try:
            probe(where)
        except OSError as error:
            cure = (
                "see that credentials, endpoint and bucket are right" if is_url(str(where)) else "mend its rights, or choose another folder"
            )
            raise StorageError(f"{where}, where checkpoints go, cannot be written and read: {reason(error)}; {cure}") from None

    def prepare(self, home: Home) -> None:
        """Bring the data to the workers' machine, and check what needs them. Raises `DataError`, `ConfigError`."""
        with _at(self.config, _WHAT_IS_PREPARED.get(self.config.task.kind, "task.data")):
            self.task.prepare(home.data / self.config.name)
        for i, parameters in enumerate(self.config.baseline):
            if broken := self.broken_constraint(self.config.space.complete(parameters)):
                raise ConfigError(
                    f"{self.config.where(f'baseline.{i}')}: the baseline breaks a constraint ({broken}); loosen it or change the baseline"
                )

    def check_labels(self) -> LabelCheck:
        """Labels of the data that are probably wrong. Raises `InputError` for a task without labels, `DataError`."""
        if not isinstance(self.task, Labelled):
            raise InputError(f"--labels: a task of kind {self.config.task.kind} has no classes whose labels could be wrong; leave it out")
        with _at(self.config, "task.data"):
            return self.task.check_labels()

    def broken_constraint(self, parameters: Mapping[str, Json]) -> str | None:
        """The first constraint that a configuration breaks, in words; None where it may be trained."""
        if not self.config.constraints:
            return None
        metrics = self.task.static_metrics(parameters)
        broken = (c.describe(metrics[c.metric]) for c in self.config.constraints if c.violation(metrics[c.metric]) > 0)
        return next(broken, None)

    def baselines(self) -> list[TrialCreated]:
        """The trials that a new sweep begins with."""
        seed, epochs = self.config.search.seed, self.config.training.epochs
        return [
            TrialCreated(i, TrialKind.BASELINE, self.config.space.complete(parameters), derive_seed(seed, "trial", i), epochs)
            for i, parameters in enumerate(self.config.baseline)
        ]


def make_plan(config: SweepConfig, executor: str | None = None, address: str | None = None) -> Plan:
    """Check every name of a sweep file. Raises `ConfigError`, naming file, line and the nearest known name.

    Args:
        executor: in place of the file's `resources.executor`.
        address: of a Ray cluster.
    """
    entry = _task_entry(config)
    if entry.is_own_code:
        _check_own_code(config)
    else:
        _check_data(config, entry)
        _check_hyperparameters(config, _hyperparameters(config, entry))
        _check_metrics(config, entry)
    _check_registration(config, entry)
    _check_storage(config)
    name = config.resources.executor if executor is None else executor
    with _at(config, "resources.executor") if executor is None else _at_the_command_line(f"--executor {executor}"):
        _check_executor(name)
        if config.resources.gpus and name != "ray":
            asked = config.resources.gpus if config.resources.gpus == "auto" else f"{config.resources.gpus:g}"
            raise InputError(f"{name} gives trials no GPU of their own, and resources.gpus is {asked}; use executor ray")
    if config.resources.gpus == "auto":
        _check_packing(config)
    if address is not None:
        with _at_the_command_line(f"--address {address}"):
            _check_address(address, name)
    with _at(config, "search.sampler"):
        check_search(**{**_search_arguments(config), "scheduler": "none", "scheduler_options": {}})
    with _at(config, "search.scheduler"):
        check_search(**_search_arguments(config))
    return Plan(config, entry.make(config), name, address)


@contextmanager
def _at(config: SweepConfig, key: str) -> Iterator[None]:
    """Say where in the file it is wrong."""
    try:
        yield
    except ConfigError:
        raise
    except (InputError, ValueError) as error:
        kind = DataError if isinstance(error, DataError) else ConfigError
        raise kind(f"{config.where(key)}: {key}: {error}") from None


@contextmanager
def _at_the_command_line(option: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise ConfigError(f"command line, {option}: {error}") from None


def _task_entry(config: SweepConfig) -> TaskEntry:
    with _at(config, "task.kind"):
        if config.task.kind not in TASKS:
            raise InputError(unknown("task", config.task.kind, TASKS))
    return TASKS[config.task.kind]


def _check_own_code(config: SweepConfig) -> None:
    for key, problem in own_code_plan.problems(config):
        with _at(config, key):
            raise InputError(problem)


def _check_data(config: SweepConfig, entry: TaskEntry) -> None:
    data = config.task.data
    with _at(config, "task.data"):
        if data is None:
            raise InputError(
                f"what to train on is missing; name a built-in set ({', '.join(entry.data)}) or a file, such as {{csv: my.csv, target: y}}"
            )
        if isinstance(data, str) and data not in entry.data:
            raise InputError(f"{unknown('data set', data, entry.data)}, or a file of your own such as {{csv: {data}, target: y}}")
        if not isinstance(data, str) and data.format not in entry.formats:
            raise InputError(f"{data.format} is not available yet for {config.task.kind}; available: {', '.join(entry.formats)}")
    if isinstance(data, DataConfig):
        _check_columns(config, data, entry)


def _check_columns(config: SweepConfig, data: DataConfig, entry: TaskEntry) -> None:
    """Each kind of task knows keys of its own that name columns."""
    for name in sorted({name for each in TASKS.values() for name in each.columns} - {*entry.columns}):
        with _at(config, f"task.data.{name}"):
            if getattr(data, name):
                kinds = " or ".join(kind for kind, each in TASKS.items() if name in each.columns)
                raise InputError(f"is only for kind {kinds}, and the kind is {config.task.kind}; remove it")
    with _at(config, "task.data"):
        if "text" in entry.columns and data.text is None:
            raise InputError(f"say which column holds the texts, as in {{{data.format}: {data.path}, text: review, target: label}}")


def _hyperparameters(config: SweepConfig, entry: TaskEntry) -> dict[str, Hyperparameter]:
    with _at(config, "task.model"):
        model = config.task.model or entry.models[0]
        if model not in entry.models:
            raise InputError(unknown("model", model, entry.models))
    known = (*MODELS[model].hyperparameters, *TRAINING_HYPERPARAMETERS, *entry.hyperparameters)
    return {hyperparameter.name: hyperparameter for hyperparameter in known}


def _check_hyperparameters(config: SweepConfig, known: Mapping[str, Hyperparameter]) -> None:
    for name, values in _extremes(config):
        with _at(config, f"space.{name}"):
            if name not in known:
                raise InputError(unknown("hyperparameter", name, known))
            for value in values:
                known[name].check(value)
        _check_effect(config, known, name)


def _check_effect(config: SweepConfig, known: Mapping[str, Hyperparameter], name: str) -> None:
    """What is fixed may do nothing: an exported configuration has it from a space where it did."""
    if name not in config.space.parameters:
        return
    for parent, needed in known[name].only_with.items():
        is_conditional = parent in config.space.parameters[name].when
        if not is_conditional and not any(value in needed for value in _possible(config, known[parent])):
            with _at(config, f"space.{name}"):
                wanted = " or ".join(map(str, needed))
                raise InputError(f"does nothing, as it is only for {parent} {wanted}, which the space never has; leave it out")


def _possible(config: SweepConfig, hyperparameter: Hyperparameter) -> list[Json]:
    """The values that the space may give it."""
    name = hyperparameter.name
    if name in config.space.parameters:
        return _bounds(config.space.parameters[name])
    return [config.space.fixed.get(name, hyperparameter.default)]


def _extremes(config: SweepConfig) -> Iterable[tuple[str, list[Json]]]:
    """The values of each hyperparameter that show whether all of them are allowed: its choices, or its bounds."""
    for name, parameter in config.space.parameters.items():
        yield name, _bounds(parameter)
    for name, value in config.space.fixed.items():
        yield name, [value]


def _bounds(parameter: Parameter) -> list[Any]:
    return list(parameter.values) if isinstance(parameter, Categorical) else [parameter.min, parameter.max]


_WAYS = {"maximize": "larger", "minimize": "smaller"}


def _check_metrics(config: SweepConfig, entry: TaskEntry) -> None:
    for i, objective in enumerate(config.objectives):
        key = "objective.metric" if len(config.objectives) == 1 else f"objective.{i}.metric"
        with _at(config, key):
            _check_metric(config.task.kind, objective.metric, entry)
        with _at(config, key.replace("metric", "goal")):
            if objective.goal != (better := entry.metrics[objective.metric]):
                raise InputError(f"{objective.metric} is better the {_WAYS[better]} it is: the goal must be {better}, got {objective.goal}")
    with _at(config, "task.metrics"):
        for metric in config.task.metrics:
            _check_metric(config.task.kind, metric, entry)
    for i, constraint in enumerate(config.constraints):
        with _at(config, f"constraints.{i}.metric"):
            if constraint.metric not in STATIC_METRICS:
                raise InputError(unknown("metric known before training", constraint.metric, STATIC_METRICS))


def _check_metric(kind: str, metric: str, entry: TaskEntry) -> None:
    if metric in DIAGNOSTIC_METRICS:
        known = ", ".join(entry.metrics)
        raise InputError(f"{metric} is a diagnostic: it is always reported, and no search goes by it; metrics of {kind}: {known}")
    if metric not in entry.metrics:
        raise InputError(unknown(f"metric of {kind}", metric, entry.metrics))


def _check_executor(name: str) -> None:
    if name not in EXECUTORS:
        raise InputError(unknown("executor", name, EXECUTORS))
    if EXECUTORS[name] is None:
        available = ", ".join(sorted(known for known, target in EXECUTORS.items() if target))
        raise InputError(f"{name} is not available yet; available: {available}")


def _of_one_trial(config: SweepConfig) -> Resources:
    """With `gpus: auto` the least that it may get."""
    cpus, gpus = config.resources.cpus, config.resources.gpus
    return Resources(cpus, GRANTS[0], packed=True) if gpus == "auto" else Resources(cpus, gpus)


def _check_packing(config: SweepConfig) -> None:
    """Memory is measured in the worker, and a trial moves to its part of a GPU by its checkpoint."""
    with _at(config, "resources.gpus"):
        if config.training.device == "cpu":
            raise InputError("auto measures what trials take of a GPU, and training.device is cpu; use a number, or another device")
        if config.task.kind == "command":
            raise InputError("auto cannot see what a command takes of a GPU; give the part that suits it, such as 0.25")
        if config.task.resumable is False:
            raise InputError("auto moves a trial that it has measured, and task.resumable is false; give a number, such as 0.25")


def _check_address(address: str, executor: str) -> None:
    if executor != "ray":
        raise InputError(f"is of a Ray cluster, and the executor is {executor}; add --executor ray")
    if address.startswith("ray://"):
        raise InputError(
            "Ray Tune cannot be driven by the Ray client; give the head's own address, such as HOST:6379, from a machine of the cluster"
        )


def _check_registration(config: SweepConfig, entry: TaskEntry) -> None:
    """A model is registered of the winner, whose network hpsearch has trained."""
    if (name := config.tracking.register) is None:
        return
    with _at(config, "tracking.register"):
        if entry.is_own_code:
            raise InputError(
                f"is not for kind {config.task.kind}, whose own code alone knows its network; leave it out, and let the code log its model"
            )
        if not config.winner.top:
            raise InputError(
                "registers the winner, and winner.top is 0, so there is none; ask for one as in `winner: {top: 3}`, or leave this out"
            )
        if problem := problem_of_name(name):
            raise InputError(f"{problem}, got {name!r}; choose another such as {fitting_model_name(name)!r}")


def _check_storage(config: SweepConfig) -> None:
    if config.storage is None:
        return
    with _at(config, "storage"):
        if is_url(config.storage):
            check_url(config.storage)
        else:
            _check_tilde(config.storage)


def _check_tilde(path: str) -> None:
    try:
        Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"cannot tell whose home {path} is: {error}; give the path in full") from None


def _search_arguments(config: SweepConfig) -> dict[str, Any]:
    search = config.search
    return {
        "space": config.space,
        "objectives": config.objectives,
        "sampler": search.sampler.kind,
        "sampler_options": search.sampler.options,
        "scheduler": search.scheduler.kind,
        "scheduler_options": search.scheduler.options,
        "seed": search.seed,
        "max_steps": config.training.epochs,
        "trials": config.budget.trials,
    }
