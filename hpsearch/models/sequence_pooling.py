"""What a network says of each step into what it says of the whole sequence; padding has no part in it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpsearch.models.initialization import dense


def mean_of_steps(x: Tensor, mask: Tensor) -> Tensor:
    """x: (batch, steps, width); mask: (batch, steps), true where a step counts, at least once in each row. Gives (batch, width)."""
    counted = mask.unsqueeze(-1).to(x.dtype)
    return (x * counted).sum(1) / counted.sum(1)


def last_step(x: Tensor, mask: Tensor) -> Tensor:
    """The last step that counts, where those that do come first. Shapes as in `mean_of_steps`."""
    last = mask.sum(1) - 1
    return x[torch.arange(len(x), device=x.device), last]


class AttentionPooling(nn.Module):
    """A mean in which a step weighs the more, the better it fits a learned vector. Learns width * (width + 2) numbers.

    Reference: Yang et al., "Hierarchical Attention Networks for Document Classification", NAACL 2016, equations 5 to 7.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = dense(width, width, "default", "tanh", generator)
        bound = width**-0.5
        self.context = nn.Parameter(torch.empty(1, width).uniform_(-bound, bound, generator=generator))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = (torch.tanh(self.hidden(x)) * self.context).sum(-1)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(1)
        return torch.einsum("bsw,bs->bw", x, weights)
