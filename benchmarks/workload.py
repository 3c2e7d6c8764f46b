"""What all sides of `benchmarks.overhead` do: an MLP on scikit-learn's digits, 20 epochs, one torch thread a process.

`overhead.yaml` says the same to hpsearch: as many rows to train and to validate on, the same space, the same training.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

EPOCHS = 20
BATCH_SIZE = 64
TRAINING_ROWS = 1280
LEARNING_RATE = (1e-5, 1e-1)
WEIGHT_DECAY = (1e-6, 1e-1)
DROPOUT = (0.0, 0.6)
WIDTHS = (16, 32, 64, 128)
DEPTHS = (1, 2, 3)


def draw(random: np.random.Generator) -> dict[str, Any]:
    """A random configuration of the space."""
    return {
        "learning_rate": float(np.exp(random.uniform(*np.log(LEARNING_RATE)))),
        "weight_decay": float(np.exp(random.uniform(*np.log(WEIGHT_DECAY)))),
        "dropout": float(random.uniform(*DROPOUT)),
        "width": int(random.choice(WIDTHS)),
        "depth": int(random.choice(DEPTHS)),
    }


@lru_cache(maxsize=1)
def load_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs (rows, 64) and labels (rows,) to train on, then those to validate on; read once in a process."""
    import torch
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    inputs = torch.tensor(images[order] / 16, dtype=torch.float32)
    targets = torch.tensor(labels[order])
    return inputs[:TRAINING_ROWS], targets[:TRAINING_ROWS], inputs[TRAINING_ROWS:], targets[TRAINING_ROWS:]


def build(parameters: dict[str, Any]) -> nn.Sequential:
    """64 pixels in, 10 scores out."""
    from torch import nn

    layers: list[nn.Module] = []
    width = 64
    for _ in range(parameters["depth"]):
        layers += [nn.Linear(width, parameters["width"]), nn.ReLU(), nn.Dropout(parameters["dropout"])]
        width = parameters["width"]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def train(parameters: dict[str, Any], epochs: int = EPOCHS) -> Iterator[dict[str, float]]:
    """Train one configuration, the way a script does; gives each epoch's metrics."""
    import torch
    from torch.nn import functional

    inputs, targets, validation_inputs, validation_targets = load_data()
    torch.manual_seed(0)
    network = build(parameters)
    optimizer = torch.optim.AdamW(network.parameters(), lr=parameters["learning_rate"], weight_decay=parameters["weight_decay"])
    for _ in range(epochs):
        network.train()
        total = 0.0
        for batch in torch.randperm(len(inputs)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(inputs[batch]), targets[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        network.eval()
        with torch.no_grad():
            outputs = network(validation_inputs)
            yield {
                "train_loss": total / len(inputs),
                "val_loss": functional.cross_entropy(outputs, validation_targets).item(),
                "val_accuracy": (outputs.argmax(1) == validation_targets).float().mean().item(),
            }
