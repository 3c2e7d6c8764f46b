from dataclasses import replace

import pytest
import torch
from channel import Channel

from hpsearch.errors import InputError
from hpsearch.training.checkpoint import CheckpointStore
from hpsearch.training.trial import Diverged, Trial
from hpsearch.trial import Assignment, Continue, Objective, Pause, Resources, Stop, TrialKind, TrialState

ACCURACY = Objective("accuracy", "maximize")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def assignment(until=5, checkpoint=None, steps=(), seed=7, params=None):
    return Assignment(3, 1, TrialKind.SEARCH, params or {"a": 1}, seed, until, checkpoint, steps)


def trial(tmp_path, channel=None, objectives=(), every_s=1e9, clock=None, **given):
    return Trial(
        assignment(**given),
        channel or Channel(),
        CheckpointStore(tmp_path / "trial"),
        checkpoint_every_s=every_s,
        objectives=objectives,
        clock=clock or Clock(),
    )


def run(trial, metrics=lambda step: {"loss": 1 / step}, state=lambda: {"x": 1}):
    trained = []
    for step in trial.steps():
        trained.append(step)
        trial.report(step, metrics(step), checkpoint=state)
    return trained


def test_trains_until_its_step_and_tells_the_last(tmp_path):
    channel = Channel()
    assert run(trial(tmp_path, channel)) == [1, 2, 3, 4, 5]
    assert channel.last == [False] * 4 + [True]
    assert [report.metrics for report in channel.reports][1] == {"loss": 0.5}


def test_shows_the_configuration_read_only(tmp_path):
    made = trial(tmp_path)
    assert (made.number, made.attempt, made.seed, dict(made.params)) == (3, 1, 7, {"a": 1})
    with pytest.raises(TypeError):
        made.params["a"] = 2


def test_goes_on_further_when_told_so_at_its_end_or_earlier(tmp_path):
    assert run(trial(tmp_path, Channel({2: Continue(2), 5: Continue(6)}))) == [1, 2]
    assert run(trial(tmp_path, Channel({5: Continue(7)}))) == [1, 2, 3, 4, 5, 6, 7]


def test_stop_ends_at_once(tmp_path):
    made = trial(tmp_path, Channel({2: Stop("worse than the median")}))
    assert run(made) == [1, 2]
    assert (made.outcome.state, made.outcome.reason) == (TrialState.PRUNED, "worse than the median")
    assert not (tmp_path / "trial").exists()


def test_pause_saves_the_present_step(tmp_path):
    made = trial(tmp_path, Channel({2: Pause()}))
    assert run(made) == [1, 2]
    assert made.outcome.state is TrialState.PAUSED
    assert made.outcome.checkpoint.step == 2
    resumed = trial(tmp_path, checkpoint=made.outcome.checkpoint)
    assert resumed.load_checkpoint() == {"x": 1}
    assert run(resumed) == [3, 4, 5]


def test_pause_at_the_last_step_saves_once(tmp_path):
    saves = []
    made = trial(tmp_path, Channel({5: Pause()}))
    run(made, state=lambda: saves.append(1) or {"x": 1})
    assert len(saves) == 1
    assert made.outcome.checkpoint.step == 5


def test_a_checkpoint_that_was_not_loaded_is_not_gone_on_from(tmp_path):
    made = trial(tmp_path, Channel({2: Pause()}))
    run(made)
    assert run(trial(tmp_path, checkpoint=made.outcome.checkpoint)) == [1, 2, 3, 4, 5]


def test_checkpoints_at_the_given_steps_and_at_the_end_alone(tmp_path):
    channel = Channel()
    run(trial(tmp_path, channel, steps=(2, 3)))
    assert [report.step for report in channel.reports if report.checkpoint] == [2, 3, 5]


def test_checkpoints_after_so_many_seconds(tmp_path):
    channel, clock = Channel(), Clock()
    made = trial(tmp_path, channel, clock=clock, every_s=10, until=12)
    for step in made.steps():
        clock.now += 3
        made.report(step, {"loss": 1}, checkpoint=lambda: {})
    assert [report.step for report in channel.reports if report.checkpoint] == [4, 8, 12]
    assert all(report.duration_s == 3 for report in channel.reports)


def test_no_checkpoint_is_made_of_what_gives_none(tmp_path):
    made = trial(tmp_path)
    run(made, state=None)
    assert not (tmp_path / "trial").exists()


def test_keeps_the_best_step_too(tmp_path):
    values = {1: 0.1, 2: 0.5, 3: 0.3, 4: 0.2, 5: 0.4}
    channel = Channel({3: Pause()})
    best = Objective("accuracy", "maximize", at="best")
    made = trial(tmp_path, channel, objectives=(best,))
    run(made, lambda step: {"accuracy": values[step]})
    resumed = trial(tmp_path, channel, objectives=(best,), checkpoint=made.outcome.checkpoint, steps=(4,))
    resumed.load_checkpoint()
    run(resumed, lambda step: {"accuracy": values[step]})
    kept = CheckpointStore(tmp_path / "trial").earlier(100)
    assert [checkpoint.step for checkpoint in kept] == [5, 4, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_or_objective_that_is_not_finite_diverges_after_its_report(tmp_path, value):
    for name, objectives in (("val_loss", ()), ("accuracy", (ACCURACY,))):
        channel = Channel()
        made = trial(tmp_path, channel, objectives=objectives)
        with pytest.raises(Diverged, match=f"{name} is {value} at step 2"):
            run(made, lambda step, name=name: {name: value if step == 2 else 1.0})
        assert [report.step for report in channel.reports] == [1, 2]
        assert made.outcome.state is TrialState.DIVERGED
        assert list(made.steps()) == []


def test_another_metric_may_be_nan(tmp_path):
    assert len(run(trial(tmp_path, objectives=(ACCURACY,)), lambda _: {"accuracy": 1, "auroc": float("nan")})) == 5


def test_finishing_early_completes_with_a_checkpoint(tmp_path):
    channel = Channel()
    made = trial(tmp_path, channel)
    for step in made.steps():
        if step == 3:
            made.finish("early stopping")
        made.report(step, {"loss": 1}, checkpoint=lambda: {"x": 1})
    assert (made.outcome.state, made.outcome.reason, made.outcome.checkpoint.step) == (TrialState.COMPLETED, "early stopping", 3)
    assert channel.last == [False, False, True]


def test_finishing_early_after_an_answer_to_stop_is_pruned(tmp_path):
    made = trial(tmp_path, Channel({1: Stop("worse")}))
    for step in made.steps():
        made.finish("early stopping")
        made.report(step, {"loss": 1})
    assert made.outcome.state is TrialState.PRUNED


def test_reports_are_checked(tmp_path):
    made = trial(tmp_path)
    with pytest.raises(InputError, match="no step is open"):
        made.report(1, {"loss": 1})
    steps = made.steps()
    next(steps)
    with pytest.raises(InputError, match=r"trial.report\(2, ...\): the present step is 1"):
        made.report(2, {"loss": 1})
    with pytest.raises(InputError, match="metric 'loss' must be a number, got 'low'"):
        made.report(1, {"loss": "low"})
    with pytest.raises(InputError, match="step 1 ended without a report"):
        next(steps)


def test_metrics_may_be_scalar_tensors(tmp_path):
    channel = Channel()
    run(trial(tmp_path, channel), lambda step: {"loss": torch.tensor(float(step), requires_grad=True)})
    assert channel.reports[-1].metrics == {"loss": 5.0}
    assert type(channel.reports[-1].metrics["loss"]) is float


def test_generators_depend_on_seed_and_name_and_are_restored(tmp_path):
    def draws(made, name):
        return torch.rand(3, generator=made.generator(name)).tolist()

    first = trial(tmp_path, Channel({1: Pause()}))
    assert draws(first, "order") == draws(trial(tmp_path), "order")
    assert draws(first, "init") != draws(first, "order")
    assert draws(trial(tmp_path, seed=8), "init") != draws(trial(tmp_path), "init")
    run(first)
    resumed = trial(tmp_path, checkpoint=first.outcome.checkpoint)
    opened = resumed.generator("order")
    resumed.load_checkpoint()
    assert resumed.generator("order") is opened
    assert [draws(resumed, n) for n in ("order", "init")] == [draws(first, n) for n in ("order", "init")]


def damage(checkpoint):
    from pathlib import Path

    Path(checkpoint.uri).write_bytes(b"broken")


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, capsys):
    made = trial(tmp_path, steps=(2, 4))
    for step in made.steps():
        if step == 5:
            break
        made.report(step, {"loss": 1}, checkpoint=lambda step=step: {"step": step})
    damage(made.checkpoint)
    resumed = trial(tmp_path, checkpoint=made.checkpoint)
    assert resumed.load_checkpoint() == {"step": 2}
    assert "checkpoint of step 4 is damaged" in capsys.readouterr().err
    assert resumed.checkpoint.step == 2
    assert next(resumed.steps()) == 3


def test_with_no_sound_checkpoint_it_starts_afresh(tmp_path):
    made = trial(tmp_path, Channel({2: Pause()}))
    run(made)
    damage(made.outcome.checkpoint)
    resumed = trial(tmp_path, checkpoint=made.outcome.checkpoint)
    assert resumed.load_checkpoint() is None
    assert next(resumed.steps()) == 1


def test_falls_back_on_its_own_checkpoints_alone(tmp_path, capsys):
    """Another sweep has left a checkpoint in the folder."""
    run(trial(tmp_path, until=1, seed=99))
    made = trial(tmp_path, Channel({2: Pause()}))
    run(made)
    damage(made.outcome.checkpoint)
    assert trial(tmp_path, checkpoint=made.outcome.checkpoint).load_checkpoint() is None
    assert "of another trial" in capsys.readouterr().err


def test_artifacts_go_to_the_trials_own_folder(tmp_path):
    made = Trial(assignment(), Channel(), CheckpointStore(tmp_path / "checkpoints"), outputs=tmp_path / "outputs" / "trial-00003")
    made.save_artifact("samples.png", b"png")
    assert (tmp_path / "outputs" / "trial-00003" / "samples.png").read_bytes() == b"png"
    with pytest.raises(InputError, match="what the trial's own log is called"):
        made.save_artifact("trial-00003.log", b"")


def test_artifacts_without_a_folder_of_their_own_lie_beside_the_checkpoints(tmp_path):
    trial(tmp_path).save_artifact("samples.png", b"png")
    assert (tmp_path / "trial" / "outputs" / "samples.png").read_bytes() == b"png"


def test_an_outage_of_the_storage_costs_a_tenth_of_the_time(tmp_path):
    clock, tried = Clock(), []

    class Out(CheckpointStore):
        """Each attempt fails after 2 seconds."""

        def save(self, step, state, keep=None):
            tried.append(step)
            clock.now += 2
            raise OSError("out of order")

    made = Trial(assignment(until=50), Channel(), Out(tmp_path / "trial"), checkpoint_every_s=0.0, clock=clock)
    for step in made.steps():
        clock.now += 1
        made.report(step, {"loss": 1}, checkpoint=lambda: {})
    assert tried == [1, 21, 41, 50], "20 seconds after each, and at the end"
    assert made.outcome is None


def packed(channel, tmp_path, **resources):
    given = replace(assignment(), resources=Resources(1, 0.5, **resources))
    return Trial(given, channel, CheckpointStore(tmp_path / "trial"), clock=Clock())


def test_a_packed_trial_tells_its_memory_when_there_is_news_of_it(tmp_path):
    peaks = {1: 1000, 2: 1000, 3: 1040, 4: 1100, 5: 900}
    for is_packed, expected in ((True, [1000, None, None, 1100, None]), (False, [None] * 5)):
        channel = Channel()
        made = packed(channel, tmp_path, packed=is_packed)
        for step in made.steps():
            made.note_memory(peaks[step], 16_000)
            made.report(step, {"loss": 1.0})
        assert [report.memory and report.memory.peak_bytes for report in channel.reports] == expected


def test_memory_is_of_a_gpu_that_has_at_least_as_much(tmp_path):
    with pytest.raises(InputError, match=r"trial.note_memory\(20, 10\): must be bytes, of them at least 1, and at most all"):
        trial(tmp_path).note_memory(20, 10)
