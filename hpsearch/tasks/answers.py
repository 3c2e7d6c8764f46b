"""What a trained network says of examples, in words that its user has: classes, numbers in their own units, clusters, scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.tasks.forms import FORMS, Array, Columns, Frame
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn


class Answer(Protocol):
    """From a network in evaluation mode, and encoded examples, to what is said of them."""

    kind: ClassVar[str]

    def __call__(self, network: nn.Module, inputs: torch.Tensor) -> Frame | NDArray[Any]:
        """One row an example, but for forecasts."""

    def to_json(self) -> dict[str, Json]: ...

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self: ...


@dataclass(frozen=True, slots=True)
class Classes:
    """`prediction`, the class that is most probable, and the probability of each class."""

    kind: ClassVar[str] = "classes"

    names: tuple[Json, ...]

    def __call__(self, network: nn.Module, inputs: torch.Tensor) -> Frame:
        import pandas as pd

        probabilities = network(inputs).softmax(1).double().cpu().numpy()
        chosen = [self.names[index] for index in probabilities.argmax(1)]
        each = {f"probability of {name}": probabilities[:, index] for index, name in enumerate(self.names)}
        return pd.DataFrame({"prediction": chosen, **each})

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "names": list(self.names)}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(tuple(content["names"]))


@dataclass(frozen=True, slots=True)
class Numbers:
    """`prediction`, a number in the target's own units; of a forecast one row for each step to come."""

    kind: ClassVar[str] = "numbers"

    mean: float
    deviation: float

    def __call__(self, network: nn.Module, inputs: torch.Tensor) -> Frame:
        import pandas as pd

        standardised = network(inputs).double().cpu().numpy().ravel()
        return pd.DataFrame({"prediction": standardised * self.deviation + self.mean})

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(content["mean"], content["deviation"])


@dataclass(frozen=True, slots=True)
class Scores:
    """`score`, the mean squared error of an example's reconstruction, and whether it is above `threshold`: then it is `anomalous`."""

    kind: ClassVar[str] = "scores"

    threshold: float

    def __call__(self, network: nn.Module, inputs: torch.Tensor) -> Frame:
        import pandas as pd

        scores = anomaly_scores(network, inputs).double().cpu().numpy()
        return pd.DataFrame({"score": scores, "anomalous": scores > self.threshold})

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "threshold": self.threshold}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(content["threshold"])


def anomaly_scores(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """(rows,): the mean squared error of each row's reconstruction."""
    error: torch.Tensor = (network(inputs).output - inputs).square().flatten(1).mean(1)
    return error


@dataclass(frozen=True, slots=True)
class Clusters:
    """`cluster`, the number of the nearest of `centers`, (clusters, bottleneck)."""

    kind: ClassVar[str] = "clusters"

    centers: NDArray[np.float64]

    def __call__(self, network: nn.Module, inputs: torch.Tensor) -> Frame:
        import pandas as pd

        return pd.DataFrame({"cluster": self.nearest(codes_of(network, inputs))})

    def nearest(self, codes: NDArray[np.float64]) -> NDArray[np.intp]:
        """(examples,) of (examples, bottleneck)."""
        distances: NDArray[np.float64] = np.square(codes[:, None] - self.centers[None]).sum(2)
        found: NDArray[np.intp] = distances.argmin(1)
        return found

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "centers": self.centers.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(np.array(content["centers"], dtype=np.float64))


def codes_of(network: nn.Module, inputs: torch.Tensor) -> NDArray[np.float64]:
    """(examples, bottleneck)."""
    from hpsearch.models.autoencoder import Autoencoder

    assert isinstance(network, Autoencoder)
    codes: NDArray[np.float64] = network.encode(inputs).double().cpu().numpy()
    return codes


@dataclass(frozen=True, slots=True)
class Made:
    """Examples that a generator makes, in the form of those that it has learned from."""

    kind: ClassVar[str] = "made"

    form: Columns | Array

    def __call__(self, network: nn.Module, inputs: torch.Tensor) -> Frame | NDArray[Any]:
        return self.form.decode(network(inputs).cpu().numpy())

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "form": self.form.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls.of(content["form"])

    @classmethod
    def of(cls, form: Json) -> Self:
        """By the form as JSON."""
        found = FORMS[form["kind"]].from_json(form)
        assert isinstance(found, Columns | Array)
        return cls(found)


ANSWERS: Mapping[str, type[Answer]] = {answer.kind: answer for answer in (Classes, Numbers, Scores, Clusters, Made)}
