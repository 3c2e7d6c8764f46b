"""What TF32 and bfloat16 save on this GPU: printed, and held where networks are large enough to be bound by arithmetic."""

import time

import pytest
import torch

from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.training.precision import computing, multiplying

STEPS = 20
LARGE = [
    ("mlp", {"num_layers": 4, "hidden_units": 4096}, Inputs("rows", (1024,)), 4096),
    ("cnn", {"num_blocks": 3, "layers_per_block": 2, "channels": 128}, Inputs("image", (3, 32, 32)), 256),
    ("transformer", {"num_layers": 6, "num_heads": 8, "width": 512}, Inputs("sequence", (128, 32)), 64),
]
SMALL = [("mlp", {"num_layers": 2, "hidden_units": 128}, Inputs("rows", (64,)), 64)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here"),
]


def milliseconds(precision, name, parameters, inputs, batch):
    """Of one step of training, after some that warm up."""
    network = MODELS[name].load()(parameters, inputs, 10, lambda *_: torch.Generator().manual_seed(0)).cuda()
    network = computing(precision, network)
    optimizer = torch.optim.AdamW(network.parameters())
    x, y = torch.randn(batch, *inputs.shape, device="cuda"), torch.zeros(batch, dtype=torch.long, device="cuda")

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
        torch.cuda.synchronize()

    with multiplying(precision):
        train(5)
        since = time.perf_counter()
        train(STEPS)
    return 1000 * (time.perf_counter() - since) / STEPS


@pytest.mark.parametrize(("case", "is_large"), [*((case, True) for case in LARGE), *((case, False) for case in SMALL)])
def test_a_large_network_is_faster_in_less_precision(case, is_large, capsys):
    took = {precision: milliseconds(precision, *case) for precision in ("fp32", "tf32", "bf16")}
    with capsys.disabled():
        print(f"\n{case[0]} {case[1]}, batches of {case[3]}, ms a step:", ", ".join(f"{p} {ms:.3g}" for p, ms in took.items()))
    if is_large and torch.cuda.get_device_capability() >= (8, 0):
        assert max(took["tf32"], took["bf16"]) < took["fp32"]
