import pytest
import torch
from channel import Channel
from torch import nn

from hpsearch.config import load
from hpsearch.config.home import Home
from hpsearch.errors import ConfigError
from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.plan import make_plan
from hpsearch.tasks import TASKS
from hpsearch.training import run_assignment
from hpsearch.training.precision import computing, multiplying
from hpsearch.trial import Assignment, Pause, TrialKind, TrialState

MULTIPLY = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
NEEDS = {"forecasting": ["task.horizon=2"], "anomaly_detection": ["task.data=digits", "task.normal=[1, 2]"]}
WITH_DATA = {kind: entry for kind, entry in TASKS.items() if entry.models}


def prepared(kind, folder, precision, *overrides):
    entry = TASKS[kind]
    metric = entry.default_metrics[-1]
    file = folder / "sweep.yaml"
    file.write_text(
        f"name: it\ntask: {{kind: {kind}, data: {entry.data[0]}, model: {entry.models[0]}}}\n"
        f"objective: {{metric: {metric}, goal: {entry.metrics[metric]}}}\nspace: {{batch_size: 64}}\nbudget: {{trials: 1}}\n"
    )
    plan = make_plan(load(file, [f"training.precision={precision}", *NEEDS.get(kind, []), *overrides]))
    plan.prepare(Home(folder / "home", "", ""))
    return plan.task


def train(task, folder, *, parameters=None, until=2, answers=None, checkpoint=None):
    channel = Channel(answers)
    assignment = Assignment(0, 1, TrialKind.SEARCH, parameters or {}, 0, until, checkpoint)
    outcome = run_assignment(task, assignment, channel, folder)
    return outcome, channel.metrics


class Seen:
    """What layers that multiply have given, in training and in evaluation mode, and what came of it all."""

    def __init__(self):
        self.types = {True: set(), False: set()}

    def __call__(self, module, inputs, output):
        if isinstance(module, MULTIPLY):
            self.types[module.training].add(output.dtype)


@pytest.fixture
def seen():
    seen = Seen()
    hook = nn.modules.module.register_module_forward_hook(seen)
    yield seen
    hook.remove()


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_DATA)
def test_every_task_multiplies_in_bfloat16_and_learns_in_float32(kind, tmp_path, seen):
    outcome, metrics = train(prepared(kind, tmp_path, "bf16"), tmp_path / "trial", parameters={"window": 4})
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert set().union(*seen.types.values()) == {torch.bfloat16}
    saved = torch.load(outcome.checkpoint.uri.removeprefix("file://"), weights_only=True)
    assert {tensor.dtype for tensor in _tensors(saved["state"]) if tensor.is_floating_point()} == {torch.float32}
    assert all(value == value for step in metrics for value in step.values()), "no metric is NaN"


def _tensors(state):
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict | list):
        for part in state.values() if isinstance(state, dict) else state:
            yield from _tensors(part)


@pytest.mark.slow
def test_evaluation_is_in_the_trials_precision_too(tmp_path, seen):
    for precision, expected in (("bf16", torch.bfloat16), ("tf32", torch.float32), ("fp32", torch.float32)):
        seen.types = {True: set(), False: set()}
        train(prepared("classification", tmp_path, precision, "task.data=digits"), tmp_path / precision, until=1)
        assert seen.types == {True: {expected}, False: {expected}}


@pytest.mark.slow
def test_bf16_learns_digits_nearly_as_well(tmp_path):
    """And not the very same: it is another arithmetic. On a CPU tf32 is fp32."""
    reached = {}
    for precision in ("fp32", "tf32", "bf16"):
        task = prepared("classification", tmp_path, precision, "task.data=digits", "training.epochs=12")
        _, metrics = train(task, tmp_path / precision, parameters={"learning_rate": 0.003}, until=12)
        reached[precision] = metrics
    assert reached["fp32"] == reached["tf32"]
    assert reached["bf16"][-1] != reached["fp32"][-1]
    accuracy = {precision: metrics[-1]["val_accuracy"] for precision, metrics in reached.items()}
    assert accuracy["fp32"] > 0.95
    assert accuracy["bf16"] == pytest.approx(accuracy["fp32"], abs=0.015)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("classification", {"dropout": 0.2}), pytest.param("generation", {"spectral_normalization": True}, marks=pytest.mark.slow)],
)
def test_a_resumed_bf16_training_is_the_uninterrupted_one(tmp_path, kind, parameters):
    task = prepared(kind, tmp_path, "bf16", "training.epochs=3")
    _, whole = train(task, tmp_path / "whole", parameters=parameters, until=3)
    paused, before = train(task, tmp_path / "cut", parameters=parameters, until=3, answers={1: Pause()})
    _, after = train(task, tmp_path / "cut", parameters=parameters, until=3, checkpoint=paused.checkpoint)
    assert before + after == whole


def test_a_slope_penalty_is_differentiated_twice_in_bf16(tmp_path):
    task = prepared("generation", tmp_path, "bf16")
    outcome, metrics = train(task, tmp_path / "trial", parameters={"loss": "wasserstein", "gradient_penalty": 10.0}, until=1)
    assert (outcome.state, outcome.reason) == (TrialState.COMPLETED, None)
    assert abs(metrics[0]["discriminator_loss"]) < 100


def test_the_gradient_is_close_to_float32s():
    """bfloat16 keeps 8 bits: a few sums of products are off by a hundredth or so, and the parameters' gradients are float32."""
    inputs, x = Inputs("rows", (20,)), torch.randn(64, 20, generator=torch.Generator().manual_seed(0))
    gradients = {}
    for precision in ("fp32", "bf16"):
        model = MODELS["mlp"].load()({"hidden_units": 64}, inputs, 3, lambda *_: torch.Generator().manual_seed(1))
        computing(precision, model)(x).square().mean().backward()
        gradients[precision] = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert gradients["bf16"].dtype == torch.float32
    error = (gradients["bf16"] - gradients["fp32"]).norm() / gradients["fp32"].norm()
    assert 1e-5 < error < 0.03


def test_what_a_gpu_makes_of_float32_is_set_for_one_training_alone():
    settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)

    def now():
        return [setting.fp32_precision for setting in settings]

    before = now()
    for precision, expected in (("fp32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")):
        with multiplying(precision):
            assert now() == [expected] * 3
        assert now() == before
        with pytest.raises(ZeroDivisionError), multiplying(precision):
            raise ZeroDivisionError
        assert now() == before


def test_other_peoples_code_decides_by_itself(tmp_path):
    (tmp_path / "own.yaml").write_text(
        'task: {kind: function, target: "mine:train"}\nobjective: {metric: loss, goal: minimize}\n'
        "space: {x: {min: 0, max: 1}}\nbudget: {trials: 1}\ntraining: {precision: bf16}\n"
    )
    with pytest.raises(ConfigError, match=r"own.yaml, line 5: training.precision: is not for kind function, whose own code decides"):
        make_plan(load(tmp_path / "own.yaml"))
