"""A webhook that is told of real sweeps, and never keeps one waiting."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from receivers import SECRET, Receiver

import hpsearch
from hpsearch.errors import ConfigError, InputError
from hpsearch.events import SweepClosed
from hpsearch.notify import notifier, webhook
from hpsearch.notify.messages import Message
from hpsearch.search.history import History
from hpsearch.trial import Objective, TrialState

ROOT = Path(__file__).parents[2]

CODE = """\
import pathlib, time

def train(trial):
    for epoch in trial.steps():
        if trial.params["score"] > 0.95:
            raise ValueError("*too good*")
        time.sleep(PACE)
        trial.report(epoch, {"score": trial.params["score"]})
"""

FILE = """\
name: told
task: {kind: function, target: "told_code:train"}
objective: {metric: score, goal: maximize}
space: {score: {min: 0.0, max: 1.0}}
baseline: [{score: 0.5}, {score: 0.6}, {score: 0.99}]
training: {epochs: 2}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 8}
resources: {executor: inline, retries: 0}
notify: {on: [end, failure, best]}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "HPSEARCH_HOME",
        "HPSEARCH_STORE",
        "HPSEARCH_STORE_FILE",
        "MLFLOW_TRACKING_URI",
        "HPSEARCH_WEBHOOK",
        "HPSEARCH_WEBHOOK_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "told_code.py").write_text(CODE.replace("PACE", "0.01"))
    (tmp_path / "told.yaml").write_text(FILE)
    return tmp_path


def holds_secret(folder: Path) -> list[Path]:
    """Files with any part of the webhook's path in them: databases, logs, artifacts, pages."""
    parts = [part.encode() for part in SECRET.split("/")]
    return [file for file in folder.rglob("*") if file.is_file() and any(part in file.read_bytes() for part in parts)]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_sweep_is_told_of_and_its_secret_is_nowhere(place, monkeypatch, receiver: Receiver, executor, capfd):
    monkeypatch.setenv("HPSEARCH_WEBHOOK", receiver.url)
    monkeypatch.setattr(notifier, "LOOK_EVERY_S", 0.05)
    (place / "told_code.py").write_text(CODE.replace("PACE", "0.1"))
    said: list[str] = []
    result = hpsearch.run(hpsearch.load("told.yaml"), executor=executor, warn=said.append)
    assert result.sweep.state == "completed"
    assert said == []
    end = receiver.got[-1]
    assert receiver.events().count("end") == 1
    assert (end["event"], end["state"], end["sweep"]) == ("end", "completed", "told")
    assert (end["trial"], end["params"]) == (result.best[0].number, dict(result.best[0].parameters))
    assert end["values"] == result.values(result.best[0])
    failure = next(m for m in receiver.got if m["event"] == "failure")
    assert "failed: ValueError: ∗too good∗ (" in failure["text"]
    assert holds_secret(place) == []
    assert not any(part in "".join(capfd.readouterr()) + json.dumps(result.to_json()) for part in SECRET.split("/"))


@pytest.mark.slow
def test_a_webhook_that_hangs_keeps_no_trial_and_the_end_for_a_moment(place, monkeypatch, receiver: Receiver, caplog):
    monkeypatch.setenv("HPSEARCH_WEBHOOK", receiver.url)
    monkeypatch.setattr(notifier, "PATIENCE_S", 1.0)
    monkeypatch.setattr(notifier, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(webhook, "TRY_S", 0.5)
    receiver.answers = ["hang"]
    (place / "told_code.py").write_text(CODE.replace("PACE", "0.1"))
    result = hpsearch.run(hpsearch.load("told.yaml"))
    assert receiver.got, "it was told of the failure, and had not answered"
    assert not receiver.let_go.is_set()
    assert {t.state for t in result.trials} <= {TrialState.COMPLETED, TrialState.FAILED}
    warnings = [r.getMessage() for r in caplog.records if r.name.startswith("hpsearch.notify")]
    assert len(warnings) == 1
    assert "was not told of the end of the sweep: no answer within 0.5 s" in warnings[0]
    assert SECRET not in caplog.text


def test_what_goes_wrong_in_telling_does_not_end_a_sweep(receiver: Receiver, monkeypatch, caplog):
    monkeypatch.setattr(notifier, "LOOK_EVERY_S", 0.01)
    histories = iter([History((Objective("score", "maximize"),))])  # asked for more it raises
    with notifier.Notifier(("end",), "told", webhook.Webhook(receiver.url)) as told:
        with told.following(lambda: next(histories)):
            receiver.wait(lambda: bool(caplog.records))
        told.end(History((Objective("score", "maximize"),)), SweepClosed("completed"))
    assert receiver.events() == ["end"]
    assert {r.getMessage() for r in caplog.records} == {"the webhook could not be told of the sweep: StopIteration: "}


@pytest.mark.slow
def test_without_a_webhook_there_is_one_warning_and_the_sweep_runs(place):
    said: list[str] = []
    assert hpsearch.run(hpsearch.load("told.yaml"), warn=said.append).sweep.state == "completed"
    assert said == [
        "notify: nobody is told of this sweep, as no webhook is set; set HPSEARCH_WEBHOOK to its URL, or HPSEARCH_WEBHOOK_FILE to a file "
        "that holds it"
    ]


def test_a_webhook_that_is_none_is_refused_before_anything_runs(place, monkeypatch):
    monkeypatch.setenv("HPSEARCH_WEBHOOK", "s3cret")
    with pytest.raises(InputError, match="HPSEARCH_WEBHOOK: must be the URL") as refused:
        hpsearch.run(hpsearch.load("told.yaml"))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "notify",
    [
        "https://hooks/s3cret", "[https://hooks/s3cret]", "{url: https://hooks/s3cret}", "{webhook: s3cret}", "{on: [https://hooks/s3cret]}",
        "{on: [end], slack: {to: https://hooks/s3cret}}", "{https://hooks/s3cret: 1}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_override", [False, True])
def test_a_url_in_the_file_is_refused_with_the_cure_and_not_shown(place, notify, is_override):
    (place / "told.yaml").write_text(FILE.rpartition("notify")[0] + ("" if is_override else f"notify: {notify}\n"))
    with pytest.raises(ConfigError, match="HPSEARCH_WEBHOOK_FILE") as refused:
        hpsearch.load("told.yaml", [f"notify={notify}"] if is_override else [])
    assert "s3cret" not in str(refused.value)
    assert "notify" in str(refused.value)


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ("{on: [ends]}", "unknown event 'ends'; did you mean 'end'?"),
        ("{on: end}", "must be a list such as [end, failure, best], got 'end'"),
        ("{at: [end]}", "unknown key 'at'"),
    ],
)
def test_what_else_is_wrong_is_said(place, notify, said):
    (place / "told.yaml").write_text(FILE.replace("{on: [end, failure, best]}", notify))
    with pytest.raises(ConfigError) as refused:
        hpsearch.load("told.yaml")
    assert said in str(refused.value)
    assert "told.yaml, line 10: notify" in str(refused.value)


@pytest.mark.slow
def test_after_a_kill_the_end_is_told_once_and_what_was_best_is_not_new_again(place, receiver: Receiver):
    (place / "told_code.py").write_text(CODE.replace("PACE", "0.15"))
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_"))}
    variables |= {"PYTHONPATH": str(ROOT), "HPSEARCH_WEBHOOK": receiver.url}
    command = [sys.executable, "-m", "hpsearch", "run", "told.yaml", "notify.on=[end, best]", "budget.trials=14"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=place, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    killed = start()
    receiver.wait(lambda: "best" in receiver.events(), 60)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert receiver.events() == ["best"]
    first = receiver.got[0]["trial"]
    for _ in range(2):  # the second finds it finished
        assert start().wait(90) == 0
        assert receiver.events().count("end") == 1
    assert first not in [m["trial"] for m in receiver.got[1:] if m["event"] == "best"]
    assert holds_secret(place) == []


@pytest.mark.slow
def test_the_guide_shows_what_is_sent_and_its_example_receives_it(place):
    guide = (ROOT / "docs" / "notifications.md").read_text()
    (shown,) = re.findall(r"^```json\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    message = Message("end", "digits", "completed", "*digits*", 3, {"loss": 0.5}, {})
    assert list(json.loads(shown)) == list(message.to_json(None))
    (script,) = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-u", "-c", script.replace("8080", str(port))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as example:
        hook = webhook.Webhook(f"http://127.0.0.1:{port}")
        hook.post(message)
        assert example.stdout is not None
        assert example.stdout.readline() == "end digits {'loss': 0.5}\n"
        hook.close(10)
        example.kill()
