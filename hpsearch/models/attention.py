"""Self-attention over steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.models.initialization import dense


class SelfAttention(nn.Module):
    """Multi-head attention of steps to each other. Learns 4 * width * (width + 1) numbers.

    Reference: Vaswani et al., arXiv 1706.03762, section 3.2.
    """

    def __init__(self, width: int, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.project = dense(width, 3 * width, "default", "linear", generator)
        self.output = dense(width, width, "default", "linear", generator)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (batch, steps, width); mask: (batch, steps), true where a step may be looked at, at least once in each row; None is all."""
        queries, keys, values = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.project(x).chunk(3, dim=-1))
        visible = None if mask is None else mask[:, None, None, :]
        seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=visible)
        output: Tensor = self.output(seen.transpose(1, 2).flatten(2))
        return output
