"""Trials that share one GPU, by the ray executor: how many a second there are, what they are given, and what they may take."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from channel import Channel

from hpsearch import ledger as ledgers
from hpsearch.events import Assigned, Begun, Ended, Event, Measured, Sampled
from hpsearch.packing import GRANTS
from hpsearch.training import run_assignment
from hpsearch.training.gpu import NAMES
from hpsearch.trial import Assignment, Objective, Resources, TrialKind, TrialState

ROOT = Path(__file__).parents[2]
TRIALS = 16

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here"),
]


def sweep(home: Path, *overrides: str) -> list[Event]:
    """What happened in a sweep of digits_cnn with a fixed number of epochs, all of whose trials completed."""
    words = [
        "run", "search_spaces/digits_cnn.yaml", "--executor", "ray", "--json", "--home", str(home), "name=packed", "search.scheduler=none",
        "resources.cpus=1", f"budget={{trials: {TRIALS}}}", *overrides,
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "hpsearch", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["trials"] == {"completed": TRIALS}
    with contextlib.closing(ledgers.open(f"sqlite:///{home}/ledger.db")) as ledger:
        return ledger.events(ledger.find("packed").id)


def rate(events: list[Event], at_once: int) -> float:
    """Trials a second, from when all places have begun to when the first of them finds no more to do."""
    begun = [event.at_ms for event in events if isinstance(event.body, Begun)]
    ended = [event.at_ms for event in events if isinstance(event.body, Ended)]
    since, until = begun[at_once - 1], ended[-at_once]
    return 1000 * sum(since < ms <= until for ms in ended) / (until - since)


def most_at_once(events: list[Event]) -> int:
    running, most = 0, 0
    for event in events:
        running += isinstance(event.body, Begun) - isinstance(event.body, Ended)
        most = max(most, running)
    return most


def test_trials_a_second_of_one_gpu(tmp_path, capsys):
    lines = []
    for at_once in (1, 2, 4, 8):
        events = sweep(
            tmp_path / str(at_once),
            "training.epochs=40",
            "training.device=auto",
            f"resources.gpus={1 / at_once}",
            f"resources.workers={at_once}",
        )
        assert most_at_once(events) == at_once
        lines.append(f"{at_once} at once: {rate(events, at_once):.3g} trials/s")
    with capsys.disabled():
        print(f"\ndigits_cnn, 40 epochs, on one {torch.cuda.get_device_name()}", *lines, sep="\n")


def test_auto_measures_packs_and_samples(tmp_path):
    events = sweep(tmp_path, "training.epochs=40", "resources={gpus: auto, workers: 8}")
    total = torch.cuda.get_device_properties(0).total_memory
    measured = [event.body for event in events if isinstance(event.body, Measured)]
    assert {body.trial for body in measured} == set(range(TRIALS))
    assert all(0 < body.peak_bytes < total == body.total_bytes for body in measured)
    grants = [event.body.gpus for event in events if isinstance(event.body, Assigned)]
    assert grants[0] == 1
    assert set(grants) <= set(GRANTS)
    assert min(grants) == GRANTS[0], "a small network takes less than an eighth of a GPU"
    assert most_at_once(events) > 1
    sampled = [event.body.used for event in events if isinstance(event.body, Sampled)]
    assert all(0 <= used[NAMES[0]] <= 100 for used in sampled if NAMES[0] in used)
    assert any(NAMES[0] in used for used in sampled)


class Takes:
    """A training that has so many bytes of its GPU at once."""

    objectives = (Objective("loss", "minimize"),)

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, trial):
        for step in trial.steps():
            taken = torch.zeros(self.size, dtype=torch.uint8, device="cuda")
            trial.report(step, {"loss": float(taken[0])})


def test_a_packed_trial_keeps_to_its_part_and_tells_what_it_took(tmp_path):
    total = torch.cuda.get_device_properties(0).total_memory
    for part, size, state in ((0.25, total // 8, "completed"), (0.25, total // 3, "out_of_memory"), (1.0, total // 3, "completed")):
        heard = Channel()
        assignment = Assignment(0, 1, TrialKind.SEARCH, {}, 0, 1, resources=Resources(1, part, packed=True))
        outcome = run_assignment(Takes(size), assignment, heard, tmp_path)
        assert outcome.state is TrialState(state), outcome
        if state == "completed":
            assert size < heard.reports[0].memory.peak_bytes < size + total // 20 + 2 * 2**30
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_tf32_is_less_than_float32_and_only_where_it_is_asked_for():
    from hpsearch.training.precision import computing, multiplying

    generator = torch.Generator("cuda").manual_seed(0)
    a, b = (torch.randn(1024, 1024, device="cuda", generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    errors = {}
    for precision in ("fp32", "tf32"):
        with multiplying(precision):
            errors[precision] = float(((a @ b).double() - exact).norm() / exact.norm())
    assert errors["fp32"] < 1e-5
    if torch.cuda.get_device_capability() >= (8, 0):
        assert 1e-5 < errors["tf32"] < 1e-2
    layer = torch.nn.Linear(1024, 8, device="cuda")
    seen = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    assert computing("bf16", layer)(a).dtype == torch.float32
    assert seen == [torch.bfloat16]
