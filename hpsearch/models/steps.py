"""Examples read as steps: (batch, *inputs.shape) to (batch, steps, features)."""

from __future__ import annotations

from torch import Tensor, nn

from hpsearch.models.inputs import Inputs


class Steps(nn.Module):
    """An image row by row, a sequence step by step."""

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self.inputs = inputs

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2) if self.inputs.kind == "image" else x
        return rows.reshape(len(x), -1, self.inputs.as_sequence[1])


class Patches(nn.Module):
    """An image's square patches, row by row; a patch's numbers in the order of its channels, rows and columns."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        down, across = height // self.side, width // self.side
        cut = x.reshape(batch, channels, down, self.side, across, self.side)
        return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, down * across, channels * self.side**2)

    def extra_repr(self) -> str:
        return f"side={self.side}"
