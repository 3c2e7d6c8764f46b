"""Attacks against closed forms on linear models, their bounds on any, and what they leave of a training's own state."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from hpsearch.config.sections import AttackConfig
from hpsearch.models.dropout import Dropout
from hpsearch.models.inputs import Inputs
from hpsearch.models.mlp import MLP
from hpsearch.tasks.builtin import read_builtin
from hpsearch.training.attacks import AdversarialLoss, PixelRange, pgd, robust_accuracy, under
from hpsearch.training.attacks_plan import ADVERSARIAL_HYPERPARAMETERS, Attack
from hpsearch.training.flat import FlatParameters
from hpsearch.training.loop import shuffled

UNIT = PixelRange(torch.tensor(0.0), torch.tensor(1.0))
MEAN, DEVIATION = torch.tensor([0.2, 0.5, 0.7]).view(3, 1, 1), torch.tensor([0.1, 0.3, 2.0]).view(3, 1, 1)
PER_CHANNEL = PixelRange(-MEAN / DEVIATION, (1 - MEAN) / DEVIATION)
BOTH = [Attack("fgsm", 0.1), Attack("pgd", 0.1, 5)]


def source(seed=0):
    """A trial's random numbers, by name."""
    generators = {}
    return lambda name, device: generators.setdefault(name, torch.Generator(device).manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(pixels, shape=(3, 8, 8), batch=16, seed=0):
    shares = torch.rand(batch, *shape, generator=generator(seed))
    return pixels.darkest + shares * (pixels.lightest - pixels.darkest)


def network(shape=(3, 8, 8), outputs=10, seed=0, **parameters):
    return MLP({"hidden_units": 32, "activation": "tanh", **parameters}, Inputs("image", shape), outputs, source(seed))


def cross_entropy(model, y):
    return lambda x: functional.cross_entropy(model(x), y)


def attacked(attack, model, x, y, pixels, seed=0):
    return under(attack, model, cross_entropy(model, y), x, pixels, generator(seed))


def test_the_range_of_images_is_that_of_their_pixels_standardised_or_not():
    raw = torch.rand(20, 3, 4, 4, generator=generator())
    raw[3, :, 1, 1], raw[5, :, 0, 2] = 0.0, 1.0
    pixels = PixelRange.of((raw - MEAN) / DEVIATION)
    torch.testing.assert_close(pixels.darkest, PER_CHANNEL.darkest)
    torch.testing.assert_close(pixels.lightest, PER_CHANNEL.lightest)
    beyond = torch.tensor([-1.0, 0.0, 0.25, 1.0, 3.0]).view(5, 1, 1, 1)
    torch.testing.assert_close(pixels.clip((beyond - MEAN) / DEVIATION) * DEVIATION + MEAN, beyond.clamp(0, 1).expand(5, 3, 1, 1))


@pytest.mark.parametrize("pixels", [UNIT, PER_CHANNEL], ids=["unit", "per channel"])
def test_fgsm_on_two_classes_of_a_linear_model_is_the_closed_form(pixels):
    """The loss grows along w[other] - w[own] whatever x is: each pixel goes epsilon in that direction."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(2, 48, generator=generator()) / 10)
    x, y = pictures(pixels, (3, 4, 4)), torch.arange(16) % 2
    direction = (model[1].weight[1 - y] - model[1].weight[y]).detach().sign().view_as(x)
    size = (pixels.lightest - pixels.darkest) * 0.07
    expected = torch.minimum(torch.maximum(x + size * direction, pixels.darkest), pixels.lightest)
    torch.testing.assert_close(attacked(Attack("fgsm", 0.07), model, x, y, pixels), expected)


def test_pgd_on_a_linear_model_ends_where_fgsm_does():
    """Steps of 2.5 * epsilon in all, always the same way, reach the border of the ball from anywhere in it."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    x, y = pictures(UNIT, (3, 4, 4)), torch.arange(16) % 2
    by_fgsm = attacked(Attack("fgsm", 0.1), model, x, y, UNIT)
    for steps in (1, 4):
        torch.testing.assert_close(attacked(Attack("pgd", 0.1, steps), model, x, y, UNIT), by_fgsm)


def test_one_step_of_pgd_by_hand():
    model, x, y = network(), pictures(UNIT), torch.arange(16) % 10
    start = x + (torch.rand(x.shape, generator=generator(4)) * 2 - 1) * 0.1
    start = start.clamp(0, 1).requires_grad_()
    functional.cross_entropy(model(start), y).backward()
    expected = start + start.grad.sign() * 2.5 * 0.1
    expected = torch.minimum(torch.maximum(expected, x - 0.1), x + 0.1).clamp(0, 1)
    actual = pgd(cross_entropy(model, y), x, UNIT, Attack("pgd", 0.1, 1), generator(4))
    torch.testing.assert_close(actual, expected.detach())


@pytest.mark.parametrize("attack", BOTH, ids=lambda attack: attack.kind)
@pytest.mark.parametrize("epsilon", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("pixels", [UNIT, PER_CHANNEL], ids=["unit", "per channel"])
def test_an_attack_stays_within_epsilon_and_the_valid_range_and_raises_the_loss(attack, epsilon, pixels):
    attack = Attack(attack.kind, epsilon, attack.steps)
    model, x, y = network(), pictures(pixels), torch.arange(16) % 10
    changed = attacked(attack, model, x, y, pixels)
    whole = pixels.lightest - pixels.darkest
    assert ((changed - x).abs() / whole <= epsilon * (1 + 1e-5)).all()
    assert (changed >= pixels.darkest).all()
    assert (changed <= pixels.lightest).all()
    assert not changed.requires_grad
    loss = cross_entropy(model, y)
    assert loss(changed) > loss(x)


def test_inputs_beyond_the_valid_range_are_attacked_from_its_border():
    model, y = network(), torch.arange(16) % 10
    x = pictures(UNIT) * 3 - 1
    for attack in BOTH:
        assert ((attacked(attack, model, x, y, UNIT) - x.clamp(0, 1)).abs() <= 0.1 + 1e-6).all()


def test_a_training_keeps_its_gradients_modes_statistics_and_masks():
    model = network(normalization="batch", dropout=0.5)
    flat = FlatParameters(model, torch.device("cpu"))
    model.train()
    model.normalization[1].eval()
    x, y = pictures(UNIT), torch.arange(16) % 10
    for _ in range(4):  # draws masks ahead
        loss = functional.cross_entropy(model(x), y)
    flat.gradient.zero_()
    loss.backward()
    before = flat.gradient.clone(), [buffer.clone() for buffer in model.buffers()], [list(d.ahead) for d in model.dropout]
    assert before[2][0]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    for attack in BOTH:
        attacked(attack, model, x, y, UNIT)
        robust_accuracy(model, x, y, attack, UNIT)
    assert torch.equal(flat.gradient, before[0])
    kept = flat.gradient.untyped_storage().data_ptr()
    assert all(parameter.grad.untyped_storage().data_ptr() == kept for parameter in model.parameters())
    assert all(torch.equal(now, then) for now, then in zip(model.buffers(), before[1], strict=True))
    assert [list(d.ahead) for d in model.dropout] == before[2]
    assert model.training
    assert model.normalization[0].training
    assert not model.normalization[1].training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_is_attacked_as_it_is_evaluated():
    model, x, y = network(dropout=0.9, normalization="batch"), pictures(UNIT), torch.arange(16) % 10
    model.eval()
    expected = attacked(BOTH[1], model, x, y, UNIT)
    model.train()
    assert torch.equal(attacked(BOTH[1], model, x, y, UNIT), expected)


def test_modes_are_restored_after_an_error():
    model = network(dropout=0.5).train()
    seen = []

    def fails(x):
        seen.extend(module.training for module in model.modules() if isinstance(module, Dropout))
        raise RuntimeError(x.shape)

    with pytest.raises(RuntimeError):
        under(BOTH[0], model, fails, pictures(UNIT), UNIT, generator())
    assert seen
    assert not any(seen)
    assert all(module.training for module in model.modules())


class Reader(nn.Module):
    """An LSTM that reads an image row by row."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.last = nn.Linear(16, 10)

    def forward(self, x):
        return self.last(self.lstm(x.squeeze(1))[0][:, -1])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
def test_recurrent_networks_can_be_attacked(device):
    model = Reader().to(device).train()
    pixels = PixelRange(UNIT.darkest.to(device), UNIT.lightest.to(device))
    x, y = pictures(UNIT, (1, 8, 8)).to(device), (torch.arange(16) % 10).to(device)
    enabled = torch.backends.cudnn.enabled
    changed = under(BOTH[1], model, cross_entropy(model, y), x, pixels, torch.Generator(device).manual_seed(0))
    assert cross_entropy(model, y)(changed) > cross_entropy(model, y)(x)
    assert torch.backends.cudnn.enabled == enabled


def test_random_starts_come_from_the_generator_alone():
    model, x, y = network(), pictures(UNIT), torch.arange(16) % 10
    torch.manual_seed(0)
    first = attacked(BOTH[1], model, x, y, UNIT, seed=1)
    torch.manual_seed(7)
    assert torch.equal(attacked(BOTH[1], model, x, y, UNIT, seed=1), first)
    assert not torch.equal(attacked(BOTH[1], model, x, y, UNIT, seed=2), first)
    assert torch.equal(attacked(BOTH[0], model, x, y, UNIT, seed=1), attacked(BOTH[0], model, x, y, UNIT, seed=2))


def test_the_adversarial_loss_is_mixed_by_its_share():
    model, x, y = network(), pictures(UNIT), torch.arange(16) % 10
    loss = cross_entropy(model, y)
    hard = loss(attacked(Attack("pgd", 0.2, 3), model, x, y, UNIT, seed=6))
    chosen = {"adversarial": "pgd", "adversarial_epsilon": 0.2, "adversarial_steps": 3}
    for share in (0.25, 1.0):
        made = AdversarialLoss({**chosen, "adversarial_share": share}, UNIT, source(6))
        torch.testing.assert_close(made(model, loss, x), share * hard + (1 - share) * loss(x))
    assert AdversarialLoss(chosen, UNIT, source()).share == 0.5


def test_without_adversarial_training_it_is_the_loss_itself():
    model, x, y = network(), pictures(UNIT), torch.arange(16) % 10
    made = AdversarialLoss({"learning_rate": 1.0}, None, source())
    assert torch.equal(made(model, cross_entropy(model, y), x), cross_entropy(model, y)(x))


def test_its_gradient_is_of_the_parameters_with_the_attacked_images_fixed():
    model, x, y = network(), pictures(UNIT), torch.arange(16) % 10
    changed = attacked(BOTH[0], model, x, y, UNIT)
    expected = torch.autograd.grad(cross_entropy(model, y)(changed), list(model.parameters()))
    made = AdversarialLoss({"adversarial": "fgsm", "adversarial_share": 1.0}, UNIT, source())
    made(model, cross_entropy(model, y), x).backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


class Certain(nn.Module):
    """Tells two classes by whether the mean pixel is over a half."""

    def forward(self, x):
        margin = (x.flatten(1).mean(1) - 0.5) * 10
        return torch.stack([-margin, margin], dim=1)


def test_robust_accuracy_is_the_share_that_no_attack_can_turn():
    """Grey images at these values: an attack moves their mean by exactly epsilon."""
    values = torch.tensor([0.1, 0.35, 0.45, 0.55, 0.62, 0.9, 0.2])
    targets = torch.tensor([0, 0, 0, 1, 1, 1, 1])  # the last is wrong as it is
    images = values.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    for attack, left in ((Attack("fgsm", 0.1), 4), (Attack("pgd", 0.1, 3), 4), (Attack("fgsm", 0.2), 2), (Attack("pgd", 0.01, 3), 6)):
        assert robust_accuracy(Certain(), images, targets, attack, UNIT) == pytest.approx(left / 7)
    assert robust_accuracy(Certain(), images, 1 - targets, BOTH[0], UNIT) <= 1 / 7


class Sure(nn.Module):
    """As sure as floats allow, and more, of what another network says."""

    def __init__(self, model, factor):
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, x):
        return self.model(x) * self.factor


def test_robust_accuracy_is_not_that_of_a_blind_attack():
    """Outputs times a large number leave float32 no gradient of the cross-entropy; what they decide is the same, and what survives."""
    model, x = network().double(), pictures(UNIT, batch=200).double()
    y = model(x).argmax(1)
    for attack in (Attack("fgsm", 0.01), Attack("pgd", 0.01, 4)):
        by_cross_entropy = attacked(attack, model, x, y, UNIT)
        left = float((model(by_cross_entropy).argmax(1) == y).float().mean())
        assert 0.1 < left < 0.9
        assert robust_accuracy(model, x, y, attack, UNIT) == pytest.approx(left, abs=0.01)
        assert robust_accuracy(Sure(network(), 1e6), x.float(), y, attack, UNIT) == pytest.approx(left, abs=0.05)


def test_robust_accuracy_is_the_same_each_time_and_needs_no_gradients_about_it(monkeypatch):
    model, x, y = network().eval(), pictures(UNIT, batch=40), torch.arange(40) % 10
    y = model(x).argmax(1).where(torch.rand(40, generator=generator()) > 0.3, y)
    attack = Attack("pgd", 0.02, 3)
    torch.manual_seed(0)
    first = robust_accuracy(model, x, y, attack, UNIT)
    torch.manual_seed(1)
    with torch.no_grad():
        assert robust_accuracy(model, x, y, attack, UNIT) == first
    assert 0 < first < 1
    monkeypatch.setattr("hpsearch.training.attacks.AT_ONCE", 7)
    assert robust_accuracy(model, x, y, attack, UNIT) == pytest.approx(first, abs=0.1)


def test_the_sweep_files_attack_has_the_same_defaults():
    config = AttackConfig()
    assert (config.kind, config.epsilon, config.steps) == (Attack().kind, Attack().epsilon, None)
    assert "null: 10" in AttackConfig.model_fields["steps"].description
    assert Attack().steps == 10


def test_a_trial_trains_against_what_its_parameters_say():
    assert Attack.of({}) is None
    assert Attack.of({"adversarial": "fgsm"}) == Attack("fgsm", 0.1, 7)
    assert Attack.of({"adversarial": "pgd", "adversarial_epsilon": 0.3, "adversarial_steps": 2}) == Attack("pgd", 0.3, 2)
    with pytest.raises(ValueError, match="adversarial 'gsm'"):
        Attack.of({"adversarial": "gsm"})
    assert {h.name for h in ADVERSARIAL_HYPERPARAMETERS if "pgd" in h.only_with.get("adversarial", ())} == {
        "adversarial_epsilon",
        "adversarial_steps",
        "adversarial_share",
    }


class Digits:
    """Digits as images, standardised by one mean and deviation, and a network trained on the first 1,200."""

    def __init__(self):
        raw = read_builtin("digits")
        mean, self.deviation = raw.inputs[:1200].mean(), raw.inputs[:1200].std()
        self.x = torch.tensor((raw.inputs - mean) / self.deviation, dtype=torch.float32).view(-1, 1, 8, 8)
        self.y = torch.tensor(raw.target, dtype=torch.int64)
        self.pixels = PixelRange.of(self.x[:1200])

    def train(self, epochs=8, seed=0, **parameters):
        model = network((1, 8, 8), seed=seed, hidden_units=64, num_layers=1, activation="relu")
        harden = AdversarialLoss(parameters, self.pixels, source(seed))
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        order = generator(seed)
        for _ in range(epochs):
            for x, y in shuffled(order, [64] * 18 + [48], self.x[:1200], self.y[:1200]):
                optimizer.zero_grad()
                harden(model, cross_entropy(model, y), x).backward()
                optimizer.step()
        return model.eval()

    def robust(self, model, attack):
        return robust_accuracy(model, self.x[1200:], self.y[1200:], attack, self.pixels)

    def accuracy(self, model):
        with torch.no_grad():
            return float((model(self.x[1200:]).argmax(1) == self.y[1200:]).float().mean())


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture(scope="module")
def plain(digits):
    return digits.train()


def test_digits_are_in_their_range(digits):
    assert torch.equal(digits.pixels.clip(digits.x), digits.x)
    assert float(digits.pixels.lightest - digits.pixels.darkest) == pytest.approx(1 / digits.deviation)


@pytest.mark.slow
def test_pgds_loss_is_mostly_no_less_than_fgsms(digits, plain):
    x, y = digits.x[1200:1500], digits.y[1200:1500]
    by_fgsm, by_pgd = (attacked(Attack(kind, 0.1, 10), plain, x, y, digits.pixels) for kind in ("fgsm", "pgd"))
    with torch.no_grad():
        losses = [functional.cross_entropy(plain(changed), y, reduction="none") for changed in (by_fgsm, by_pgd)]
    assert (losses[1] >= losses[0] - 1e-6).float().mean() > 0.8
    assert losses[1].mean() > losses[0].mean()


@pytest.mark.slow
def test_a_weaker_attack_leaves_more(digits, plain):
    left = [digits.robust(plain, Attack("fgsm", epsilon)) for epsilon in (0.02, 0.1, 0.3)]
    assert left == sorted(left, reverse=True)
    assert left[0] < digits.accuracy(plain)


@pytest.mark.slow
def test_accuracy_falls_under_attack_and_rises_with_adversarial_training(digits, plain):
    """By far more than seeds differ."""
    for attack in BOTH:
        hardened = digits.train(adversarial=attack.kind, adversarial_epsilon=attack.epsilon)
        clean, left, risen = digits.accuracy(plain), digits.robust(plain, attack), digits.robust(hardened, attack)
        assert left < clean - 0.15
        assert risen > left + 0.1
        assert digits.accuracy(hardened) > clean - 0.05
