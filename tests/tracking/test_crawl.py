"""After real sweeps of every kind, MLflow agrees with the ledger's tables in every number; and `sync` makes all of it again from nothing.

What users choose has HTML and Markdown in it wherever they can choose.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crawl import InLedger, InMlflow, Of, Shown, sha, without_own_files

import hpsearch
from hpsearch import ledger as ledgers
from hpsearch.events import Begun

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(580)]

EVIL = "<img src=x onerror=alert(1)>"

TRAIN = """
import time

def train(trial):
    what, x = trial.params["what"], trial.params["x"]
    print("trains", what)
    for step in trial.steps():
        if what == "fails":
            raise ValueError("<script>alert(1)</script> | `no`")
        if what == "eats":
            raise MemoryError
        if what == "hangs":
            time.sleep(100)
        loss = float("nan") if what == "diverges" and step == 2 else x + 1 / step
        trial.report(step, {"loss": loss, "<i>size</i>": x * step, "odd": float("inf") if step == 1 else -0.0})
    trial.save_artifact("left.txt", b"<i>left")
"""

KINDS = {
    "name": f"kinds {EVIL}",
    "task": {"kind": "function", "target": "trains:train"},
    "objective": {"metric": "loss", "goal": "minimize"},
    "space": {
        "what": {"values": ["fine", "bad", "fails", "diverges", "eats", "hangs", f"*{EVIL}*"]},
        "x": {"min": 0.0, "max": 9.0},
    },
    "baseline": [
        {"what": what, "x": x}
        for what, x in (
            ("fine", 1),
            ("fine", 0.5),
            ("bad", 9),
            ("fails", 1),
            ("diverges", 1),
            ("eats", 1),
            ("hangs", 1),
            (f"*{EVIL}*", 0.75),
        )
    ],
    "training": {"epochs": 4},
    "search": {"scheduler": {"kind": "median", "n_startup_trials": 2, "n_warmup_steps": 1}, "sampler": "random"},
    "budget": {"trials": 9},
    "resources": {"workers": 1, "timeout": "6s", "retries": 0},
    "winner": {"top": 2, "seeds": 2},
    "tracking": {"tags": {"team <b>": EVIL, "[x](y)": "**z**"}},
}

TABLE = {
    "name": "table",
    "task": {"kind": "classification", "data": {"csv": f"{EVIL}.csv", "target": "<u>kind</u>"}, "split": {"validation": 0.2, "test": 0.1}},
    "objective": {"metric": "val_accuracy", "goal": "maximize"},
    "space": {"learning_rate": {"min": 0.001, "max": 0.1, "log": True}, "hidden_units": {"values": [4, 512]}},
    "baseline": [{"learning_rate": 0.01, "hidden_units": 4}],
    "constraints": [{"metric": "parameters", "max": 500}],
    "training": {"epochs": 3},
    "search": {"sampler": "random"},
    "budget": {"trials": 4},
    "resources": {"executor": "inline", "workers": 1},
    "winner": {"top": 1, "seeds": 2},
}

FRONT = {
    "name": "front",
    "task": {"kind": "function", "target": "fronts:train"},
    "objective": [{"metric": "a", "goal": "minimize"}, {"metric": "b", "goal": "maximize"}],
    "space": {"x": {"min": 0.0, "max": 1.0}},
    "training": {"epochs": 2},
    "budget": {"trials": 6},
    "resources": {"executor": "inline", "workers": 1},
    "winner": {"top": 0},
}
EXTENDED = 8

FRONTS = """
def train(trial):
    for step in trial.steps():
        x = trial.params["x"]
        trial.report(step, {"a": x * step, "b": x if x < 0.5 else 1 - x})
"""

COMMAND = {
    "name": "command",
    "task": {"kind": "command", "run": "python prints.py {x}", "patterns": {"loss": r"loss=(\S+)"}},
    "objective": {"metric": "loss", "goal": "minimize"},
    "space": {"x": {"values": [1, 2, 3]}},
    "training": {"epochs": 2},
    "search": {"sampler": "grid"},
    "budget": {"trials": 3},
    "resources": {"executor": "inline", "workers": 1},
    "winner": {"top": 0},
}
PRINTS = """
import sys
x = int(sys.argv[1])
print("<h1>hello</h1>")
print(f"loss={x / 2}")
if x == 3:
    sys.exit("no <b>way</b>")
print(f"loss={x / 4}")
"""


@dataclass
class Place:
    """A git repository with the sweep files, and a home; the ledger is at `url`."""

    folder: Path
    url: str
    emptied: int = 0
    """How often MLflow's store was: its client keeps hold of a file that is gone, unless it comes under another name."""

    @property
    def home(self) -> Path:
        return self.folder / ".hpsearch"

    def write(self, sweep: dict[str, Any], name: str) -> Path:
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(sweep))  # which is YAML too
        return path

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HPSEARCH_", "MLFLOW_"))}
        command = [sys.executable, "-m", "hpsearch", *words, "--home", str(self.home), "--store", self.url, "--json"]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def do(self, *words: str) -> dict[str, Any]:
        output, told = (process := self.start(*words)).communicate(timeout=300)
        assert process.returncode == 0, told[-3000:]
        result: dict[str, Any] = json.loads(output.splitlines()[-1])
        return result

    def empty(self) -> None:
        """MLflow's store."""
        for file in self.home.glob("mlflow.db*"):
            file.unlink()
        shutil.rmtree(self.home / "artifacts")
        self.emptied += 1

    def git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout.strip()

    def mlflow(self, sweep: str) -> InMlflow:
        return InMlflow(f"sqlite:///{self.home}/{'./' * self.emptied}mlflow.db", sweep)

    def ledger(self, sweep: str) -> InLedger:
        return InLedger(self.url, sweep, self.home)

    def begun(self, sweep: str) -> list[int]:
        """The trials that have begun, so far."""
        ledger = ledgers.open(self.url)
        events = [e.body for found in ledger.sweeps() if found.name == sweep for e in ledger.events(found.id)]
        ledger.close()
        return [body.trial for body in events if isinstance(body, Begun)]


def make(folder: Path, url: str) -> Place:
    place = Place(folder, url)
    for name, text in (("trains.py", TRAIN), ("fronts.py", FRONTS), ("prints.py", PRINTS), (".gitignore", ".hpsearch\n__pycache__\n")):
        (folder / name).write_text(text)
    rows = [f"{i % 7},{(i * i) % 5},{'ab'[i % 2]}" for i in range(80)]
    (folder / f"{EVIL}.csv").write_text("\n".join([f"{EVIL},`y`,<u>kind</u>", *rows]) + "\n")
    place.git("init", "--quiet")
    place.git("add", "--all")
    place.git("commit", "--quiet", "--message", "x")
    return place


def run_and_kill(place: Place, file: Path, trial: int) -> None:
    """SIGKILL for the controller while the trial trains."""
    process = place.start("run", str(file))
    deadline = time.monotonic() + 200
    while trial not in place.begun(KINDS["name"]):
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture(autouse=True)
def _no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """With sweeps of every kind, which have ended."""
    folder = tmp_path_factory.mktemp("crawl")
    place = make(folder, f"sqlite:///{folder}/.hpsearch/ledger.db")
    killed_and_resumed(place)
    for name, sweep in (("table", TABLE), ("front", FRONT), ("command", COMMAND)):
        place.do("run", str(place.write(sweep, name)))
    place.do("extend", FRONT["name"], "--trials", str(EXTENDED))
    place.do("resume", FRONT["name"])
    return place


def killed_and_resumed(place: Place) -> None:
    """By its name, on files that git calls changed."""
    hangs = next(i for i, baseline in enumerate(KINDS["baseline"]) if baseline["what"] == "hangs")
    (place.home).mkdir()
    run_and_kill(place, place.write(KINDS, "kinds"), hangs)
    (place.folder / ".gitignore").write_text(".hpsearch\n__pycache__\n# changed\n")
    place.do("resume", KINDS["name"])


SWEEPS = tuple(sweep["name"] for sweep in (KINDS, TABLE, FRONT, COMMAND))


def check(place: Place, name: str) -> dict[Of, Shown]:
    """MLflow has what the ledger has, run by run; gives what it shows."""
    mlflow, ledger = place.mlflow(name), place.ledger(name)
    shown, expected = mlflow.runs(), ledger.runs()
    assert shown.keys() == expected.keys()
    for of in expected:
        assert (without_own_files(shown[of]) if of is None else shown[of]) == expected[of]
    check_documents(place, ledger, mlflow, shown[None])
    check_note(ledger, mlflow)
    return shown


def check_documents(place: Place, ledger: InLedger, mlflow: InMlflow, parent: Shown) -> None:
    texts = mlflow.texts
    assert json.loads(texts["sweep.json"]) == ledger.sweep["config"]
    sessions = [e for e in ledger.events if e["kind"] == "sweep_opened"]
    told = json.loads(texts["environment.json"])
    assert [each["environment"] for each in told] == [s["payload"]["provenance"]["environment"] for s in sessions]
    assert [each.get("commit") for each in told] == [s["payload"]["provenance"].get("commit") for s in sessions]
    assert texts["report.html"] == (place.home / "reports" / f"{ledger.name}.html").read_bytes()
    assert parent.artifacts.keys() == {"sweep.json", "environment.json", "winner.json", "winner.yaml", "report.html"}
    names = {
        "config": "sweep.json",
        "environment": "environment.json",
        "winner": "winner.json",
        "export": "winner.yaml",
        "report": "report.html",
    }
    assert {tag: parent.tags[f"hpsearch.{tag}"] for tag in names} == {tag: sha(texts[name])[:12] for tag, name in names.items()}
    check_winner(place, ledger, json.loads(texts["winner.json"]), texts["winner.yaml"])


def check_winner(place: Place, ledger: InLedger, winner: dict[str, Any], exported: bytes) -> None:
    """The exported file is one of fixed values, which are the winner's."""
    trial = ledger.trials[winner["trial"]]
    assert winner["params"] == trial["parameters"]
    file = place.folder / "winner.yaml"
    file.write_bytes(exported)
    config = hpsearch.load(file)
    assert (dict(config.space.fixed), config.space.parameters) == (trial["parameters"], {})
    if winner["chosen_by"] == "re-tests":
        assert winner["values"] == [ledger.values(t)[0] for t in ledger.trials if t["parent"] == trial["number"]]
    else:
        assert trial["number"] in ledger.best()


def check_note(ledger: InLedger, mlflow: InMlflow) -> None:
    states = [t["state"] for t in ledger.trials]
    for state in set(states):
        assert f"| {state.replace('_', ' ')} | {states.count(state)} |" in mlflow.note
    text = "\n".join(line for line in mlflow.note.splitlines() if not line.startswith("    "))  # but for commands, which are code
    assert "<" not in text
    assert "hpsearch show" in mlflow.note


@pytest.mark.parametrize("name", SWEEPS)
def test_mlflow_agrees_with_the_ledger(place: Place, name: str) -> None:
    check(place, name)


def test_every_kind_of_end_was_there(place: Place) -> None:
    """Else the crawl has seen less than it says."""
    states = {t["state"] for name in SWEEPS for t in place.ledger(name).trials}
    assert states >= {"completed", "pruned", "failed", "diverged", "out_of_memory", "timed_out", "infeasible"}
    kinds = place.ledger(KINDS["name"])
    assert [e["kind"] for e in kinds.events].count("sweep_opened") == 2
    assert max(t["attempt"] for t in kinds.trials) == 2
    assert {t["kind"] for t in kinds.trials} == {"baseline", "search", "retest"}
    front = place.ledger("front")
    assert (len(front.trials), len(front.best()) > 1) == (EXTENDED, True)


def test_commits_are_those_that_git_tells_and_the_last_run_counts(place: Place) -> None:
    parent = place.mlflow(KINDS["name"]).runs()[None]
    assert parent.tags["mlflow.source.git.commit"] == place.git("rev-parse", "HEAD")
    assert parent.tags["mlflow.source.git.dirty"] == "true"
    assert parent.tags["mlflow.user"] == getpass.getuser()
    mlflow = place.mlflow(KINDS["name"])
    mlflow.runs()
    assert [each["commit"]["dirty"] for each in json.loads(mlflow.texts["environment.json"])] == [False, True]


def test_data_are_an_input_and_own_code_has_none(place: Place) -> None:
    rows = {context: int(count) for _, _, context, count, _ in place.mlflow("table").runs()[None].inputs}
    assert rows == {"training": 56, "validation": 16, "test": 8}
    assert {place for *_, place in place.mlflow("table").runs()[None].inputs} == {str(place.folder / f"{EVIL}.csv")}
    assert place.mlflow("command").runs()[None].inputs == frozenset()


def test_sync_makes_all_of_it_again_from_nothing(place: Place) -> None:
    before = {name: check(place, name) for name in SWEEPS}
    place.empty()
    for name in SWEEPS:
        synced = place.do("sync", name)
        assert synced["missing_runs"] == len(before[name])
    assert {name: check(place, name) for name in SWEEPS} == before
    assert [place.do("sync", name)["repairs"] for name in SWEEPS] == [0] * len(SWEEPS)


@pytest.fixture
def elsewhere(tmp_path: Path, postgres_url: str) -> Place:
    return make(tmp_path, postgres_url)


def test_a_ledger_in_postgresql(elsewhere: Place) -> None:
    killed_and_resumed(elsewhere)
    check(elsewhere, KINDS["name"])
