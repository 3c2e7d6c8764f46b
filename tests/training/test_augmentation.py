"""Augmentation against torch's own turns and rolls, against scipy's Beta, and against arithmetic by hand."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from hpsearch.training.augmentation import Augmentation, cut_out, draw_beta, warp
from hpsearch.training.augmentation_plan import AUGMENTATION_HYPERPARAMETERS, check_suited, suited

EVERYTHING = {"augment_shift": 0.2, "augment_rotation": 30.0, "augment_scale": 0.3, "augment_noise": 0.1, "cutout": 0.4, "mixup": 0.5}


class Source:
    """A trial's random numbers, by name."""

    def __init__(self, seed=0):
        self.seed, self.generators = seed, {}

    def __call__(self, name, device):
        if name not in self.generators:
            self.generators[name] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[name]


def augmentation(background=0.0, seed=0, **parameters):
    return Augmentation.of(parameters, background, Source(seed))


def pictures(batch=6, channels=3, height=8, width=8):
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(1)) * 4 - 2


def warped(images, shift=(0.0, 0.0), degrees=0.0, factor=1.0, background=0.0):
    batch = len(images)
    angle = torch.full((batch,), float(np.radians(degrees)))
    return warp(images, torch.tensor(shift).expand(batch, 2), angle, torch.full((batch,), factor), background)


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)


def squared(outputs, targets):
    return (outputs - targets).square().mean()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 9)])
def test_warped_by_nothing_an_image_stays(height, width):
    images = pictures(height=height, width=width)
    assert_same(warped(images, background=-3.0), images)


@pytest.mark.parametrize("turns", [1, 2, 3, -1])
@pytest.mark.parametrize("side", [7, 8])
def test_a_quarter_turn_is_that_of_torch(turns, side):
    images = pictures(height=side, width=side)
    assert_same(warped(images, degrees=90 * turns, background=5.0), images.rot90(turns, (2, 3)))


@pytest.mark.parametrize(("height", "width"), [(4, 8), (9, 5)])
def test_half_a_turn_of_an_oblong(height, width):
    images = pictures(height=height, width=width)
    assert_same(warped(images, degrees=180.0), images.flip(2, 3))


def test_a_quarter_turn_of_an_oblong_keeps_its_proportions():
    """The middle square of an oblong turns as a square would."""
    images = pictures(height=4, width=8)
    assert_same(warped(images, degrees=90.0)[..., 2:6], images[..., 2:6].rot90(1, (2, 3)))


@pytest.mark.parametrize(("right", "down"), [(2, 0), (0, 3), (-1, 2), (-2, -3)])
def test_whole_pixels_are_rolled_and_the_border_is_background(right, down):
    height, width = 10, 5
    background = torch.tensor([-7.0, 0.0, 3.0]).view(3, 1, 1)
    images = pictures(height=height, width=width)
    expected = background.expand_as(images).clone()
    rows = slice(max(down, 0), height + min(down, 0))
    columns = slice(max(right, 0), width + min(right, 0))
    expected[..., rows, columns] = images.roll((down, right), (2, 3))[..., rows, columns]
    assert_same(warped(images, (right / width, down / height), background=background), expected)


def test_half_as_large_is_the_mean_of_four_pixels_amid_background():
    images = pictures()
    inner = functional.avg_pool2d(images, 2)
    assert_same(warped(images, factor=0.5)[..., 2:6, 2:6], inner)
    outer = warped(images, factor=0.5, background=9.0).clone()
    outer[..., 2:6, 2:6] = 9.0
    assert_same(outer, torch.full_like(outer, 9.0))


def test_shifted_last_a_grown_image_lands_where_it_is_sent():
    images = pictures()
    assert_same(warped(images, (0.25, 0.0), factor=0.5), warped(warped(images, factor=0.5), (0.25, 0.0)))


def test_a_draw_stays_within_its_bounds():
    """One bright pixel in the middle of a large image shows where it has been sent."""
    images = torch.zeros(500, 1, 41, 41)
    images[..., 20, 20] = 1.0
    sent = augmentation(augment_shift=0.2)(images)
    position = torch.arange(41.0)
    mass = sent.sum((1, 2, 3))
    for axis in (1, 2):
        moved = (sent.sum(1).sum(axis) * position).sum(1) / mass - 20
        assert moved.abs().max() <= 0.2 * 41 + 1e-3
        assert moved.abs().max() > 0.2 * 41 * 0.9  # each of 500 misses it with probability 0.9: all with 1e-23
        assert moved.std() == pytest.approx(0.2 * 41 / 3**0.5, rel=0.15)  # of a uniform number; about five standard errors


def test_a_cut_is_a_square_of_background_and_the_rest_stays():
    images = pictures(height=9, width=12)
    cut = cut_out(images, torch.full((6,), 4), torch.arange(6) + 3, 4, -5.0)
    for index, (before, after) in enumerate(zip(images, cut, strict=True)):
        expected = before.clone()
        expected[:, 2:6, index + 1 : index + 5] = -5.0
        assert torch.equal(after, expected)


def test_a_cut_at_the_border_is_smaller():
    cut = cut_out(torch.zeros(2, 1, 6, 6), torch.tensor([0, 5]), torch.tensor([0, 5]), 3, 1.0)
    assert cut.sum((1, 2, 3)).tolist() == [4.0, 4.0]


@pytest.mark.parametrize(("share", "side"), [(0.25, 2), (0.5, 4), (0.01, 1), (1.0, 8)])
def test_cutouts_area(share, side):
    """Centres are uniform over pixels, so that the mean area along an axis is a sum over them."""
    images = torch.zeros(4000, 1, 8, 16)
    areas = augmentation(background=1.0, cutout=share)(images).sum((1, 2, 3))
    assert areas.max() == side * side

    def lengths(length):
        return np.array([np.sum((np.arange(length) >= c - side // 2) & (np.arange(length) < c - side // 2 + side)) for c in range(length)])

    expected = lengths(8).mean() * lengths(16).mean()
    deviation = np.std(np.outer(lengths(8), lengths(16)))
    assert abs(float(areas.mean()) - expected) <= 5 * deviation / 4000**0.5  # fails falsely once in a million seeds


def test_noise_has_its_standard_deviation():
    inputs = torch.full((100, 1000), 2.0)
    noise = augmentation(augment_noise=0.3)(inputs) - inputs
    assert float(noise.mean()) == pytest.approx(0, abs=5 * 0.3 / 1e5**0.5)
    assert float(noise.std()) == pytest.approx(0.3, rel=5 / (2e5) ** 0.5)
    assert stats.kstest((noise / 0.3).flatten().numpy(), "norm").pvalue > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 8.0])
def test_beta_is_that_of_scipy(alpha):
    """The lower half, as floats near 1 lie too far apart: by Kolmogorov's and Smirnov's distance, and by its share of all draws.

    Either bound is passed falsely by one seed in a million.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = np.array([float(draw_beta(alpha, generator)) for _ in range(4000)])
    lower = drawn[drawn < 0.5]
    assert stats.kstest(lower, lambda x: 2 * stats.beta(alpha, alpha).cdf(x)).pvalue > 1e-6
    assert stats.binomtest(len(lower), 4000).pvalue > 1e-6
    assert ((drawn >= 0) & (drawn <= 1)).all()


def test_a_tiny_alpha_takes_one_or_the_other():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([draw_beta(1e-6, generator) for _ in range(200)])
    assert ((drawn < 1e-9) | (drawn > 1 - 1e-9)).all()
    assert 50 < (drawn > 0.5).sum() < 150  # of 200 fair coins: seven standard deviations


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 6, 6)])
def test_the_loss_of_mixed_examples_is_mixed(shape):
    inputs, labels = torch.randn(8, *shape, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    network = torch.nn.Linear(int(np.prod(shape)), 8)
    mixed, loss = augmentation(mixup=0.4, seed=3).mix(inputs, labels, functional.cross_entropy)
    generator = torch.Generator().manual_seed(3)
    share = float(draw_beta(0.4, generator))
    partners = torch.randperm(8, generator=generator)
    assert_same(mixed, share * inputs + (1 - share) * inputs[partners])
    outputs = network(mixed.flatten(1))
    by_hand = functional.one_hot(labels, 8) * share + functional.one_hot(labels[partners], 8) * (1 - share)
    assert_same(loss(outputs), functional.cross_entropy(outputs, by_hand))


def test_mixed_with_a_squared_error_it_has_the_gradient_of_mixed_targets():
    inputs, targets = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0)).unbind()
    mixed, loss = augmentation(mixup=1.0).mix(inputs, targets, squared)
    share_of = augmentation(mixup=1.0).mix(targets, targets, squared)[0]
    outputs = mixed.clone().requires_grad_()
    (actual,) = torch.autograd.grad(loss(outputs), outputs)
    (expected,) = torch.autograd.grad(squared(outputs, share_of), outputs)
    assert_same(actual, expected)


def test_all_off_it_is_the_batch_itself_and_nothing_is_drawn():
    images, labels = pictures(), torch.arange(6)
    off = augmentation()
    assert off(images) is images
    inputs, loss = off.mix(images, labels, functional.cross_entropy)
    assert inputs is images
    outputs = torch.randn(6, 6)
    assert torch.equal(loss(outputs), functional.cross_entropy(outputs, labels))
    assert off.random.generators == {}


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_alone_does_something_and_depends_on_the_trials_generator_alone(name):
    def once(seed):
        chosen = augmentation(seed=seed, **{name: EVERYTHING[name]})
        return chosen.mix(chosen(pictures()), torch.arange(6), functional.cross_entropy)[0]

    torch.manual_seed(0)
    first, state = once(1), torch.get_rng_state()
    torch.manual_seed(5)
    assert torch.equal(once(1), first)
    assert not torch.equal(once(2), first)
    assert not torch.equal(first, pictures())
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


def test_all_at_once_resumes_from_the_generators_state():
    whole = augmentation(**EVERYTHING)
    first, second = whole(pictures()), None
    state = whole.random("augmentation", torch.device("cpu")).get_state()
    second = whole(pictures())
    resumed = augmentation(seed=9, **EVERYTHING)
    resumed.random("augmentation", torch.device("cpu")).set_state(state)
    assert torch.equal(resumed(pictures()), second)
    assert not torch.equal(first, second)
    assert first.shape == pictures().shape
    assert first.dtype == torch.float32


def test_examples_are_drawn_apart():
    images = pictures(1).expand(4, -1, -1, -1)
    for name in set(EVERYTHING) - {"mixup"}:
        made = augmentation(**{name: EVERYTHING[name]})(images)
        assert not any(torch.equal(made[i], made[j]) for i in range(4) for j in range(i)) or name == "cutout"
    assert len(augmentation(cutout=0.2)(pictures(1).expand(50, -1, -1, -1)).unique(dim=0)) > 10


def test_every_kind_of_input_has_its_own():
    assert {h.name for h in suited("image")} == set(EVERYTHING) == {h.name for h in AUGMENTATION_HYPERPARAMETERS}
    assert {h.name for h in suited("rows")} == {h.name for h in suited("sequence")} == {"augment_noise", "mixup"}
    assert suited("tokens") == ()
    check_suited("image", EVERYTHING)
    check_suited("rows", ["mixup", "learning_rate"])
    with pytest.raises(ValueError, match="cutout is not for inputs of kind rows; augment_noise and mixup can be used; leave it out"):
        check_suited("rows", ["learning_rate", "cutout"])
    with pytest.raises(ValueError, match="mixup is not for inputs of kind tokens; leave it out of the space"):
        check_suited("tokens", ["mixup"])


def test_what_is_not_allowed_is_refused():
    with pytest.raises(ValueError, match=r"augment_shift must be a number >= 0 and <= 0\.5, got 0\.7"):
        augmentation(augment_shift=0.7)
