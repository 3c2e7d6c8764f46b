"""What descends a gradient: a network's parameters as one vector, its optimizer's state, and the learning rate's way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.training.flat import FlatParameters
from hpsearch.training.optimizers import OPTIMIZERS, Settings, initial_state
from hpsearch.training.schedules import factor
from hpsearch.trial import Json


class Descent:
    """The parameters of `model`, and the updates that an optimizer makes of their gradient.

    Args:
        chosen: TRAINING_HYPERPARAMETERS, complete.
        updates: of one full training: what schedules run over.
    """

    def __init__(self, model: nn.Module, device: torch.device, chosen: Mapping[str, Json], updates: int) -> None:
        self.flat = FlatParameters(model, device)
        self.chosen = chosen
        self.updates = updates
        self._update, _ = OPTIMIZERS[chosen["optimizer"]]
        self._optimizer = initial_state(chosen["optimizer"], self.flat.values)
        self._settings = Settings(
            chosen["momentum"], chosen["nesterov"], chosen["weight_decay"], self.flat.decayed, chosen["beta1"], chosen["beta2"]
        )

    def follow(self, loss: Tensor, update: int) -> None:
        """Update number `update`, from 0, down the gradient of `loss`."""
        self.differentiate(loss)
        self.step(update)

    def differentiate(self, loss: Tensor) -> None:
        """The gradient of `loss`, as it is."""
        self.flat.gradient.zero_()
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self, update: int) -> None:
        """Update number `update`, from 0, down the gradient, which is spent on it."""
        chosen, values, gradient = self.chosen, self.flat.values, self.flat.gradient
        rate = chosen["learning_rate"] * factor(chosen["schedule"], chosen["warmup"], update, self.updates)
        if chosen["l1"]:
            decayed = self.flat.decayed
            gradient[:decayed].add_(values[:decayed].sign(), alpha=chosen["l1"])
        if chosen["clip_norm"] is not None:
            gradient.mul_((chosen["clip_norm"] / (gradient.norm() + 1e-6)).clamp_(max=1.0))
        self._update(values, gradient, self._optimizer, rate, update + 1, self._settings)

    def state(self) -> dict[str, Any]:
        """Of parameters and optimizer."""
        return {"parameters": self.flat.values, "optimizer": self._optimizer}

    def load(self, state: Mapping[str, Any]) -> None:
        self.flat.load(state["parameters"])
        for name, tensor in self._optimizer.items():
            tensor.copy_(state["optimizer"][name])
