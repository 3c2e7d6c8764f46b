"""The training loop, all of it. A task gives the network, the data, the loss and the measures; this trains a trial with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.models.hyperparameter import complete
from hpsearch.training.flat import FlatParameters
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS
from hpsearch.training.optimizers import OPTIMIZERS, Settings, initial_state
from hpsearch.training.schedules import factor
from hpsearch.training.stopping import Patience
from hpsearch.training.trial import Trial
from hpsearch.trial import Json


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is trained on.

    Args:
        inputs: (examples, ...), and targets: (examples, ...), on the device of the training.
        loss: from outputs and targets of a batch to their mean loss.
        measure: after each step, from the network in evaluation mode to metrics; each a scalar tensor or a number.
        epochs: of one full training: what schedules run over, however far this trial goes.
    """

    inputs: Tensor
    targets: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    measure: Callable[[nn.Module], Mapping[str, Tensor | float]]
    epochs: int
    stopping: Patience | None = None


def train(trial: Trial, model: nn.Module, lesson: Lesson) -> None:
    """Trains `model` for the trial's steps, each an epoch, from its checkpoint if it has one."""
    learner = Learner(trial, model, lesson)
    if (saved := trial.load_checkpoint()) is not None:
        learner.load(saved)
    if lesson.stopping is not None and lesson.stopping.reason is not None:  # it was over, and its end was lost
        trial.finish(lesson.stopping.reason)
    for step in trial.steps():
        train_loss = learner.epoch(step)
        with torch.no_grad():
            model.eval()
            measured = lesson.measure(model)
        metrics = {"train_loss": float(train_loss), **{name: float(value) for name, value in measured.items()}}
        if lesson.stopping is not None and (reason := lesson.stopping.observe(metrics)) is not None:
            trial.finish(reason)
        trial.report(step, metrics, checkpoint=learner.state)


class Learner:
    """A network on its way: its parameters, its optimizer's state, and the updates that an epoch makes."""

    def __init__(self, trial: Trial, model: nn.Module, lesson: Lesson) -> None:
        chosen = complete(TRAINING_HYPERPARAMETERS, trial.params)
        self.model = model
        self.lesson = lesson
        self.chosen: dict[str, Json] = chosen
        self.order = trial.generator("order")
        self.parameters = FlatParameters(model, lesson.inputs.device)
        self.update, _ = OPTIMIZERS[chosen["optimizer"]]
        self.optimizer = initial_state(chosen["optimizer"], self.parameters.values)
        self.settings = Settings(chosen["momentum"], chosen["nesterov"], chosen["weight_decay"], self.parameters.decayed)
        self.batches = batch_sizes(len(lesson.inputs), chosen["batch_size"])

    def epoch(self, step: int) -> Tensor:
        """One pass over the training split in a fresh order; gives the mean loss of its examples."""
        lesson, flat = self.lesson, self.parameters
        self.model.train()
        order = torch.randperm(len(lesson.inputs), generator=self.order).to(lesson.inputs.device)
        inputs = lesson.inputs.index_select(0, order).split(self.batches)  # type: ignore[no-untyped-call]
        targets = lesson.targets.index_select(0, order).split(self.batches)  # type: ignore[no-untyped-call]
        before = (step - 1) * len(self.batches)
        losses = []
        for index, (x, y) in enumerate(zip(inputs, targets, strict=True)):
            flat.gradient.zero_()
            loss = lesson.loss(self.model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            self._descend(before + index)
        sizes = torch.tensor(self.batches, dtype=losses[0].dtype, device=losses[0].device)
        return torch.stack(losses).dot(sizes) / len(lesson.inputs)

    def _descend(self, update: int) -> None:
        """One update, number `update` from 0."""
        chosen, values, gradient = self.chosen, self.parameters.values, self.parameters.gradient
        rate = chosen["learning_rate"] * factor(chosen["schedule"], chosen["warmup"], update, self.lesson.epochs * len(self.batches))
        if chosen["l1"]:
            decayed = self.settings.decayed
            gradient[:decayed].add_(values[:decayed].sign(), alpha=chosen["l1"])
        if chosen["clip_norm"] is not None:
            gradient.mul_((chosen["clip_norm"] / (gradient.norm() + 1e-6)).clamp_(max=1.0))
        self.update(values, gradient, self.optimizer, rate, update + 1, self.settings)

    def state(self) -> dict[str, Any]:
        """All that going on needs, besides the generators' states, which the trial keeps."""
        stopping = self.lesson.stopping
        return {
            "parameters": self.parameters.values,
            "buffers": list(self.model.buffers()),
            "optimizer": self.optimizer,
            "stopping": None if stopping is None else stopping.state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self.parameters.load(state["parameters"])
        for buffer, saved in zip(self.model.buffers(), state["buffers"], strict=True):
            buffer.copy_(saved)
        for name, tensor in self.optimizer.items():
            tensor.copy_(state["optimizer"][name])
        if self.lesson.stopping is not None and state["stopping"] is not None:
            self.lesson.stopping.load(state["stopping"])


def batch_sizes(examples: int, batch_size: int) -> list[int]:
    """Full batches and a rest. A rest of one example joins the batch before it: batch normalization cannot take one."""
    full, rest = divmod(examples, batch_size)
    if full == 0:
        return [rest]
    if rest == 1:
        return [batch_size] * (full - 1) + [batch_size + 1]
    return [batch_size] * full + [rest] * (rest > 0)
