"""The training loop, all of it. A task gives what learns, and what is measured; this trains a trial with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from hpsearch.models.hyperparameter import complete
from hpsearch.training.descent import Descent
from hpsearch.training.diagnostics import GradientNorms, activations, watching
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS
from hpsearch.training.stopping import Patience
from hpsearch.training.trial import Trial

Metrics: TypeAlias = Mapping[str, Tensor | float]
"""Scalar tensors or numbers, by name."""

Measure: TypeAlias = Callable[[nn.Module], Metrics]
"""From a network in evaluation mode, without gradients, to what is measured of it."""


class Learner(Protocol):
    """What an epoch of training is: a network that goes down one loss (`Student`), or two that train each other (`Duel`)."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def measured(self) -> nn.Module:
        """What the training came to so far: `model` itself, or an average of what it has been."""

    def epoch(self, step: int) -> Metrics:
        """One pass over the training split."""

    def state(self) -> Mapping[str, Any]:
        """All that going on needs, besides the network's buffers, and the generators' states, which the trial keeps."""

    def load(self, state: Mapping[str, Any]) -> None: ...


def train(trial: Trial, learner: Learner, measure: Measure, stopping: Patience | None = None, examine: Measure | None = None) -> None:
    """Trains for the trial's steps, each an epoch, from its checkpoint if it has one.

    Args:
        measure: after each step.
        examine: after the last one, too: what a search must not see. Of the step that counts, where an objective counts at its best.
    """
    model = learner.measured
    watched = activations(model)
    if (saved := trial.load_checkpoint()) is not None:
        _load(saved, learner, stopping)
    if stopping is not None and stopping.reason is not None:  # it was over, and its end was lost
        trial.finish(stopping.reason)
    for step in trial.steps():
        metrics = _numbers(learner.epoch(step))
        with torch.no_grad():
            model.eval()
            with watching(watched) as units:
                metrics |= _numbers(measure(model))
            metrics |= _numbers(units.metrics())
            if stopping is not None and (reason := stopping.observe(metrics)) is not None:
                trial.finish(reason)
            if examine is not None and trial.is_last:
                with _at_its_best(trial, metrics, learner):
                    metrics |= _numbers(examine(model))
        trial.report(step, metrics, checkpoint=lambda: _state(learner, stopping))


@contextmanager
def _at_its_best(trial: Trial, metrics: Mapping[str, float], learner: Learner) -> Iterator[None]:
    """What learns as it was at the step that counts, for a moment."""
    if (best := trial.best_state(metrics)) is None:
        yield
        return
    present = deepcopy(_state(learner, None))
    _load(best, learner, None)
    yield
    _load(present, learner, None)


def _numbers(metrics: Metrics) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def _state(learner: Learner, stopping: Patience | None) -> dict[str, Any]:
    return {
        "learner": learner.state(),
        "buffers": list(learner.model.buffers()),
        "stopping": None if stopping is None else stopping.state(),
    }


def _load(state: Mapping[str, Any], learner: Learner, stopping: Patience | None) -> None:
    learner.load(state["learner"])
    for buffer, saved in zip(learner.model.buffers(), state["buffers"], strict=True):
        buffer.copy_(saved)
    if stopping is not None and state["stopping"] is not None:
        stopping.load(state["stopping"])


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student learns.

    Args:
        inputs: (examples, ...), and targets: (examples, ...), on the device of the training.
        loss: from the network in training mode, and inputs and targets of a batch, to their mean loss.
        epochs: of one full training: what schedules run over, however far this trial goes.
    """

    inputs: Tensor
    targets: Tensor
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]
    epochs: int


class Student:
    """A network that goes down the loss of its lesson."""

    def __init__(self, trial: Trial, model: nn.Module, lesson: Lesson) -> None:
        chosen = complete(TRAINING_HYPERPARAMETERS, trial.params)
        self.model = self.measured = model
        self.lesson = lesson
        self.order = trial.generator("order")
        self.batches = batch_sizes(len(lesson.inputs), chosen["batch_size"])
        self.descent = Descent(model, lesson.inputs.device, chosen, lesson.epochs * len(self.batches))
        self.last_full = last_full(self.batches)
        self.norms = GradientNorms(model)

    def epoch(self, step: int) -> Metrics:
        """One pass over the training split in a fresh order; `train_loss` is the mean of its batches' losses, by their examples."""
        self.model.train()
        before = (step - 1) * len(self.batches)
        losses = []
        for index, (x, y) in enumerate(shuffled(self.order, self.batches, self.lesson.inputs, self.lesson.targets)):
            loss = self.lesson.loss(self.model, x, y)
            self.descent.differentiate(loss)
            if index == self.last_full:
                self.norms.take()
            self.descent.step(before + index)
            losses.append(loss.detach())
        sizes = torch.tensor(self.batches, dtype=losses[0].dtype, device=losses[0].device)
        return {"train_loss": torch.stack(losses).dot(sizes) / sum(self.batches), **self.norms.metrics()}

    def state(self) -> dict[str, Any]:
        return self.descent.state()

    def load(self, state: Mapping[str, Any]) -> None:
        self.descent.load(state)


def shuffled(order: torch.Generator, batches: list[int], *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The rows of `tensors`, alike in a fresh order, in batches of the given sizes."""
    rows = torch.randperm(len(tensors[0]), generator=order).to(tensors[0].device)
    yield from zip(*(tensor.index_select(0, rows).split(batches) for tensor in tensors), strict=True)  # type: ignore[no-untyped-call]


def batch_sizes(examples: int, batch_size: int) -> list[int]:
    """Full batches and a rest. A rest of one example joins the batch before it: batch normalization cannot take one."""
    full, rest = divmod(examples, batch_size)
    if full == 0:
        return [rest]
    if rest == 1:
        return [batch_size] * (full - 1) + [batch_size + 1]
    return [batch_size] * full + [rest] * (rest > 0)


def last_full(batches: list[int]) -> int:
    """The index of the last batch that is no rest: a gradient of few examples is mostly chance."""
    return max(index for index, size in enumerate(batches) if size >= batches[0])
