import torch
from torch import nn

from hpsearch.training.flat import FlatParameters


def test_parameters_and_gradients_are_views_and_weights_come_first():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    flat = FlatParameters(model, torch.device("cpu"))
    assert flat.decayed == 3 * 4 + 4 * 2
    assert len(flat.values) == sum(p.numel() for p in model.parameters())
    model(torch.randn(5, 3)).square().sum().backward()
    assert sorted(flat.gradient.tolist()) == sorted(g for p in model.parameters() for g in p.grad.ravel().tolist())
    flat.load(torch.zeros_like(flat.values))
    assert not any(p.any() for p in model.parameters())
