"""A script, not a test: what a bare machine has to be able to do. It trains every family for two steps and prints how each ended."""

import sys
from pathlib import Path

import torch

from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.training import run_assignment
from hpsearch.training.duel import Duel
from hpsearch.training.loop import Lesson, Student, train
from hpsearch.trial import Assignment, Objective, TrialKind

EXAMPLES = {
    "rows": Inputs("rows", (6,)),
    "image": Inputs("image", (1, 8, 8)),
    "sequence": Inputs("sequence", (6, 3)),
    "tokens": Inputs("tokens", (6,), vocabulary=20),
}


class Silent:
    def report(self, report, last):
        return None


class Family:
    """A task on random numbers for one model family and one kind of example."""

    objectives = (Objective("size", "minimize"),)

    def __init__(self, name, inputs, device="cpu"):
        self.name, self.inputs, self.device = name, inputs, torch.device(device)

    def run(self, trial):
        entry, random = MODELS[self.name], torch.Generator().manual_seed(0)
        model = entry.load()(trial.params, self.inputs, 3, trial.generator).to(self.device)
        y = (torch.arange(40) % 3).to(self.device)
        if self.inputs.kind == "tokens":
            x = torch.randint(0, self.inputs.vocabulary, (40, *self.inputs.shape), generator=random).to(self.device)
        else:
            x = torch.randn(40, *self.inputs.shape, generator=random).to(self.device)
        learner = Duel(trial, model, x, 2) if self.name == "gan" else Student(trial, model, Lesson(x, y, self.loss, 2))
        train(trial, learner, lambda model: {"size": sum(p.detach().square().sum() for p in model.parameters())})

    def loss(self, model, x, y):
        if self.name == "autoencoder":
            return model.loss(x)
        return torch.nn.functional.cross_entropy(model(x), y)


def main(folder, device):
    for name, entry in MODELS.items():
        for kind in entry.inputs:
            assignment = Assignment(0, 1, TrialKind.SEARCH, {}, 0, 2)
            outcome = run_assignment(Family(name, EXAMPLES[kind], device), assignment, Silent(), folder / f"{name}-{kind}")
            print(name, kind, outcome.state.value)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
