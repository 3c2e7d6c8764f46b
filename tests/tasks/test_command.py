"""Commands as tasks, with real processes: what they are told, what is read of them, how they go on and how they end."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest
from channel import Channel
from own_code_sweeps import task_of

from hpsearch.errors import ConfigError
from hpsearch.tasks import command
from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, Pause, Resources, Stop, TrialKind, TrialState

pytestmark = pytest.mark.slow

PYTHON = [sys.executable, "script.py"]


def script(folder: Path, body: str) -> None:
    (folder / "script.py").write_text("import json, os, sys, time\nfrom pathlib import Path\n" + textwrap.dedent(body))


def attempt(folder, task, number=1, checkpoint=None, until=4, parameters=None, answers=None):
    channel = Channel(answers)
    assignment = Assignment(5, number, TrialKind.SEARCH, parameters or {"lr": 0.5}, 11, until, checkpoint, resources=Resources(cpus=1))
    outcome = run_assignment(task, assignment, channel, folder / "checkpoints", checkpoint_every_s=0.0)
    return outcome, channel.reports


def test_it_is_told_the_configuration_in_three_ways(tmp_path):
    script(
        tmp_path,
        """
        told = {k: v for k, v in os.environ.items() if k.startswith(("HPSEARCH_", "OMP_"))}
        told |= {"arguments": sys.argv[1:], "file": json.loads(Path(os.environ["HPSEARCH_PARAMS_FILE"]).read_text()), "in": os.getcwd()}
        Path("told.json").write_text(json.dumps(told))
        print(json.dumps({"loss": float(sys.argv[1])}))
        """,
    )
    task = task_of(tmp_path, {"kind": "command", "run": [*PYTHON, "{lr}", "--momentum={momentum}", "{seed}", "{until_step}"]}, space=SPACE)
    outcome, reports = attempt(tmp_path, task, until=1, parameters={"lr": 0.5, "kind": "plain"})
    assert outcome.state is TrialState.COMPLETED, outcome
    assert [report.metrics for report in reports] == [{"loss": 0.5}]
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["arguments"] == ["0.5", "11", "1"]
    assert told["file"] == {"lr": 0.5, "kind": "plain"}
    told_of_it = [told[f"HPSEARCH_{name}"] for name in ("PARAM_LR", "PARAM_KIND", "SEED")]
    assert told_of_it == ["0.5", "plain", "11"]
    assert told["OMP_NUM_THREADS"] == "1"
    assert told["in"] == str(tmp_path)


SPACE = {
    "lr": {"min": 0.1, "max": 1.0},
    "kind": {"values": ["plain", "heavy"]},
    "momentum": {"min": 0.5, "max": 0.9, "when": {"kind": "heavy"}},
}


def test_it_is_not_told_where_the_ledger_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HPSEARCH_STORE", "postgresql://ada:secret@db/ledger")
    script(tmp_path, 'print(json.dumps({"loss": 2.0 if "secret" in str(os.environ) else 1.0}))')
    _, reports = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}), until=1)
    assert [report.metrics for report in reports] == [{"loss": 1.0}]


def test_python_is_the_one_that_runs_hpsearch(tmp_path):
    script(tmp_path, f'print(json.dumps({{"loss": 1.0 if sys.executable == {sys.executable!r} else 2.0}}))')
    _, reports = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": "python script.py"}), until=1)
    assert reports[0].metrics == {"loss": 1.0}


def test_metrics_may_come_by_a_file(tmp_path):
    script(
        tmp_path,
        """
        with open(os.environ["HPSEARCH_METRICS_FILE"], "a", buffering=1) as file:
            for step in range(1, 4):
                print("epoch", step)
                file.write(json.dumps({"step": step, "loss": 1 / step, "other": 3}) + "\\n")
        """,
    )
    _, reports = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON, "metrics": ["loss"]}), until=3)
    assert [report.metrics for report in reports] == [{"loss": 1.0}, {"loss": 0.5}, {"loss": 1 / 3}]


@pytest.mark.slow
@pytest.mark.parametrize("make", ["os.mkfifo(path)", "os.symlink('/dev/zero', path)", "os.mkdir(path)"])
def test_only_a_file_is_read_as_one(tmp_path, make):
    script(tmp_path, f'path = os.environ["HPSEARCH_METRICS_FILE"]\n{make}\ntime.sleep(0.3)\nprint(json.dumps({{"loss": 1}}))')
    _, reports = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}), until=1)
    assert [report.metrics for report in reports] == [{"loss": 1.0}]


def test_metrics_may_be_found_in_what_an_unmodified_script_prints(tmp_path):
    script(tmp_path, 'for step in (1, 2):\n    print(f"Epoch {step}: loss={step / 10:.3f}, acc={step * 20}%")')
    patterns = {"loss": r"loss=([\d.]+)", "accuracy": r"acc=(\S+)"}
    _, reports = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON, "patterns": patterns}), until=2)
    assert [report.metrics for report in reports] == [{"loss": 0.1, "accuracy": 20.0}, {"loss": 0.2, "accuracy": 40.0}]


RESUMES = """
state = Path(os.environ["HPSEARCH_CHECKPOINT_FOLDER"], "deep", "state.txt")
total = float(state.read_text()) if state.exists() else 0.0
first = int(os.environ["HPSEARCH_FROM_STEP"]) + 1
print("begins at", first)
for step in range(first, 5):
    total += step
    state.parent.mkdir(exist_ok=True)
    state.write_text(str(total))
    (state.parent / "empty").touch()
    print(json.dumps({"step": step, "loss": total}))
    time.sleep(0.3)
"""


@pytest.mark.slow
def test_it_goes_on_from_the_files_that_it_left(tmp_path):
    script(tmp_path, RESUMES)
    task = task_of(tmp_path, {"kind": "command", "run": PYTHON})
    paused, _ = attempt(tmp_path, task, answers={2: Pause()})
    assert (paused.state, paused.checkpoint.step) == (TrialState.PAUSED, 2)
    outcome, reports = attempt(tmp_path, task, 2, paused.checkpoint)
    assert outcome.state is TrialState.COMPLETED
    assert [(report.step, report.metrics["loss"]) for report in reports] == [(3, 6.0), (4, 10.0)]
    assert not list((tmp_path / "checkpoints").glob("attempt-*"))


LINKS = """
folder = Path(os.environ["HPSEARCH_CHECKPOINT_FOLDER"])
print("found", sorted(path.name for path in folder.iterdir()), (folder / "last").read_text() if (folder / "last").exists() else "")
(folder / "one.pt").write_text("1")
(folder / "last").is_symlink() or (folder / "last").symlink_to("one.pt")
(folder / "out").is_symlink() or (folder / "out").symlink_to("/etc")
for step in range(int(os.environ["HPSEARCH_FROM_STEP"]) + 1, 5):
    print(json.dumps({"step": step, "loss": 1}))
    time.sleep(0.3)
"""


@pytest.mark.slow
def test_links_within_the_folder_are_kept_and_others_lead_nowhere(tmp_path, capfd):
    script(tmp_path, LINKS)
    task = task_of(tmp_path, {"kind": "command", "run": PYTHON})
    paused, _ = attempt(tmp_path, task, answers={2: Pause()})
    attempt(tmp_path, task, 2, paused.checkpoint)
    assert "found ['last', 'one.pt'] 1" in capfd.readouterr().out


def test_a_folder_that_is_made_a_link_is_no_checkpoint(tmp_path):
    script(
        tmp_path,
        'folder = os.environ["HPSEARCH_CHECKPOINT_FOLDER"]\nos.rmdir(folder)\nos.symlink("/etc", folder)\nprint(json.dumps({"loss": 1}))',
    )
    outcome, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}), until=1)
    assert (outcome.state, outcome.checkpoint) == (TrialState.COMPLETED, None)


def test_a_pattern_that_matched_nothing_is_named(tmp_path):
    script(tmp_path, 'print("loss=1")\nprint("loss=2")')
    patterns = {"loss": r"loss=(\S+)", "accuracy": r"acc=(\S+)"}
    outcome, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON, "patterns": patterns}))
    assert "the pattern of accuracy, 'acc=" in outcome.reason
    assert outcome.reason.endswith("that of loss did 2 times")


@pytest.mark.slow
def test_one_that_cannot_go_on_begins_again(tmp_path):
    script(tmp_path, RESUMES)
    paused, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON, "resumable": False}), answers={1: Pause()})
    assert (paused.state, paused.checkpoint) == (TrialState.PAUSED, None)


def test_a_step_out_of_turn_fails_with_both_numbers(tmp_path):
    script(tmp_path, 'print(json.dumps({"loss": 1, "step": 1}))\nprint(json.dumps({"loss": 1, "step": 3}))')
    outcome, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}))
    assert (outcome.state, "it reported step 3 where step 2 comes next" in outcome.reason) == (TrialState.FAILED, True)


@pytest.mark.slow
def test_a_pruned_one_gets_sigterm_and_may_say_good_bye(tmp_path, capfd):
    script(
        tmp_path,
        """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: (print("good bye"), sys.exit(3)))
        for step in range(1, 5):
            print(json.dumps({"loss": step}))
            time.sleep(0.2)
        """,
    )
    outcome, reports = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}), answers={2: Stop("worse")})
    assert (outcome.state, outcome.reason, len(reports)) == (TrialState.PRUNED, "worse", 2)
    assert "good bye" in capfd.readouterr().out


def test_one_that_ends_early_is_complete(tmp_path):
    script(tmp_path, 'print(json.dumps({"loss": 0.5}))')
    outcome, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}))
    assert (outcome.state, outcome.reason) == (TrialState.COMPLETED, "the command ended by itself")


@pytest.mark.slow
def test_what_it_does_after_its_last_step_counts(tmp_path):
    script(tmp_path, 'print(json.dumps({"loss": 0.5}))\ntime.sleep(0.3)\nPath("saved").touch()')
    outcome, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}), until=1)
    assert outcome.state is TrialState.COMPLETED
    assert (tmp_path / "saved").exists()
    script(tmp_path, 'print(json.dumps({"loss": 0.5}))\nraise OSError("the disk is full")')
    outcome, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}), until=1)
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, "the command exited with status 1: OSError: the disk is full")


@pytest.mark.slow
def test_one_that_goes_on_for_ever_after_its_last_step_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "LINGER_S", 0.3)
    script(tmp_path, 'for step in range(100):\n    print(json.dumps({"loss": 1 / (step + 1)}))\n    time.sleep(0.1)\nPath("saved").touch()')
    outcome, reports = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}), until=2)
    assert (outcome.state, len(reports)) == (TrialState.COMPLETED, 2)
    assert not (tmp_path / "saved").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        ("raise SystemExit(7)", TrialState.FAILED, "the command exited with status 7"),
        ("raise MemoryError", TrialState.OUT_OF_MEMORY, "the command exited with status 1: MemoryError"),
        ('print(json.dumps({"loss": float("nan")}))', TrialState.DIVERGED, "loss is nan at step 1"),
        (
            'print(json.dumps({"lss": 1}))',
            TrialState.FAILED,
            "the command ended without reporting a metric; it printed objects with 'lss', and none with 'loss'",
        ),
    ],
)
def test_how_it_ends(tmp_path, body, state, reason):
    script(tmp_path, body)
    outcome, _ = attempt(tmp_path, task_of(tmp_path, {"kind": "command", "run": PYTHON}))
    assert outcome.state is state
    assert outcome.reason.startswith(reason)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"run": "pyhton script.py"}, "task.run: there is no program 'pyhton'"),
        ({"run": "python scirpt.py"}, "task.run: there is no script 'scirpt.py'"),
        ({"run": "./tool {lr}"}, "task.run: there is no program './tool'"),
        ({"run": "python script.py {lrr}"}, "task.run: unknown placeholder 'lrr'; did you mean 'lr'?"),
        ({"run": "python 'script.py"}, "task.run: cannot be split into words"),
        ({"run": PYTHON, "patterns": {"loss": "loss"}}, "task.patterns.loss: must have one group"),
        ({"run": PYTHON, "patterns": {"lss": "(x)"}}, "objective.metric: unknown metric 'loss'; did you mean 'lss'?"),
        ({"run": PYTHON, "patterns": {"loss": "(x)"}, "metrics": ["loss"]}, "task.metrics: is not needed beside task.patterns"),
        ({"run": PYTHON, "nul": True}, "space.kind: has a value with a zero byte, which no argument can hold"),
        ({"run": PYTHON, "data": "digits"}, "task.data: is not for kind command"),
        ({}, "task: must have run for kind command"),
    ],
)
def test_what_is_wrong_with_it_is_said_before_anything_runs(tmp_path, task, said):
    script(tmp_path, "")
    space = {"kind": {"values": ["a", "b\0"]}} if task.pop("nul", False) else None
    with pytest.raises(ConfigError) as error:
        task_of(tmp_path, {"kind": "command", **task}, space=space)
    assert said in str(error.value)


@pytest.mark.slow
def test_its_samples_are_of_the_command_and_what_it_starts(tmp_path):
    script(
        tmp_path,
        """
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "x = bytearray(300_000_000); import time; time.sleep(60)"])
        time.sleep(2.5)
        print(json.dumps({"loss": 1.0}))
        child.kill()
        """,
    )
    task = task_of(tmp_path, {"kind": "command", "run": PYTHON})
    outcome, reports = attempt(tmp_path, task, until=1)
    assert outcome.state is TrialState.COMPLETED, outcome
    (sample, *_) = reports[0].samples
    assert 300 < sample.used["system_memory_usage_megabytes"] < 370, "not of this process, which has torch in it"
