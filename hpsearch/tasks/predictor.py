"""A trained network that predicts, rebuilt from one file: its weights, and in JSON all that it takes to use them. Nothing is unpickled.

network.npz of the names:
    description           JSON: the network, the form of what it is given, what its answers mean, an example
    weights/NAME          each tensor of the network's state
    example, predictions  of examples or answers that are arrays; tables are in the description
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import InputError
from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.tasks.answers import ANSWERS, Answer
from hpsearch.tasks.forms import FORMS, Form, Frame, frame_from_json, frame_to_json
from hpsearch.trial import Json

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1
AT_ONCE = 1024
"""Examples that go through the network together."""

Given: TypeAlias = "Frame | NDArray[Any]"
"""Examples, or what is said of them."""


@dataclass(frozen=True, slots=True)
class Network:
    """What a network is built from. `precision`: fp32, tf32 or bf16."""

    model: str
    parameters: Mapping[str, Json]
    inputs: Inputs
    outputs: int
    precision: str

    def build(self, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
        """In evaluation mode, on the CPU."""
        import torch

        from hpsearch.training import precision

        network = MODELS[self.model].load()(self.parameters, self.inputs, self.outputs, lambda *_: torch.Generator())
        network = precision.computing(self.precision, network)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        return network.eval()

    def to_json(self) -> dict[str, Json]:
        return {
            "model": self.model,
            "parameters": dict(self.parameters),
            "inputs": self.inputs.to_json(),
            "outputs": self.outputs,
            "precision": self.precision,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Network:
        return cls(content["model"], content["parameters"], Inputs.from_json(content["inputs"]), content["outputs"], content["precision"])


@dataclass(frozen=True, slots=True)
class Example:
    """A few examples as their user has them, and what was predicted of them when the network was trained."""

    given: Given
    predictions: Given


class Predictor:
    """A trained network in use.

    Args:
        network: what `module` is built from.
        module: it, in evaluation mode.
        form: of what it is given.
        answer: what its outputs mean.
        example: for people, and for whoever wants to see that it predicts as it did.
    """

    def __init__(self, network: Network, module: nn.Module, form: Form, answer: Answer, example: Example) -> None:
        self.network = network
        self.module = module
        self.form = form
        self.answer = answer
        self.example = example

    def predict(self, given: Given) -> Given:
        """What the network says of examples. Raises `InputError`, `DataError` where they are not in its form."""
        import torch

        from hpsearch.training import precision

        inputs = torch.from_numpy(self.form.encode(given))
        with torch.no_grad(), precision.multiplying(self.network.precision):
            return _joined([self.answer(self.module, part) for part in inputs.split(AT_ONCE)])  # type: ignore[no-untyped-call]

    def to_bytes(self) -> bytes:
        """The whole file."""
        named = {f"weights/{name}": tensor.detach().cpu().numpy() for name, tensor in self.module.state_dict().items()}
        tables: dict[str, Json] = {}
        for name, content in (("example", self.example.given), ("predictions", self.example.predictions)):
            if isinstance(content, np.ndarray):
                named[name] = content
            else:
                tables[name] = frame_to_json(content)
        description = {
            "format": FORMAT,
            "network": self.network.to_json(),
            "form": self.form.to_json(),
            "answer": self.answer.to_json(),
            "tables": tables,
        }
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, description=np.array(json.dumps(description)), **named)
        return file.getvalue()

    @classmethod
    def load(cls, path: Path) -> Predictor:
        """From a file. Raises `InputError` where this version of hpsearch cannot read it."""
        with np.load(path, allow_pickle=False) as file:
            description = json.loads(str(file["description"]))
            if description["format"] != FORMAT:
                raise InputError(f"{path} has format {description['format']}, this hpsearch reads {FORMAT}; use the version that wrote it")
            weights = {name.removeprefix("weights/"): file[name] for name in file.files if name.startswith("weights/")}
            tables = {name: frame_from_json(table) for name, table in description["tables"].items()}
            example, predictions = (tables[name] if name in tables else file[name] for name in ("example", "predictions"))
        network = Network.from_json(description["network"])
        form = FORMS[description["form"]["kind"]].from_json(description["form"])
        answer = ANSWERS[description["answer"]["kind"]].from_json(description["answer"])
        return cls(network, network.build(weights), form, answer, Example(example, predictions))


def _joined(parts: list[Given]) -> Given:
    import pandas as pd

    tables = [part for part in parts if not isinstance(part, np.ndarray)]
    if tables:
        return pd.concat(tables, ignore_index=True)
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
