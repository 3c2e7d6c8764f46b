"""Spectral normalization whose power iteration starts from a trial's own generator; torch's starts from the global one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional


class SpectralNorm(nn.Module):
    """A linear or convolutional layer, its weight divided by an estimate of its largest singular value.

    The estimate gets one step better with each batch of the training; its vector is a buffer, and part of checkpoints.

    Reference: Miyato et al., arXiv 1802.05957, Algorithm 1.
    """

    left: Tensor

    def __init__(self, layer: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = layer
        rows = self._matrix().shape[0]
        self.register_buffer("left", functional.normalize(torch.randn(rows, generator=generator), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # eight bits of a vector are too few to get better step by step
            weight = self._weight()
        given: Tensor = functional_call(self.layer, {"weight": weight}, (x,))
        return given

    def _weight(self) -> Tensor:
        matrix = self._matrix()
        with torch.no_grad():
            right = functional.normalize(matrix.T @ self.left, dim=0)
            if self.training:
                self.left.copy_(functional.normalize(matrix @ right, dim=0))
            left = self.left.clone()
        return self.layer.get_parameter("weight") / (left @ matrix @ right)

    def _matrix(self) -> Tensor:
        """(outputs, all else)."""
        return self.layer.get_parameter("weight").flatten(1)
