"""Generative adversarial networks: a generator, a discriminator, and what they play for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.models.activation import Activation
from hpsearch.models.dropout import Dropout, RandomSource
from hpsearch.models.gan_plan import KERNEL, discriminator_sizes, generator_sizes, pyramid, settle
from hpsearch.models.initialization import dense, initialize
from hpsearch.models.inputs import Inputs
from hpsearch.models.spectral import SpectralNorm
from hpsearch.trial import Json


class GAN(nn.Module):
    """Two networks. `generator`: (batch, latent_size) to (batch, *shape), of images in [-1, 1]; `discriminator`: that to (batch,).

    Args:
        parameters: of HYPERPARAMETERS; what is missing has its default.
        inputs: image or rows.
        outputs: changes nothing: it gives examples like those it gets.
        random: gives the trial's own random numbers for a purpose: "init", "dropout" and "penalty".
    """

    NETWORKS = ("generator", "discriminator")

    def __init__(self, parameters: Mapping[str, Json], inputs: Inputs, outputs: int, random: RandomSource) -> None:
        super().__init__()
        chosen = settle(parameters, inputs)
        self.latent_size: int = chosen["latent_size"]
        self.loss: str = chosen["loss"]
        self.gradient_penalty: float = chosen["gradient_penalty"]
        is_dense = chosen["architecture"] == "dense"
        bound: list[nn.Module] = [nn.Tanh()] if inputs.kind == "image" else []
        layers = _dense_generator(chosen, inputs, random) if is_dense else _convolutional_generator(chosen, inputs, random)
        self.generator = nn.Sequential(*layers, *bound)
        layers = _dense_discriminator(chosen, inputs, random) if is_dense else _convolutional_discriminator(chosen, inputs, random)
        self.discriminator = nn.Sequential(*layers, nn.Flatten(0))

    def forward(self, latent: Tensor) -> Tensor:
        """(batch, latent_size) to (batch, *shape)."""
        made: Tensor = self.generator(latent)
        return made


def discriminator_loss(model: GAN, real: Tensor, fake: Tensor, random: RandomSource) -> Tensor:
    """What the discriminator descends; `fake` is detached from the generator."""
    loss = _LOSSES[model.loss][0](model.discriminator(real), model.discriminator(fake))
    if model.loss == "wasserstein" and model.gradient_penalty:
        loss = loss + model.gradient_penalty * slope_penalty(model.discriminator, real, fake, random)
    return loss


def generator_loss(model: GAN, fake: Tensor) -> Tensor:
    """What the generator descends."""
    return _LOSSES[model.loss][1](model.discriminator(fake))


def slope_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, random: RandomSource) -> Tensor:
    """The squared distance of the discriminator's slope from 1, between real and fake examples. Reference: arXiv 1704.00028, equation 3."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=random("penalty", real.device), device=real.device)
    between = torch.lerp(real, fake, share).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


_LOSSES: Mapping[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non_saturating": (
        lambda real, fake: functional.softplus(-real).mean() + functional.softplus(fake).mean(),
        lambda fake: functional.softplus(-fake).mean(),
    ),
    "hinge": (lambda real, fake: functional.relu(1 - real).mean() + functional.relu(1 + fake).mean(), lambda fake: -fake.mean()),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}
"""The discriminator's loss of its outputs for real and fake examples, and the generator's of that for fake ones."""


def _dense_generator(chosen: Mapping[str, Json], inputs: Inputs, random: RandomSource) -> list[nn.Module]:
    start, activation = random("init", torch.device("cpu")), chosen["generator_activation"]
    *hidden, last = pairwise(generator_sizes(chosen, inputs))
    layers: list[nn.Module] = []
    for before, after in hidden:
        layers += [dense(before, after, "default", activation, start), *_normalized(chosen, nn.BatchNorm1d(after)), Activation(activation)]
    return [*layers, dense(*last, "default", activation, start), nn.Unflatten(1, inputs.shape)]


def _dense_discriminator(chosen: Mapping[str, Json], inputs: Inputs, random: RandomSource) -> list[nn.Module]:
    start, activation = random("init", torch.device("cpu")), chosen["discriminator_activation"]
    *hidden, last = pairwise(discriminator_sizes(chosen, inputs))
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in hidden:
        linear = _bounded(chosen, dense(before, after, "default", activation, start), start)
        layers += [linear, Activation(activation), Dropout(chosen["dropout"], random)]
    return [*layers, _bounded(chosen, dense(*last, "default", activation, start), start)]


def _convolutional_generator(chosen: Mapping[str, Json], inputs: Inputs, random: RandomSource) -> list[nn.Module]:
    start, activation = random("init", torch.device("cpu")), chosen["generator_activation"]
    levels = pyramid(chosen["generator_units"], chosen["generator_layers"], inputs)[::-1]
    smallest = torch.Size(levels[0])
    layers: list[nn.Module] = [dense(chosen["latent_size"], smallest.numel(), "default", activation, start), nn.Unflatten(1, smallest)]
    for before, after in pairwise(levels):
        layers += [*_normalized(chosen, nn.BatchNorm2d(before[0])), Activation(activation)]
        layers.append(_convolution(nn.ConvTranspose2d, before[0], after[0], start))
    return layers


def _convolutional_discriminator(chosen: Mapping[str, Json], inputs: Inputs, random: RandomSource) -> list[nn.Module]:
    start, activation = random("init", torch.device("cpu")), chosen["discriminator_activation"]
    levels = pyramid(chosen["discriminator_units"], chosen["discriminator_layers"], inputs)
    layers: list[nn.Module] = []
    for before, after in pairwise(levels):
        convolution = _bounded(chosen, _convolution(nn.Conv2d, before[0], after[0], start), start)
        layers += [convolution, Activation(activation), Dropout(chosen["dropout"], random)]
    return [*layers, nn.Flatten(), _bounded(chosen, dense(torch.Size(levels[-1]).numel(), 1, "default", activation, start), start)]


def _convolution(kind: type[nn.Conv2d] | type[nn.ConvTranspose2d], before: int, after: int, start: torch.Generator) -> nn.Module:
    """Halves, or doubles, both sides."""
    made: nn.Conv2d = nn.utils.skip_init(kind, before, after, KERNEL, stride=2, padding=1)  # type: ignore[no-untyped-call]
    assert made.bias is not None
    with torch.no_grad():
        initialize(made.weight, made.bias, "default", "relu", start)
    return made


def _normalized(chosen: Mapping[str, Json], batch: nn.Module) -> list[nn.Module]:
    return [batch] if chosen["normalization"] == "batch" else []


def _bounded(chosen: Mapping[str, Json], layer: nn.Module, start: torch.Generator) -> nn.Module:
    return SpectralNorm(layer, start) if chosen["spectral_normalization"] else layer
