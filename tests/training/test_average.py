"""The moving average of a network, beside sums worked out number by number, and torch's own."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hpsearch.models.hyperparameter import complete
from hpsearch.training.average import MovingAverage
from hpsearch.training.descent import Descent
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS

CPU = torch.device("cpu")
CHOSEN = complete(TRAINING_HYPERPARAMETERS, {"optimizer": "sgd", "learning_rate": 0.1})


def learns(decay, updates):
    """A network with batch normalization goes down a loss; what it was after each update, and its average."""
    random = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    average = MovingAverage(network, CPU, decay)
    descent = Descent(network, CPU, CHOSEN, updates)
    been = []
    for update in range(updates):
        descent.follow(network(torch.randn(8, 3, generator=random)).square().mean(), update)
        average.follow(descent, network, update)
        been.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    return been, average


def test_each_weight_and_each_running_statistic_is_the_weighted_mean_of_what_it_was():
    been, average = learns(0.5, 4)
    for name, mean in average.network.state_dict().items():
        after = [each[name] for each in been]
        if name.endswith("num_batches_tracked"):
            assert mean == 4
        else:
            torch.testing.assert_close(mean, (after[0] + 2 * after[1] + 4 * after[2] + 8 * after[3]) / 15)


def test_when_the_beginning_is_forgotten_it_is_torchs_average():
    """torch counts the first state in full: 0.5^60 of it is left, less than float32 tells apart."""
    been, average = learns(0.5, 60)
    network = nn.Linear(3, 4)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    for each in been:
        network.load_state_dict({"weight": each["0.weight"], "bias": each["0.bias"]})
        theirs.update_parameters(network)
    for name, mean in theirs.module.state_dict().items():
        torch.testing.assert_close(average.network.state_dict()[f"0.{name}"], mean)


def test_a_state_is_all_of_it():
    _, first = learns(0.9, 3)
    _, second = learns(0.9, 7)
    second.load({"parameters": first.state()["parameters"].clone(), "buffers": [each.clone() for each in first.state()["buffers"]]})
    for name, mean in first.network.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], mean)


@pytest.mark.parametrize("decay", [0.9, 0.999])
def test_after_one_update_it_is_the_network(decay):
    been, average = learns(decay, 1)
    for name, mean in average.network.state_dict().items():
        torch.testing.assert_close(mean, been[0][name], rtol=0, atol=0)
