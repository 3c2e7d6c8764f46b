"""A network's parameters as one vector: an optimizer's update is then a few operations on one tensor, however many layers there are."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FlatParameters:
    """The parameters of `model` moved into one vector, of which they become views; their gradients likewise.

    Weights come first, and only they are decayed: biases and normalization (vectors) follow from index `decayed`.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        parameters = sorted(model.parameters(), key=lambda parameter: parameter.ndim < 2)
        self.decayed = sum(p.numel() for p in parameters if p.ndim >= 2)
        self.values = torch.cat([p.detach().reshape(-1) for p in parameters]).to(device)
        self.gradient = torch.zeros_like(self.values)
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            parameter.data = self.values[start:end].view_as(parameter)
            parameter.grad = self.gradient[start:end].view_as(parameter)
            start = end

    def load(self, values: Tensor) -> None:
        """Takes over saved values, in place."""
        self.values.copy_(values)
