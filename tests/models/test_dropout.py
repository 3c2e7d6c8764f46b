import math

import pytest
import torch

from hpsearch.models.dropout import Dropout


def dropout(rate, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Dropout(rate, lambda _name, _device: generator)


@pytest.mark.parametrize("rate", [0.0001, 0.1, 0.5, 0.9, 0.99999])
def test_drops_its_share_and_keeps_the_mean(rate):
    """Five sigmas of a binomial of a million draws, and half of the rate's rounding to a 65,536th."""
    module, entries = dropout(rate), 1_000_000
    kept = module(torch.ones(1000, 1000))
    share = float((kept == 0).double().mean())
    assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / entries) + 2**-17 + 2**-16 * (rate > 0.9999)
    values = kept[kept > 0]
    if len(values):
        assert values.unique().tolist() == pytest.approx([module.scale])


def test_entries_are_independent_between_neighbours_and_between_masks():
    """Four neighbours come from one 64-bit draw; correlations within five sigmas."""
    module = dropout(0.3)
    masks = torch.stack([(module(torch.ones(64, 128)) > 0).double() for _ in range(40)])
    centred = masks - masks.mean()
    flat = centred.reshape(40, -1)
    for lag in (1, 2, 3, 4, 64, 128):
        correlation = float((flat[:, lag:] * flat[:, :-lag]).mean() / flat.square().mean())
        assert abs(correlation) < 5 / math.sqrt(flat.numel())
    between = float((flat[1:] * flat[:-1]).mean() / flat.square().mean())
    assert abs(between) < 5 / math.sqrt(flat.numel())


def test_rate_zero_and_evaluation_change_nothing():
    x = torch.randn(3, 4)
    assert dropout(0.0)(x) is x
    assert dropout(0.5).eval()(x) is x


def test_the_gradient_passes_where_the_value_did():
    x = torch.ones(50, 50, requires_grad=True)
    y = dropout(0.4)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_masks_drawn_ahead_are_forgotten_when_an_epoch_begins():
    """The generator's state alone decides the masks of an epoch."""
    shape, resumed = torch.ones(8, 8), dropout(0.5)
    module = dropout(0.5)
    for _ in range(5):
        module(shape)
    generator = module.random("dropout", torch.device("cpu"))
    resumed.random("dropout", torch.device("cpu")).set_state(generator.get_state())
    module.train()
    for size in (8, 8, 8, 3, 8):
        x = torch.ones(size, 8)
        assert torch.equal(module(x), resumed(x))


def test_a_mask_is_used_once():
    module = dropout(0.5)
    seen = [module(torch.ones(16, 16)) for _ in range(30)]
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
