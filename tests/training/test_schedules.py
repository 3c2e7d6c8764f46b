import pytest
import torch

from hpsearch.training.schedules import SCHEDULES, factor

TOTAL = 1000


def rates(make):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(optimizer)
    seen = []
    for _ in range(TOTAL):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize(
    ("name", "make", "tolerance"),
    [
        ("constant", lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0), 1e-12),
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, TOTAL), 1e-9),
        ("step", lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [500, 750]), 1e-12),
        # torch peaks one update earlier and ends one update earlier
        ("one_cycle", lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=TOTAL + 1), 6e-3),
    ],
)
@pytest.mark.slow
def test_follows_torch(name, make, tolerance):
    ours = [factor(name, 0.0, update, TOTAL) for update in range(TOTAL)]
    assert ours == pytest.approx(rates(make), abs=tolerance)


def test_every_schedule_stays_between_zero_and_one_even_past_its_end():
    for name in SCHEDULES:
        assert all(0 <= factor(name, 0.1, update, 50) <= 1 for update in range(80))


@pytest.mark.parametrize("warmup", [10, 0.1])
def test_warmup_rises_linearly_then_the_schedule_runs_over_the_rest(warmup):
    assert [factor("constant", warmup, update, 100) for update in range(11)] == pytest.approx([(u + 1) / 11 for u in range(11)])
    assert factor("cosine", warmup, 10, 100) == 1.0
    assert factor("cosine", warmup, 55, 100) == pytest.approx(0.5)
    assert factor("step", warmup, 54, 100) == 1.0
    assert factor("step", warmup, 55, 100) == pytest.approx(0.1)


def test_one_cycle_by_hand():
    assert factor("one_cycle", 0, 0, 100) == pytest.approx(1 / 25)
    assert factor("one_cycle", 0, 15, 100) == pytest.approx((1 + 1 / 25) / 2)
    assert factor("one_cycle", 0, 30, 100) == 1.0
    assert factor("one_cycle", 0, 100, 100) == pytest.approx(1 / 250_000)
