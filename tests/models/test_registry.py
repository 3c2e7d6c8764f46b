"""What every model family keeps to."""

import subprocess
import sys

import pytest
import torch

from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.training.flat import FlatParameters

TWELVE = Inputs("rows", (12,))


def generators(seed):
    made = {}

    def give(name, device="cpu"):
        if name not in made:
            made[name] = torch.Generator(device)
            made[name].manual_seed(seed + len(name))
        return made[name]

    return give


@pytest.mark.parametrize("name", MODELS)
def test_defaults_are_allowed_and_documented(name):
    for hyperparameter in MODELS[name].hyperparameters:
        hyperparameter.check(hyperparameter.default)
        assert hyperparameter.doc.endswith(".")


@pytest.mark.parametrize("name", MODELS)
def test_takes_a_step_lowers_the_loss_of_one_batch_and_counts_its_parameters(name):
    model = MODELS[name].load()({}, TWELVE, 3, generators(0))
    assert sum(p.numel() for p in model.parameters()) == MODELS[name].count_parameters({}, TWELVE, 3)
    x, y = torch.randn(16, 12, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3
    flat = FlatParameters(model, torch.device("cpu"))
    for _ in range(300):
        flat.gradient.zero_()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        flat.values.add_(flat.gradient, alpha=-0.2)
    assert loss < 0.05


@pytest.mark.parametrize("name", MODELS)
def test_draws_from_the_given_generators_alone(name):
    def outputs(global_seed):
        torch.manual_seed(global_seed)
        model = MODELS[name].load()({"dropout": 0.5}, TWELVE, 3, generators(7))
        before = torch.get_rng_state()
        result = model(torch.ones(4, 12))
        assert torch.equal(before, torch.get_rng_state())
        return result

    assert torch.equal(outputs(1), outputs(2))


@pytest.mark.parametrize("name", MODELS)
def test_flattened_parameters_give_the_same_network(name):
    model = MODELS[name].load()({}, TWELVE, 3, generators(0))
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    before = model(x)
    flat = FlatParameters(model, torch.device("cpu"))
    assert torch.equal(model(x), before)
    flat.values.mul_(0.5)
    assert not torch.equal(model(x), before)


def test_what_is_known_before_building_needs_no_torch():
    code = (
        "import sys; from hpsearch.models import MODELS; from hpsearch.models.inputs import Inputs;"
        "from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS;"
        "print([m.count_parameters({}, Inputs('rows', (4,)), 2) for m in MODELS.values()], 'torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip().endswith("False")
