"""A training of one's own: a maxout network (Goodfellow et al., arXiv 1302.4389) on digits. digits_function.yaml searches it."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

import hpsearch


class Maxout(nn.Module):
    """Each hidden unit is the largest of `pieces` linear functions of its input."""

    def __init__(self, inputs: int, hidden: int, pieces: int, outputs: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.hidden = nn.Linear(inputs, hidden * pieces)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, inputs); gives (batch, outputs)."""
        return self.output(self.hidden(x).unflatten(1, (-1, self.pieces)).amax(2))


def train(trial: hpsearch.Trial) -> None:
    digits = load_digits()
    split = train_test_split(digits.data / 16, digits.target, test_size=0.2, random_state=0, stratify=digits.target)
    x, x_val = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
    y, y_val = (torch.tensor(part) for part in split[2:])
    model = Maxout(64, trial.params["hidden_units"], trial.params["pieces"], 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=trial.params["learning_rate"])
    if (saved := trial.load_checkpoint()) is not None:  # None on a fresh start
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    order = trial.generator("order")  # goes on after a checkpoint as if nothing had happened
    for epoch in trial.steps():
        for batch in torch.randperm(len(x), generator=order).split(64):
            loss = functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            outputs = model(x_val)
            metrics = {
                "val_loss": functional.cross_entropy(outputs, y_val),
                "val_accuracy": (outputs.argmax(1) == y_val).float().mean(),
            }
        trial.report(epoch, metrics, checkpoint=lambda: {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
