"""What tasks on an autoencoder share: it learns to give back the training split."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.training.loop import Learner
    from hpsearch.training.trial import Trial


def reconstructs(trial: Trial, model: nn.Module, inputs: torch.Tensor, epochs: int) -> Learner:
    """Trains an autoencoder on `inputs` alone."""
    from hpsearch.training.loop import Lesson, Student

    return Student(trial, model, Lesson(inputs, inputs, _loss, epochs))


def _loss(model: nn.Module, x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    from hpsearch.models.autoencoder import Autoencoder

    assert isinstance(model, Autoencoder)
    return model.loss(x)
