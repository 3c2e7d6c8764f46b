"""The sweep file as typed, frozen data. What its names stand for is not known here, and nothing behind this sees YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from hpsearch.config.checks import cross_check
from hpsearch.config.fields import Problems, Section, as_tuple, printable
from hpsearch.config.origin import Origin
from hpsearch.config.sections import (
    NEWS,
    BudgetConfig,
    NotifyConfig,
    ObjectiveConfig,
    ResourcesConfig,
    SearchConfig,
    TaskConfig,
    Text,
    TrackingConfig,
    TrainingConfig,
    WinnerConfig,
)
from hpsearch.config.space_file import Configuration, ConstraintField, SpaceField
from hpsearch.config.wording import problems_of, say
from hpsearch.errors import ConfigError
from hpsearch.space.values import show
from hpsearch.trial import Json, Objective


def _file_name(value: Any) -> Any:
    """Sweeps are folders and words of a command line too."""
    if isinstance(value, str):
        cure = value.strip().replace("/", "-").replace("\\", "-").lstrip(".-") or "my-sweep"
        for wrong, fact in (("/", "no slash"), ("\\", "no backslash")):
            if wrong in value:
                raise Problems.one(f"must have {fact}, got {show(value)}; for example {cure}")
        if value != value.strip() or value[0] in ".-":
            raise Problems.one(f"must not begin with a dot or dash, nor begin or end with a space, got {show(value)}; for example {cure}")
    return value


def _objectives(value: Any) -> Any:
    if not isinstance(value, Mapping | list | tuple):
        example = "{metric: val_accuracy, goal: maximize}"
        raise Problems.one(f"must be a mapping such as {example}, or a list of them, got {show(value)}")
    return (value,) if isinstance(value, Mapping) else tuple(value)


SweepName = Annotated[str, BeforeValidator(_file_name), printable("a name", 200)]
Objectives = Annotated[tuple[ObjectiveConfig, ...], Field(min_length=1), BeforeValidator(_objectives)]
Constraints = Annotated[tuple[ConstraintField, ...], BeforeValidator(as_tuple)]
Configurations = Annotated[tuple[Configuration, ...], BeforeValidator(as_tuple)]


class SweepConfig(Section):
    """A whole sweep file, checked. Frozen; `load` makes it from a file, `from_json` from what `to_json` gave."""

    name: SweepName = Field(description="Unique in the store; by default the file's name.", examples=["digits-mlp"])
    task: TaskConfig = Field(examples=[{"kind": "classification", "data": "digits", "model": "mlp"}])
    objective: Objectives = Field(
        description="What to optimise: one, or a list of several.", examples=[{"metric": "val_accuracy", "goal": "maximize"}]
    )
    space: SpaceField = Field(
        description="What may vary, and what is fixed.", examples=[{"learning_rate": {"min": 1e-5, "max": 0.1, "log": True}}]
    )
    baseline: Configurations = Field(
        (), description="Configurations of the space that are tried first: what to beat.", examples=[[{"learning_rate": 0.001}]]
    )
    constraints: Constraints = Field(
        (), description="Bounds on what is known before training.", examples=[[{"metric": "parameters", "max": 200000}]]
    )
    training: TrainingConfig = Field(TrainingConfig(), examples=[{"epochs": 20}])
    search: SearchConfig = Field(SearchConfig(), examples=[{"sampler": "auto", "scheduler": "auto", "seed": 0}])
    budget: BudgetConfig = Field(examples=[{"trials": 60}])
    resources: ResourcesConfig = Field(ResourcesConfig(), examples=[{"workers": 2}])
    winner: WinnerConfig = Field(WinnerConfig(), examples=[{"top": 3, "seeds": 3}])
    tracking: TrackingConfig = Field(TrackingConfig(), examples=[{"tags": {"team": "vision"}}])
    notify: NotifyConfig = Field(NotifyConfig(), examples=[{"on": list(NEWS)}])
    storage: Text | None = Field(
        None,
        description="Where checkpoints go: a folder that all workers share, or s3://BUCKET/PREFIX; null: the home.",
        examples=["s3://bucket/sweeps"],
    )

    _origin: Origin = PrivateAttr(default_factory=lambda: Origin("sweep", Path.cwd()))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := cross_check(self):
            raise Problems(problems)
        return self

    @classmethod
    def checked(cls, data: Mapping[str, Json], origin: Origin) -> Self:
        """From a file's data. Raises `ConfigError`, with a line for each thing that is wrong."""
        try:
            config = cls.model_validate(data)
        except ValidationError as error:
            wrong = problems_of(error, cls, data)
        else:
            config._origin = origin
            return config
        raise ConfigError("\n".join(say(origin, path, text) for path, text in wrong))

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Self:
        """What `to_json` gave. Raises `ConfigError`."""
        contents = {key: value for key, value in data.items() if key != "directory"}
        directory = Path(str(data.get("directory") or Path.cwd()))
        return cls.checked(contents, Origin(f"sweep {data.get('name', '')}".strip(), directory))

    def to_json(self) -> dict[str, Json]:
        """All of it, defaults filled in, with the folder that its paths are relative to. Durations are in seconds."""
        return {**self.model_dump(mode="json", by_alias=True), "directory": str(self.directory)}

    def where(self, key: str) -> str:
        """`digits.yaml, line 9`: where a dotted key, or the nearest above it, is written."""
        return self._origin.where(key)

    @property
    def directory(self) -> Path:
        """The folder that relative paths of the file start from."""
        return self._origin.directory

    @property
    def file(self) -> Path | None:
        """That it was read from; None where it was not."""
        return self.directory / self._origin.source if self._origin.places else None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised, in the words of the rooms below."""
        return tuple(Objective(o.metric, o.goal, o.at) for o in self.objective)
