"""Augmentation: each batch is trained on as it might have been. Pure functions, and `Augmentation`, which draws what they do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from hpsearch.models.dropout import RandomSource
from hpsearch.models.hyperparameter import complete
from hpsearch.training.augmentation_plan import AUGMENTATION_HYPERPARAMETERS
from hpsearch.trial import Json

Compare: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From a network's outputs and targets of a batch to their mean loss."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to a batch before it is trained on. What is off is not drawn, and costs nothing.

    Args:
        shift, rotation, scale, noise, cutout, mixup: as in AUGMENTATION_HYPERPARAMETERS; the rotation in degrees.
        background: fills what comes into an image from outside, and what is cut out: (channels, 1, 1), or one for all. The darkest
            pixel there is suits digits on black as well as photographs; 0 would be the mean, a grey that digits never have.
        random: gives the trial's own random numbers: all here are from "augmentation".
    """

    shift: float
    rotation: float
    scale: float
    noise: float
    cutout: float
    mixup: float
    background: Tensor | float
    random: RandomSource

    @classmethod
    def of(cls, parameters: Mapping[str, Json], background: Tensor | float, random: RandomSource) -> Self:
        """As a trial's parameters have it; what is missing has its default."""
        chosen = complete(AUGMENTATION_HYPERPARAMETERS, parameters)
        return cls(
            chosen["augment_shift"],
            chosen["augment_rotation"],
            chosen["augment_scale"],
            chosen["augment_noise"],
            chosen["cutout"],
            chosen["mixup"],
            background,
            random,
        )

    def __call__(self, inputs: Tensor) -> Tensor:
        """Another draw for each example. inputs: (batch, channels, height, width) or, with noise alone, (batch, ...)."""
        if self.shift or self.rotation or self.scale:
            inputs = self._warped(inputs)
        if self.noise:
            generator = self.random("augmentation", inputs.device)
            noise = torch.randn(inputs.shape, generator=generator, device=inputs.device, dtype=inputs.dtype)
            inputs = torch.add(inputs, noise, alpha=self.noise)
        return self._cut(inputs) if self.cutout else inputs

    def _warped(self, images: Tensor) -> Tensor:
        generator = self.random("augmentation", images.device)
        right, down, turn, growth = torch.rand(4, len(images), generator=generator, device=images.device).mul_(2).sub_(1)
        shift = torch.stack([right, down], dim=1) * self.shift
        return warp(images, shift, turn * math.radians(self.rotation), 1 + growth * self.scale, self.background)

    def _cut(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        side = max(1, round(self.cutout * min(height, width)))
        generator = self.random("augmentation", images.device)
        rows = torch.randint(height, (len(images),), generator=generator, device=images.device)
        columns = torch.randint(width, (len(images),), generator=generator, device=images.device)
        return cut_out(images, rows, columns, side, self.background)

    def mix(self, inputs: Tensor, targets: Tensor, compare: Compare) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Inputs to train on, and the loss of what a network gives for them: with mixup, of each example's target and of its partner's.

        To mix a cross-entropy's losses is to mix its targets.

        Reference: Zhang et al., arXiv 1710.09412, the equations of section 1. As in their figure 1, one share is drawn for a batch, and
        partners are taken from it.
        """
        if not self.mixup:
            return inputs, lambda outputs: compare(outputs, targets)
        generator = self.random("augmentation", inputs.device)
        share = draw_beta(self.mixup, generator).to(inputs.dtype)
        partners = torch.randperm(len(inputs), generator=generator, device=inputs.device)
        others = targets[partners]
        mixed = torch.lerp(inputs[partners], inputs, share)
        return mixed, lambda outputs: share * compare(outputs, targets) + (1 - share) * compare(outputs, others)


def warp(images: Tensor, shift: Tensor, angle: Tensor, factor: Tensor, background: Tensor | float) -> Tensor:
    """Images made larger, then turned about their centre, then shifted; in between pixels by linear interpolation.

    Args:
        images: (batch, channels, height, width).
        shift: (batch, 2), to the right as a share of the width, down as a share of the height.
        angle: (batch,) in radians, counter-clockwise as one sees it.
        factor: (batch,), how many times as large.
        background: what is seen where there was no image: (channels, 1, 1) or one for all.
    """
    height, width = images.shape[-2:]
    cosine, sine = angle.cos() / factor, angle.sin() / factor
    # From where each pixel comes, in affine_grid's coordinates: both axes from -1 to 1 whatever the sides, the second one down.
    linear = torch.stack([cosine, -sine * (height / width), sine * (width / height), cosine], dim=1).view(-1, 2, 2)
    theta = torch.cat([linear, -2 * linear @ shift[:, :, None]], dim=2)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images - background, grid, align_corners=False) + background


def cut_out(images: Tensor, rows: Tensor, columns: Tensor, side: int, background: Tensor | float) -> Tensor:
    """Images without a square about the pixel at (rows, columns), (batch,) each; what of it lies outside is lost.

    Reference: DeVries and Taylor, arXiv 1708.04552, section 3.2.
    """

    def within(centre: Tensor, length: int) -> Tensor:
        from_start = torch.arange(length, device=images.device) - (centre[:, None] - side // 2)
        return (from_start >= 0) & (from_start < side)

    height, width = images.shape[-2:]
    cut = within(rows, height)[:, None, :, None] & within(columns, width)[:, None, None, :]
    return torch.where(cut, torch.as_tensor(background, dtype=images.dtype, device=images.device), images)


def draw_beta(alpha: float, generator: torch.Generator) -> Tensor:
    """A number from Beta(alpha, alpha), float64, on the generator's device.

    It is X / (X + Y) of two numbers from Gamma(alpha), as logarithms: for a small alpha both would often be too small for a float.
    Gamma(alpha) is Gamma(alpha + 1) times the alpha-th root of a uniform number (Marsaglia and Tsang, 2000).
    """
    shape = torch.full((2,), alpha + 1, dtype=torch.float64, device=generator.device)
    exponential = torch.empty_like(shape).exponential_(generator=generator)  # minus the logarithm of a uniform number
    logarithms = torch._standard_gamma(shape, generator=generator).log() - exponential / alpha
    return torch.sigmoid(logarithms[0] - logarithms[1])
