"""The moving average of a network that is trained: its weights go round in circles, and their mean stays at the centre."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hpsearch.training.descent import Descent
from hpsearch.training.flat import FlatParameters


class MovingAverage:
    """A copy of `network`, of which all that is learned is a mean over the updates, the latest counting most.

    After update n it is the sum of decay^(n - i) times the state after update i, divided by the sum of these weights: what the network
    began with does not count. Running statistics of batch normalization are averaged alike, as they belong to the weights of their update;
    whole numbers (its count of batches) are those of the latest update.

    Args:
        network: on its device; only read.
        decay: in [0, 1).

    Reference: Yazici et al., arXiv 1806.04498; the division: Kingma and Ba, arXiv 1412.6980, section 3.
    """

    def __init__(self, network: nn.Module, device: torch.device, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self.decay = decay
        self._flat = FlatParameters(self.network, device)

    @torch.no_grad()
    def follow(self, descent: Descent, network: nn.Module, update: int) -> None:
        """Takes in `network`, and the `descent` that holds its parameters, after update number `update`, from 0."""
        share = (1 - self.decay) / (1 - self.decay ** (update + 1))
        self._flat.values.lerp_(descent.flat.values, share)
        for mean, latest in zip(self.network.buffers(), network.buffers(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(latest, share)
            else:
                mean.copy_(latest)

    def state(self) -> dict[str, Any]:
        """Of parameters and buffers."""
        return {"parameters": self._flat.values, "buffers": list(self.network.buffers())}

    def load(self, state: Mapping[str, Any]) -> None:
        self._flat.load(state["parameters"])
        for buffer, saved in zip(self.network.buffers(), state["buffers"], strict=True):
            buffer.copy_(saved)
