"""Two networks that train each other: a generator, and the discriminator that tells what it makes from what is real."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.models.gan import GAN, discriminator_loss, generator_loss
from hpsearch.models.hyperparameter import complete
from hpsearch.training.average import MovingAverage
from hpsearch.training.descent import Descent
from hpsearch.training.diagnostics import GradientNorms
from hpsearch.training.duel_plan import DUEL_HYPERPARAMETERS
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS
from hpsearch.training.loop import Metrics, batch_sizes, last_full, shuffled
from hpsearch.training.trial import Trial


class Duel:
    """Learns what `real` examples look like: each batch trains the discriminator, each `discriminator_steps`-th the generator.

    Args:
        real: (examples, *shape), on the device of the training.
        epochs: of one full training: what schedules run over.

    Reference: Goodfellow et al., arXiv 1406.2661, Algorithm 1; two rates: Heusel et al., arXiv 1706.08500.
    """

    def __init__(self, trial: Trial, model: GAN, real: Tensor, epochs: int) -> None:
        chosen = complete(TRAINING_HYPERPARAMETERS, trial.params)
        own = complete(DUEL_HYPERPARAMETERS, trial.params)
        self.model = self.measured = model
        self.average: MovingAverage | None = None
        self.real = real
        self.random = trial.generator
        self.steps: int = own["discriminator_steps"]
        self.batches = batch_sizes(len(real), chosen["batch_size"])
        if own["generator_average"]:
            self.average = MovingAverage(model.generator, real.device, own["generator_average"])
            self.measured = _with_generator(model, self.average.network)
        updates = epochs * len(self.batches)
        rate = own["discriminator_learning_rate"] or chosen["learning_rate"]
        self.generator = Descent(model.generator, real.device, chosen, -(-updates // self.steps))
        self.discriminator = Descent(model.discriminator, real.device, {**chosen, "learning_rate": rate}, updates)
        self.norms = GradientNorms(model.generator)

    def epoch(self, step: int) -> Metrics:
        """One pass over the real examples; the losses are means over its updates, the gradient's norms are the generator's."""
        self.model.train()
        before = (step - 1) * len(self.batches)
        watched = (before + last_full(self.batches) + 1) // self.steps * self.steps - 1  # the generator's last update with a full batch
        losses: dict[str, list[Tensor]] = {"discriminator_loss": [], "generator_loss": []}
        for index, (real,) in enumerate(shuffled(self.random("order"), self.batches, self.real), start=before):
            losses["discriminator_loss"].append(self._teach_discriminator(real, index))
            if (index + 1) % self.steps == 0:
                losses["generator_loss"].append(self._imitate(len(real)))
                if index == watched:
                    self.norms.take()
                self._step_generator(index // self.steps)
        return {**{name: torch.stack(each).mean() for name, each in losses.items() if each}, **self.norms.metrics()}

    def _teach_discriminator(self, real: Tensor, update: int) -> Tensor:
        with torch.no_grad():
            fake = self.model.generator(self.latent(len(real)))
        loss = discriminator_loss(self.model, real, fake, self.random)
        self.discriminator.follow(loss, update)
        return loss.detach()

    def _imitate(self, examples: int) -> Tensor:
        """The generator's loss, and its gradient."""
        loss = generator_loss(self.model, self.model.generator(self.latent(examples)))
        self.generator.differentiate(loss)
        return loss.detach()

    def _step_generator(self, update: int) -> None:
        self.generator.step(update)
        if self.average is not None:
            self.average.follow(self.generator, self.model.generator, update)

    def latent(self, examples: int) -> Tensor:
        """(examples, latent_size) from N(0, 1)."""
        device = self.real.device
        return torch.randn(examples, self.model.latent_size, generator=self.random("latent", device), device=device)

    def state(self) -> dict[str, Any]:
        state = {"generator": self.generator.state(), "discriminator": self.discriminator.state()}
        return state if self.average is None else {**state, "average": self.average.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.generator.load(state["generator"])
        self.discriminator.load(state["discriminator"])
        if self.average is not None:
            self.average.load(state["average"])


def _with_generator(model: GAN, generator: nn.Module) -> GAN:
    """`model` with another generator, and the same discriminator."""
    return copy.deepcopy(model, {id(model.generator): generator, id(model.discriminator): model.discriminator})
