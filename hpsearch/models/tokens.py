"""Tokens into vectors, and which of them are tokens at all: id 0 is padding, at the end."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.models.dropout import RandomSource

PADDING = 0


class TokenEmbedding(nn.Module):
    """A vector for each id, of numbers of deviation 1 at first; padding is zeros, and stays so. It learns vocabulary * width numbers.

    Weights are smaller by the root of the width (Vaswani et al., arXiv 1706.03762, section 3.4), so that a step of Adam moves a vector
    further: rare tokens are learned in a few epochs.
    """

    def __init__(self, vocabulary: int, width: int, random: RandomSource) -> None:
        super().__init__()
        drawn = torch.randn(vocabulary, width, generator=random("init", torch.device("cpu"))) * width**-0.5
        drawn[PADDING] = 0.0
        self.weight = nn.Parameter(drawn)

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (batch, steps) of int64; gives (batch, steps, width)."""
        width: int = self.weight.shape[1]
        return functional.embedding(ids, self.weight, padding_idx=PADDING) * math.sqrt(width)

    def extra_repr(self) -> str:
        return "vocabulary={}, width={}".format(*self.weight.shape)


def token_mask(ids: Tensor) -> Tensor:
    """Of `ids`, (batch, steps), those before the padding at the end; at least the first, so that no mean is over nothing."""
    place = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    length = (place * (ids != PADDING)).amax(1, keepdim=True).clamp(min=1)
    return place <= length
