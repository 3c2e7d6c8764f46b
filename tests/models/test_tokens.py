import pytest
import torch
from torch import nn

from hpsearch.models.tokens import TokenEmbedding, token_mask
from hpsearch.training.flat import FlatParameters

IDS = torch.tensor([[3, 1, 4, 0], [1, 0, 0, 0], [2, 3, 3, 1]])


def embedding(seed=0, vocabulary=5, width=6):
    generator = torch.Generator().manual_seed(seed)
    return TokenEmbedding(vocabulary, width, lambda _name, _device: generator)


def test_looks_up_and_learns_what_torch_does():
    ours, theirs = embedding(), nn.Embedding(5, 6, padding_idx=0)
    theirs.weight.data.copy_(ours.weight.detach() * 6**0.5)
    for module in (ours, theirs):
        module(IDS).square().sum().backward()
    torch.testing.assert_close(ours(IDS), theirs(IDS))
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad * 6**0.5)


def test_padding_is_zeros_and_stays_so_when_parameters_are_flattened():
    """With decay, and a momentum that would move it if a gradient ever came."""
    module = embedding()
    flat = FlatParameters(module, torch.device("cpu"))
    momentum = torch.zeros_like(flat.values)
    for _ in range(3):
        flat.gradient.zero_()
        (module(IDS) - 1).square().sum().backward()
        flat.values.mul_(0.99).sub_(momentum.mul_(0.9).add_(flat.gradient), alpha=0.1)
    assert not module(IDS)[0, 3].any()
    assert flat.values.view(5, 6)[1:].all()
    assert not flat.gradient.view(5, 6)[0].any()


def test_vectors_are_of_deviation_one():
    """Five sigmas of the mean square of 2,000 times 50 normal numbers."""
    vectors = embedding(vocabulary=2001, width=50)(torch.arange(1, 2001)[None]).detach()
    assert vectors.square().mean() == pytest.approx(1.0, abs=5 * (2 / 100_000) ** 0.5)


def test_the_seed_decides():
    assert torch.equal(embedding(1).weight, embedding(1).weight)
    assert not torch.equal(embedding(1).weight, embedding(2).weight)


def test_the_mask_leaves_padding_out_and_the_first_step_of_an_empty_text_in():
    assert token_mask(IDS[:2]).tolist() == [[True, True, True, False], [True, False, False, False]]
    assert token_mask(torch.zeros(1, 3, dtype=torch.int64)).tolist() == [[True, False, False]]


def test_a_zero_between_tokens_is_no_end():
    assert token_mask(torch.tensor([[0, 2, 0, 3, 0]])).tolist() == [[True, True, True, True, False]]
