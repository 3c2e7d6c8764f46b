"""Dropout that draws from a trial's own generator; torch's draws from the global one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

LEVELS = 1 << 16
"""Four entries of a mask are drawn in one 64-bit number: several times faster than a Bernoulli draw each, and finer than any rate needs."""

AHEAD = 8
LARGEST_DRAW = 1 << 19
"""At most so many masks, and so many entries, are drawn at once: on a small network a draw costs more than its entries."""

RandomSource = Callable[[str, torch.device], torch.Generator]
"""Gives the trial's random numbers for a purpose, such as "init" or "dropout", on a device."""


class Dropout(nn.Module):
    """In training, sets a share `rate` of its input to zero and scales the rest, so that the mean stays.

    The rate is rounded to a 65,536th. Masks are drawn some batches ahead, and forgotten whenever training mode is set, as at the beginning
    of an epoch: a training that is resumed there draws the same ones.
    """

    def __init__(self, rate: float, random: RandomSource) -> None:
        super().__init__()
        self.rate = rate
        self.random = random
        dropped = min(round(rate * LEVELS), LEVELS - 1)
        self.threshold = dropped - LEVELS // 2
        self.scale = LEVELS / (LEVELS - dropped)
        self.shape = torch.Size()
        self.drawn = 0
        self.ahead: list[Tensor] = []

    def train(self, mode: bool = True) -> Self:
        self.ahead, self.drawn = [], 0
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0 or not self.training:
            return x
        if not self.ahead or self.shape != x.shape:
            self._draw_ahead(x)
        return x * self.ahead.pop()

    def _draw_ahead(self, like: Tensor) -> None:
        """One mask at first, then twice as many each time, while the shape stays."""
        most = max(1, min(AHEAD, LARGEST_DRAW // like.numel()))
        self.drawn = min(most, 2 * self.drawn) if self.drawn and self.shape == like.shape else 1
        self.shape = like.shape
        self.ahead = list(self.mask((self.drawn, *like.shape), like.device).unbind())

    def mask(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Zeros and `scale`s."""
        entries = torch.Size(shape).numel()
        words = torch.empty((entries + 3) // 4, dtype=torch.int64, device=device)
        words.random_(-(1 << 63), None, generator=self.random("dropout", device))
        levels = words.view(torch.int16)[:entries].view(shape)
        return torch.where(levels >= self.threshold, self.scale, 0.0)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
