"""Model families: one file builds the network (torch), one beside it says what is known before (no torch). Adding one is a line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.models.hyperparameter import Hyperparameter
from hpsearch.models.inputs import InputKind, Inputs
from hpsearch.trial import Json

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model family.

    Args:
        network: "module:Class".
        plan: a module with HYPERPARAMETERS and count_parameters, that imports no torch.
        inputs: the kinds of example that it takes.
        predicts: whether it maps a batch of examples to (batch, outputs). Others have faces of their own.
    """

    network: str
    plan: str
    inputs: tuple[InputKind, ...]
    predicts: bool = True

    @property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        found: tuple[Hyperparameter, ...] = importlib.import_module(self.plan).HYPERPARAMETERS
        return found

    def count_parameters(self, parameters: Mapping[str, Json], inputs: Inputs, outputs: int) -> int:
        """How many numbers the network learns, without building it."""
        count: int = importlib.import_module(self.plan).count_parameters(parameters, inputs, outputs)
        return count

    def load(self) -> type[nn.Module]:
        """The network's class; imports torch. Its arguments are (parameters, inputs, outputs, random)."""
        module, name = self.network.split(":")
        found: Any = getattr(importlib.import_module(module), name)
        return found  # type: ignore[no-any-return]


MODELS: Mapping[str, ModelEntry] = {
    "mlp": ModelEntry("hpsearch.models.mlp:MLP", "hpsearch.models.mlp_plan", ("rows", "image", "sequence")),
    "autoencoder": ModelEntry(
        "hpsearch.models.autoencoder:Autoencoder", "hpsearch.models.autoencoder_plan", ("rows", "image", "sequence"), predicts=False
    ),
    "cnn": ModelEntry("hpsearch.models.cnn:CNN", "hpsearch.models.cnn_plan", ("image", "sequence", "tokens")),
    "gan": ModelEntry("hpsearch.models.gan:GAN", "hpsearch.models.gan_plan", ("image", "rows"), predicts=False),
    "rnn": ModelEntry("hpsearch.models.rnn:RNN", "hpsearch.models.rnn_plan", ("image", "sequence", "tokens")),
    "transformer": ModelEntry(
        "hpsearch.models.transformer:Transformer", "hpsearch.models.transformer_plan", ("image", "sequence", "tokens")
    ),
}
