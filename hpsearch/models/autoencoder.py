"""Autoencoders: dense or convolutional, denoising, variational."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hpsearch.models.activation import Activation
from hpsearch.models.autoencoder_plan import KERNEL, convolution_shapes, dense_sizes, settle
from hpsearch.models.dropout import Dropout, RandomSource
from hpsearch.models.initialization import dense, initialize
from hpsearch.models.inputs import Inputs
from hpsearch.trial import Json


class Reconstruction(NamedTuple):
    """What an autoencoder makes of a batch: output (batch, *shape), and the code's mean and, if variational, log-variance."""

    output: Tensor
    mean: Tensor
    log_variance: Tensor | None


class Autoencoder(nn.Module):
    """Learns to give back what it gets, through a narrow code.

    Args:
        parameters: of HYPERPARAMETERS; what is missing has its default.
        inputs: rows, image or sequence.
        outputs: changes nothing: it gives what it gets.
        random: gives the trial's own random numbers for a purpose: "init", "dropout", "denoising" and "latent".

    Reference: denoising: Vincent et al. 2008; variational: Kingma and Welling, arXiv 1312.6114.
    """

    NETWORKS = ("encoder", "decoder")

    def __init__(self, parameters: Mapping[str, Json], inputs: Inputs, outputs: int, random: RandomSource) -> None:
        super().__init__()
        chosen = settle(parameters, inputs)
        self.shape = inputs.shape
        self.random = random
        self.bottleneck: int = chosen["bottleneck"]
        self.denoising: float = chosen["denoising"]
        self.kl_weight: float = chosen["kl_weight"]
        self.is_variational: bool = chosen["variational"]
        build = _convolutional if chosen["architecture"] == "convolutional" else _dense
        self.encoder, self.decoder = build(chosen, inputs, self.bottleneck * (2 if self.is_variational else 1), random)

    def forward(self, x: Tensor) -> Reconstruction:
        """x: (batch, *shape). In training mode noise is added to it, and a variational code is drawn; else the code is its mean."""
        if self.training and self.denoising:
            x = x + self.denoising * self._noise(x, "denoising")
        mean, log_variance = self._distribution(x)
        code = mean
        if self.training and log_variance is not None:
            code = mean + (0.5 * log_variance).exp() * self._noise(mean, "latent")
        return Reconstruction(self.decode(code), mean, log_variance)

    def encode(self, x: Tensor) -> Tensor:
        """(batch, *shape) to (batch, bottleneck): the code, or its mean."""
        return self._distribution(x)[0]

    def decode(self, code: Tensor) -> Tensor:
        """(batch, bottleneck) to (batch, *shape)."""
        output: Tensor = self.decoder(code)
        return output.view(-1, *self.shape)

    def loss(self, x: Tensor) -> Tensor:
        """The squared error, plus the weighted KL divergence of a variational code, for each number of an example, on average.

        Reference: arXiv 1312.6114, appendix B.
        """
        made = self(x)
        error: Tensor = (made.output - x).square().mean()
        if made.log_variance is None:
            return error
        divergence: Tensor = 0.5 * (made.mean.square() + made.log_variance.exp() - 1 - made.log_variance).sum() / x.numel()
        return error + self.kl_weight * divergence

    def _distribution(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        encoded: Tensor = self.encoder(x)
        if not self.is_variational:
            return encoded, None
        mean, log_variance = encoded.chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 20)

    def _noise(self, like: Tensor, name: str) -> Tensor:
        return torch.randn(like.shape, generator=self.random(name, like.device), device=like.device)


def _dense(chosen: Mapping[str, Json], inputs: Inputs, code: int, random: RandomSource) -> tuple[nn.Module, nn.Module]:
    sizes = dense_sizes(chosen, inputs)
    start = random("init", torch.device("cpu"))

    def stack(widths: list[int]) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            layers.append(dense(before, after, "default", chosen["activation"], start))
            if index < len(widths) - 2:
                layers += _after(chosen, nn.BatchNorm1d(after), random)
        return layers

    return nn.Sequential(nn.Flatten(), *stack([*sizes[:-1], code])), nn.Sequential(*stack(sizes[::-1]))


def _convolutional(chosen: Mapping[str, Json], inputs: Inputs, code: int, random: RandomSource) -> tuple[nn.Module, nn.Module]:
    shapes = convolution_shapes(chosen, inputs)
    start = random("init", torch.device("cpu"))
    flat = torch.Size(shapes[-1]).numel()
    encoder: list[nn.Module] = []
    for before, after in pairwise(shapes):
        encoder.append(_drawn(nn.Conv2d, before[0], after[0], start, stride=2, padding=1))
        encoder += _after(chosen, nn.BatchNorm2d(after[0]), random)
    decoder: list[nn.Module] = [dense(chosen["bottleneck"], flat, "default", chosen["activation"], start), nn.Unflatten(1, shapes[-1])]
    for index, (before, after) in enumerate(pairwise(shapes[::-1])):
        rest = tuple(side - 2 * (small - 1) - 1 for side, small in zip(after[1:], before[1:], strict=True))
        decoder.append(_drawn(nn.ConvTranspose2d, before[0], after[0], start, stride=2, padding=1, output_padding=rest))
        if index < len(shapes) - 2:
            decoder += _after(chosen, nn.BatchNorm2d(after[0]), random)
    return nn.Sequential(*encoder, nn.Flatten(), dense(flat, code, "default", chosen["activation"], start)), nn.Sequential(*decoder)


def _drawn(kind: type[nn.Module], before: int, after: int, start: torch.Generator, **geometry: int | tuple[int, ...]) -> nn.Module:
    made: nn.Conv2d = nn.utils.skip_init(kind, before, after, KERNEL, **geometry)  # type: ignore[no-untyped-call]
    assert made.bias is not None
    with torch.no_grad():
        initialize(made.weight, made.bias, "default", "relu", start)
    return made


def _after(chosen: Mapping[str, Json], batch: nn.Module, random: RandomSource) -> list[nn.Module]:
    """What follows a hidden layer."""
    normalization = [batch] if chosen["normalization"] == "batch" else []
    return [*normalization, Activation(chosen["activation"]), Dropout(chosen["dropout"], random)]
