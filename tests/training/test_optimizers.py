"""Our updates against torch.optim's, step by step, on the same gradients."""

import pytest
import torch
from torch import nn

from hpsearch.training.flat import FlatParameters
from hpsearch.training.optimizers import OPTIMIZERS, Settings, initial_state

CASES = [
    ("sgd", {"momentum": 0.0}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("adam", {}),
    ("adamw", {}),
    ("rmsprop", {"momentum": 0.0}),
    ("rmsprop", {"momentum": 0.8}),
]
THEIRS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2)).double()


@pytest.mark.slow
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_takes_the_steps_of_torch(name, options, weight_decay):
    ours, theirs = network(), network()
    flat = FlatParameters(ours, torch.device("cpu"))
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in theirs.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    reference = THEIRS[name](groups, lr=0.01, **options)
    update, state = OPTIMIZERS[name][0], initial_state(name, flat.values)
    settings = Settings(options.get("momentum", 0.0), options.get("nesterov", False), weight_decay, flat.decayed)
    x, y = torch.randn(16, 6).double(), torch.randn(16, 2).double()
    for step in range(60):
        rate = 0.01 * (1 + step % 3)
        for group in reference.param_groups:
            group["lr"] = rate
        flat.gradient.zero_()
        reference.zero_grad()
        for model in (ours, theirs):
            (model(x) - y).square().mean().backward()
        update(flat.values, flat.gradient, state, rate, step + 1, settings)
        reference.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_every_optimizer_of_the_table_is_tested():
    assert {name for name, _ in CASES} == set(OPTIMIZERS)
