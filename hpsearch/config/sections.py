"""The sections of a sweep file: DESIGN §4, each key with its default, bounds and an example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_serializer, model_validator

from hpsearch.config.fields import Count, CountOrZero, Gpus, Problems, Seconds, SecondsOrZero, Section, as_tuple, printable
from hpsearch.errors import unknown
from hpsearch.space.values import show
from hpsearch.trial import Json

Name = Annotated[str, printable("a name", 200)]
Text = Annotated[str, printable("a text", 4000)]

Names = Annotated[tuple[Name, ...], BeforeValidator(as_tuple)]

FORMATS = ("csv", "parquet", "npz", "idx", "images")


_FORMATS_OF = {"size": ("images",), "channels": ("images",), "categorical": ("csv", "parquet")}
"""Keys of data that only some formats know."""


class DataConfig(Section):
    """Data of one's own: a file or folder, relative to the sweep file."""

    csv: Text | None = Field(None, description="A CSV file with a header.", examples=["my.csv"])
    parquet: Text | None = Field(None, description="A Parquet file.", examples=["my.parquet"])
    npz: Text | None = Field(None, description="A NumPy archive.", examples=["my.npz"])
    idx: Text | None = Field(None, description="A folder of IDX files, as MNIST comes.", examples=["mnist"])
    images: Text | None = Field(None, description="A folder that has a folder of images for each class.", examples=["flowers"])
    target: Name | None = Field(None, description="The column to predict.", examples=["price"])

    categorical: Names = Field((), description="Columns of numbers that are no quantities.", examples=[["zip"]])
    size: Count | None = Field(None, description="Of images: the height and width that all are brought to.", examples=[32])
    channels: Literal["rgb", "grey"] | None = Field(None, description="Of images; by default grey if all are.", examples=["grey"])
    text: Name | None = Field(None, description="Of kind text_classification: the column of texts.", examples=["review"])
    time: Name | None = Field(None, description="Of kind forecasting: the column that orders the rows.", examples=["date"])

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = [name for name in FORMATS if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise Problems.one(f"must name one of {', '.join(FORMATS)}, got {got}; for example {{csv: my.csv, target: price}}")
        for name, formats in _FORMATS_OF.items():
            if getattr(self, name) not in (None, ()) and given[0] not in formats:
                raise Problems.one(f"is only for data of {' or '.join(formats)}, and these are {given[0]}; remove it", name)
        return self

    @property
    def format(self) -> str:
        """csv, parquet, npz, idx or images."""
        return next(name for name in FORMATS if getattr(self, name) is not None)

    @property
    def path(self) -> str:
        """As the file writes it; relative to `SweepConfig.directory`."""
        path: str = getattr(self, self.format)
        return path


class SplitConfig(Section):
    """Shares of the data for validation and test; the rest trains."""

    validation: float = Field(0.15, gt=0, lt=1, description="The share that the search compares trials on.", examples=[0.15])
    test: float = Field(0.15, ge=0, lt=1, description="The share that is kept for the end.", examples=[0.15])
    seed: CountOrZero = Field(0, description="Of the shuffle.", examples=[0])

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.validation + self.test > 0.999:
            raise Problems.one(
                f"validation {self.validation:g} and test {self.test:g} leave nothing to train on; "
                "make their sum less than 1, for example 0.15 each"
            )
        return self


def _kind_of_data(value: Any) -> str | None:
    return "<name>" if isinstance(value, str) else "<file>" if isinstance(value, Mapping | DataConfig) else None


def _command(value: Any) -> Any:
    return (value,) if isinstance(value, str) else as_tuple(value)


Data = Annotated[Annotated[Name, Tag("<name>")] | Annotated[DataConfig, Tag("<file>")], Discriminator(_kind_of_data)]
Label = Annotated[str | int | float | bool, Field(union_mode="smart")]
Labels = Annotated[tuple[Label, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str | int | float) else as_tuple(value))]
_TEXTS = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Command = Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(_command), WithJsonSchema(_TEXTS)]

OWN_CODE = ("function", "command")
"""Kinds of task whose code is the user's own."""

# Names alone: what they stand for is the table in tasks/, to which a test holds them.
KINDS = (
    "classification", "regression", "forecasting", "text_classification", "anomaly_detection", "generation", "clustering", *OWN_CODE,
)  # fmt: skip

_ONLY_FOR = {
    "attack": ("classification",),
    "target": ("function",),
    "run": ("command",),
    "patterns": ("command",),
    "resumable": OWN_CODE,
    "horizon": ("forecasting",),
    "season": ("forecasting",),
    "normal": ("anomaly_detection",),
}


class AttackConfig(Section):
    """What `robust_accuracy` is measured under, the same for all trials; it is reported where this is given."""

    kind: Literal["fgsm", "pgd"] = Field("pgd", description="One step of the gradient's sign, or several, projected.", examples=["pgd"])
    epsilon: float = Field(0.1, gt=0, le=1, description="The largest change of a pixel; 1 is from darkest to lightest.", examples=[0.1])
    steps: Count | None = Field(None, description="Of pgd; null: 10.", examples=[10])

    @model_validator(mode="after")
    def _takes_steps(self) -> Self:
        if self.steps is not None and self.kind == "fgsm":
            raise Problems.one(f"is only for kind pgd, got {self.steps} for fgsm, which takes one step; remove it", "steps")
        return self


class TaskConfig(Section):
    """What is trained, and on what."""

    kind: Name = Field(description="classification, regression, ...", examples=["classification"])
    data: Data | None = Field(None, description="A built-in data set, or a file of your own.", examples=["digits"])
    model: Name | None = Field(None, description="The family of networks.", examples=["mlp"])
    split: SplitConfig = Field(SplitConfig(), description="Shares for validation and test.", examples=[{"validation": 0.15, "test": 0.15}])
    metrics: Names = Field((), description="Metrics to report besides the usual ones.", examples=[["val_f1"]])
    attack: AttackConfig | None = Field(
        None,
        description="On images, of kind classification: report robust_accuracy under this.",
        examples=[{"kind": "pgd", "epsilon": 0.1}],
    )
    target: Text | None = Field(None, description="Of kind function: `module:function`.", examples=["my_training:train"])
    run: Command | None = Field(
        None, description="Of kind command: what to run, in words or as a shell would split it.", examples=["python train.py"]
    )
    patterns: dict[Name, Text] = Field(
        {},
        description="Of kind command: for each metric a regular expression whose group finds its number in what is printed.",
        examples=[{"val_loss": r"val_loss: (\S+)"}],
    )
    resumable: bool | None = Field(
        None, description="Of kind function or command: whether it can go on from a checkpoint; by default true.", examples=[True]
    )

    horizon: Count | None = Field(None, description="Of kind forecasting: how many steps ahead; by default 1.", examples=[12])
    season: Count | None = Field(None, description="Of kind forecasting: after how many steps it repeats itself.", examples=[24])
    normal: Labels = Field((), description="Of kind anomaly_detection: the values of the target that are normal.", examples=[[0]])

    @model_validator(mode="after")
    def _suits_its_kind(self) -> Self:
        for name, kinds in _ONLY_FOR.items() if self.kind in KINDS else ():  # another kind is refused by name
            if getattr(self, name) not in (None, (), {}) and self.kind not in kinds:
                cure = "the column to predict goes into task.data" if name == "target" else "remove it"
                raise Problems.one(f"is only for kind {' or '.join(kinds)}, and the kind is {self.kind}; {cure}", name)
        return self

    @model_validator(mode="after")
    def _leaves_own_code_alone(self) -> Self:
        if self.kind not in OWN_CODE:
            return self
        for name in ("data", "model", "split"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise Problems.one(f"is not for kind {self.kind}, whose code brings its own; remove it", name)
        needed, example = {"function": ("target", "my_training:train"), "command": ("run", "python train.py --lr {learning_rate}")}[
            self.kind
        ]
        if getattr(self, needed) is None:
            raise Problems.one(f"must have {needed} for kind {self.kind}; for example {{kind: {self.kind}, {needed}: {example}}}")
        return self


class ObjectiveConfig(Section):
    """What to optimise."""

    metric: Name = Field(description="As the task reports it.", examples=["val_accuracy"])
    goal: Literal["maximize", "minimize"] = Field(description="Which way is better.", examples=["maximize"])
    at: Literal["last", "best"] = Field("last", description="A trial counts with its last step, or its best.", examples=["last"])


class TrainingConfig(Section):
    """One trial's full training."""

    epochs: Count = Field(20, description="Passes over the training data.", examples=[20])
    patience: Count | None = Field(None, description="End after so many epochs without a better objective.", examples=[5])
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32", description="Of the arithmetic; on a CPU tf32 is plain fp32.", examples=["fp32"]
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to train.", examples=["auto"])
    checkpoint_every: SecondsOrZero = Field(10.0, description="At most so often is a checkpoint saved.", examples=["10s"])


class Named(Section):
    """A sampler or scheduler by name, with its options: `tpe`, or `{kind: tpe, n_startup_trials: 20}`."""

    kind: Name = Field(examples=["auto"])
    options: Mapping[str, Any] = Field({})

    @model_serializer
    def _flat(self) -> dict[str, Json]:
        return {"kind": self.kind, **self.options}


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, Named):
        return value
    if not isinstance(value, Mapping):
        raise Problems.one(f"must be a name such as auto, or {{kind: NAME, OPTION: VALUE}}, got {show(value)}")
    kind = {"kind": value["kind"]} if "kind" in value else {}
    return {**kind, "options": {key: option for key, option in value.items() if key != "kind"}}


_NAMED = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}]}
NamedField = Annotated[Named, BeforeValidator(_named), WithJsonSchema(_NAMED)]


class SearchConfig(Section):
    """How new configurations are found, and which trials are stopped early."""

    sampler: NamedField = Field(
        Named(kind="auto"), description="auto, random, grid, qmc, tpe, gp; or {kind: ..., options}.", examples=["auto"]
    )
    scheduler: NamedField = Field(
        Named(kind="auto"), description="auto, none, median, hyperband, ...; or {kind: ..., options}.", examples=["auto"]
    )
    seed: CountOrZero = Field(0, description="Same seed, same search.", examples=[0])


class BudgetConfig(Section):
    """When the search ends: whichever is spent first."""

    trials: Count | None = Field(None, description="Configurations to try, the baseline among them.", examples=[60])
    time: Seconds | None = Field(None, description="Wall time of the search.", examples=["30m"])
    total_epochs: Annotated[int, Field(ge=1, le=2**53)] | None = Field(None, description="Epochs of all trials together.", examples=[1000])

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if self.trials is None and self.time is None and self.total_epochs is None:
            raise Problems.one("is a budget of nothing; give trials, time or total_epochs, for example {trials: 60}")
        return self


class ResourcesConfig(Section):
    """Where trials run, and what each may use."""

    executor: Name = Field("process", description="process, inline, ray.", examples=["process"])
    workers: Count | None = Field(None, description="Trials at a time; null: as many as the machine has room for.", examples=[2])
    cpus: Count = Field(1, description="Of one trial.", examples=[1])
    gpus: Gpus = Field(
        0.0, description="Of one trial; auto: as small a part of one as the trial's memory needs, as measured.", examples=[0.25]
    )
    timeout: Seconds | None = Field(None, description="Of one attempt, from its begin.", examples=["10m"])
    retries: CountOrZero = Field(1, description="After an error or a crash.", examples=[1])


class WinnerConfig(Section):
    """What happens after the budget: the best few are trained again on fresh seeds and tested."""

    top: CountOrZero = Field(0, description="How many; 0 leaves it out.", examples=[3])
    seeds: Count = Field(3, description="Trainings of each.", examples=[3])


def _as_text(value: Any) -> Any:
    return value if isinstance(value, str) or not isinstance(value, int | float) else show(value)


def _of_ones_own(value: Any) -> Any:
    for taken in ("mlflow.", "hpsearch."):
        if isinstance(value, str) and value.startswith(taken):
            raise Problems.one(f"must not begin with {taken}, as those tags are set by the program itself, got {show(value)}; rename it")
    return value


TagKey = Annotated[str, BeforeValidator(_of_ones_own), printable("a tag", 250)]
TagValue = Annotated[Text, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]


class TrackingConfig(Section):
    """What MLflow is told besides the trials."""

    register_as: Name | None = Field(
        None,
        alias="register",
        description="Register the winner's network under this name.",
        examples=["digits-mlp"],
    )
    tags: dict[TagKey, TagValue] = Field({}, description="Of the sweep's run.", examples=[{"team": "vision"}])
    experiment: Name | None = Field(None, description="The MLflow experiment; by default the sweep's name.", examples=["digits"])

    @property
    def register(self) -> str | None:
        """A field of this name would hide a method of pydantic's."""
        return self.register_as


NEWS = ("end", "failure", "best")
"""What a webhook can be told of."""

_URL_KEYS = ("url", "webhook", "webhook_url")
_NO_URL = (
    "must not hold the webhook's URL, which is a secret, where a sweep file is kept and shown; take it out here, and set HPSEARCH_WEBHOOK "
    "to it, or HPSEARCH_WEBHOOK_FILE to a file that holds it"
)


def _has_url(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(key in _URL_KEYS or _has_url(key) or _has_url(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return any(map(_has_url, value))
    return isinstance(value, str) and "://" in value


def _news(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise Problems.one(f"must be a list such as [{', '.join(NEWS)}], got {show(value)}")
    if wrong := [((i,), unknown("event", item, NEWS)) for i, item in enumerate(value) if item not in NEWS]:
        raise Problems(wrong)
    return tuple(dict.fromkeys(value))


News = Annotated[tuple[Literal["end", "failure", "best"], ...], BeforeValidator(_news)]


class NotifyConfig(Section):
    """What a webhook is told of. Its URL is a secret: it comes from the environment, HPSEARCH_WEBHOOK."""

    on: News = Field((), description="The sweep's end, failures, a new best trial.", examples=[list(NEWS)])

    @model_validator(mode="before")
    @classmethod
    def _holds_no_url(cls, value: Any) -> Any:
        if _has_url(value):
            raise Problems.one(_NO_URL)
        return value
