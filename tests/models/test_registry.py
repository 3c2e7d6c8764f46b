"""What every model family keeps to, with each kind of example that it takes."""

import subprocess
import sys

import pytest
import torch

from hpsearch.models import MODELS
from hpsearch.models.hyperparameter import complete
from hpsearch.models.inputs import Inputs
from hpsearch.training.descent import Descent
from hpsearch.training.flat import FlatParameters
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS

pytestmark = pytest.mark.slow

EXAMPLES = {
    "rows": Inputs("rows", (12,)),
    "image": Inputs("image", (1, 8, 8)),
    "sequence": Inputs("sequence", (6, 3)),
    "tokens": Inputs("tokens", (7,), vocabulary=11),
}
FAMILIES = [(name, kind) for name, entry in MODELS.items() for kind in entry.inputs]
PREDICTORS = [(name, kind) for name, kind in FAMILIES if MODELS[name].predicts]
"""Others have faces of their own, with tests of their own; what is said of FAMILIES holds for them too."""

CPU = torch.device("cpu")


def generators(seed):
    made = {}

    def give(name, device="cpu"):
        if name not in made:
            made[name] = torch.Generator(device)
            made[name].manual_seed(seed + len(name))
        return made[name]

    give.made = made
    return give


def build(name, kind, random, **parameters):
    return MODELS[name].load()(parameters, EXAMPLES[kind], 3, random)


def batch(kind, examples=16):
    random, inputs = torch.Generator().manual_seed(0), EXAMPLES[kind]
    if kind != "tokens":
        return torch.randn(examples, *inputs.shape, generator=random)
    ids = torch.randint(1, inputs.vocabulary, (examples, *inputs.shape), generator=random)
    lengths = torch.randint(2, inputs.shape[0] + 1, (examples, 1), generator=random)
    return ids.where(torch.arange(inputs.shape[0]) < lengths, 0)


def training(model, **parameters):
    return Descent(model, CPU, complete(TRAINING_HYPERPARAMETERS, parameters), updates=100)


def update(model, descent, x, number):
    loss = torch.nn.functional.cross_entropy(model(x), torch.arange(len(x)) % 3)
    descent.follow(loss, number)
    return float(loss.detach())


@pytest.mark.parametrize("name", MODELS)
def test_defaults_are_allowed_and_documented(name):
    names = [hyperparameter.name for hyperparameter in MODELS[name].hyperparameters]
    assert len(set(names)) == len(names)
    for hyperparameter in MODELS[name].hyperparameters:
        hyperparameter.check(hyperparameter.default)
        assert hyperparameter.doc.endswith(".")
        assert set(hyperparameter.only_with) <= set(names)


@pytest.mark.parametrize(("name", "kind"), FAMILIES)
def test_counts_its_parameters_before_it_is_built(name, kind):
    model = build(name, kind, generators(0))
    assert sum(p.numel() for p in model.parameters()) == MODELS[name].count_parameters({}, EXAMPLES[kind], 3)


@pytest.mark.parametrize(("name", "kind"), FAMILIES)
def test_the_seed_alone_decides_the_weights(name, kind):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (FlatParameters(build(name, kind, generators(seed)), CPU).values for seed in (0, 0, 5))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.isfinite().all()


@pytest.mark.parametrize(("name", "kind"), FAMILIES)
def test_every_parameter_is_a_view_of_the_one_vector(name, kind):
    model = build(name, kind, generators(0))
    before = [p.detach().clone() for p in model.parameters()]
    flat = FlatParameters(model, CPU)
    assert all(torch.equal(p, saved) for p, saved in zip(model.parameters(), before, strict=True))
    flat.values.fill_(2.0)
    assert all((p == 2.0).all() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), PREDICTORS)
def test_lowers_the_loss_of_one_batch_to_near_zero(name, kind):
    model, x = build(name, kind, generators(0)), batch(kind)
    descent = training(model, learning_rate=0.01)
    losses = [update(model, descent, x, number) for number in range(60)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.05


@pytest.mark.parametrize(("name", "kind"), PREDICTORS)
def test_everything_it_has_learns(name, kind):
    """No parameter is without a gradient, but for the vectors of tokens that are not there."""
    model, x = build(name, kind, generators(0)), batch(kind)
    flat = FlatParameters(model, CPU)
    (model(x) * torch.randn(len(x), 3, generator=torch.Generator().manual_seed(1))).sum().backward()
    assert [n for n, p in model.named_parameters() if not p.grad.any()] == []
    assert flat.gradient.isfinite().all()


@pytest.mark.parametrize(("name", "kind"), PREDICTORS)
def test_draws_from_the_given_generators_alone(name, kind):
    def outputs(global_seed):
        torch.manual_seed(global_seed)
        model = build(name, kind, generators(7), dropout=0.5)
        before = torch.get_rng_state()
        result = model(batch(kind))
        assert torch.equal(before, torch.get_rng_state())
        return result

    assert torch.equal(outputs(1), outputs(2))


@pytest.mark.parametrize(("name", "kind"), PREDICTORS)
def test_evaluation_is_of_each_example_alone_and_draws_nothing(name, kind):
    model, x = build(name, kind, generators(0), dropout=0.5).eval(), batch(kind)
    torch.testing.assert_close(torch.cat([model(x[:5]), model(x[5:])]), model(x))


@pytest.mark.parametrize(("name", "kind"), PREDICTORS)
def test_a_training_that_is_resumed_goes_on_bit_for_bit(name, kind):
    """What a checkpoint holds: parameters, optimizer, buffers and the generators' states."""
    x = batch(kind)

    def epoch(model, descent, first):
        model.train()
        return [update(model, descent, x, number) for number in range(first, first + 3)]

    random, later = generators(3), generators(4)
    model = build(name, kind, random, dropout=0.3)
    descent = training(model)
    epoch(model, descent, 0)
    saved = {n: t.clone() for n, t in model.state_dict().items()}
    optimizer = {n: t.clone() for n, t in descent.state()["optimizer"].items()}
    states = {n: generator.get_state() for n, generator in random.made.items()}
    expected = epoch(model, descent, 3)

    other = build(name, kind, later, dropout=0.3)
    resumed = training(other)
    other.load_state_dict(saved)
    resumed.load({"parameters": resumed.flat.values, "optimizer": optimizer})
    for purpose, state in states.items():
        later(purpose, CPU).set_state(state)
    assert epoch(other, resumed, 3) == expected
    assert torch.equal(resumed.flat.values, descent.flat.values)


def test_what_is_known_before_building_needs_no_torch():
    code = (
        "import sys; from hpsearch.models import MODELS; from hpsearch.models.inputs import Inputs;"
        f"examples = {EXAMPLES!r};"
        "from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS;"
        "print([m.count_parameters({}, examples[kind], 2) for m in MODELS.values() for kind in m.inputs], 'torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip().endswith("False")
