"""A user's mistakes: one clear message with file, line, key, value and cure; exit code 2; no traceback; nothing half-made in the ledger."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SWAP = "{learning_rate: 0.01, optimizer: adamw}"

EDITS = {
    "unknown key": ("epochs: 2", "epochz: 2", ["small.yaml, line 11", "training.epochz", "'epochs'"]),
    "duplicate key": (
        "budget: {trials: 4}",
        "budget: {trials: 4, trials: 5}",
        ["small.yaml, line 13", "trials: duplicate key", "remove one"],
    ),
    "wrong type": ("trials: 4", "trials: many", ["small.yaml, line 13", "budget.trials", "an integer, got 'many'", "for example"]),
    "min >= max": ("min: 1.0e-4, max: 0.1", "min: 0.2, max: 0.1", ["line 5", "space.learning_rate", "got min 0.2 and max 0.1", "swap"]),
    "log of zero": (
        "min: 1.0e-4",
        "min: 0",
        ["small.yaml, line 5", "space.learning_rate", "min must be > 0 with log: true, got 0", "use a small"],
    ),
    "unknown parent": ("{optimizer: sgd}", "{optimiser: sgd}", ["small.yaml, line 7", "space.momentum", "did you mean 'optimizer'"]),
    "circle": ("[adamw, sgd]}", "[adamw, sgd], when: {momentum: 0.5}}", ["small.yaml, line 6", "momentum", "optimizer"]),
    "baseline outside": (SWAP, "{learning_rate: 0.5, optimizer: adamw}", ["line 10", "baseline.0.learning_rate", "0.0001 to 0.1, got 0.5"]),
    "baseline incomplete": (SWAP, "{optimizer: adamw}", ["line 10", "baseline.0", "learning_rate", "is missing"]),
    "metric": ("metric: val_accuracy", "metric: val_acuracy", ["small.yaml, line 3", "objective.metric", "did you mean 'val_accuracy'"]),
    "sampler": ("sampler: random", "sampler: randon", ["small.yaml, line 12", "search", "unknown sampler 'randon'", "'random'"]),
    "scheduler": ("scheduler: none", "scheduler: medain", ["small.yaml, line 12", "unknown scheduler 'medain'", "'median'"]),
    "model": ("model: mlp", "model: mpl", ["small.yaml, line 2", "task.model", "unknown model 'mpl'", "'mlp'"]),
    "model of others": ("model: mlp", "model: cnn", ["small.yaml, line 2", "model cnn takes image", "is rows of shape (4,); use mlp"]),
    "scheduler of later": ("scheduler: none", "scheduler: {kind: promote, eta: 3}", ["line 12", "promote is not available yet"]),
    "data": ("data: iris", "data: irys", ["small.yaml, line 2", "task.data", "unknown data set 'irys'", "'iris'"]),
    "hyperparameter": ("hidden_units: 8", "hiden_units: 8", ["small.yaml, line 8", "space.hiden_units", "did you mean 'hidden_units'"]),
    "task": ("kind: classification", "kind: clasification", ["small.yaml, line 2", "task.kind", "did you mean 'classification'"]),
    "task with more": (
        "kind: classification",
        "kind: comand, run: ls",
        ["small.yaml, line 2", "task.kind", "unknown task 'comand'; did you mean 'command'?"],
    ),
    "task of one's own": (
        "kind: classification",
        "kind: command",
        ["small.yaml, line 2", "task.data", "not for kind command", "remove it"],
    ),
    "no budget": ("budget: {trials: 4}", "budget: {}", ["small.yaml, line 13", "budget", "nothing", "give trials"]),
    "budget of nothing": ("trials: 4", "trials: 0", ["small.yaml, line 13", "budget.trials", "got 0"]),
    "name with a slash": ("name: small", "name: a/b", ["small.yaml, line 1", "name", "no slash, got 'a/b'", "for example a-b"]),
    "name that steers": ("name: small", 'name: "a\\e[31mb"', ["small.yaml, line 1", "name", "control"]),
    "storage of another kind": (
        "name: small",
        "name: small\nstorage: gs://bucket/x",
        ["small.yaml, line 2", "storage: unknown scheme 'gs'", "s3://BUCKET/PREFIX"],
    ),
    "storage with a password": (
        "name: small",
        "name: small\nstorage: s3://me:hidden@bucket/x",
        ["small.yaml, line 2", "storage: must be s3://BUCKET/PREFIX and no more", "AWS_SHARED_CREDENTIALS_FILE"],
    ),
    "python object": (
        "name: small",
        "name: !!python/object/apply:os.system ['touch pwned']",
        ["line 1", "!!python", "tags are not allowed"],
    ),
    "baseline breaks a constraint": (
        "baseline:",
        "constraints: [{metric: parameters, max: 9}]\nbaseline:",
        ["baseline", "parameters", "max 9"],
    ),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_wrong_file(hp, sweep_file: Path, command: str, name: str):
    old, new, told = EDITS[name]
    text = sweep_file.read_text()
    assert old in text
    sweep_file.write_text(text.replace(old, new, 1))
    refused(ran := hp(command, sweep_file.name), *told)
    assert "hidden@" not in ran.out + ran.err
    assert hp("list", "--json").json == {"sweeps": []}
    assert not Path("pwned").exists()


def refused(ran, *told: str) -> None:
    assert ran.code == 2, ran.err
    assert ran.err.startswith("error: ")
    assert "\x1b" not in ran.err
    for words in told:
        assert words in ran.err


def bomb() -> bytes:
    levels = [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(["a: &a [x, x, x, x, x, x, x, x, x]", *levels]).encode()


FILES = {
    "binary": (bytes(range(256)) * 20, ["bad.yaml, line 2", "UTF-8"]),
    "100 MB": (b"# " + b"x" * 100_000_000, ["bad.yaml", "larger than"]),
    "bomb": (bomb(), ["bad.yaml, line", "aliases"]),
    "empty": (b"", ["bad.yaml", "is empty", "hpsearch init"]),
    "a list": (b"- 1\n", ["bad.yaml", "must be a mapping"]),
    "broken": (b"task: {kind: classification\n", ["bad.yaml, line"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_sweep_file(hp, name: str):
    content, told = FILES[name]
    Path("bad.yaml").write_bytes(content)
    refused(hp("run", "bad.yaml"), *told)
    assert not Path(".hpsearch").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('x: "\\UFFFFFFFF"', ["bad.yaml", "not valid YAML"]),
        ("a: 1\nb: \x07", ["bad.yaml, line 2", "control character", "remove it"]),
        ('a: 1\n"b\\nc": 1', ["bad.yaml, line 2", "unknown key 'b\\nc'"]),
    ],
)
def test_letters_that_are_none(hp, line: str, told: list[str]):
    Path("bad.yaml").write_text(line)
    refused(hp("run", "bad.yaml"), *told)


@pytest.mark.timeout(10)
def test_a_file_without_end_or_beginning(hp, sweep_file: Path):
    os.mkfifo("pipe")
    refused(hp("run", "pipe"), "pipe", "no ordinary file")
    sweep_file.write_text(sweep_file.read_text().replace("data: iris", "data: {csv: pipe, target: y}"))
    refused(hp("run", sweep_file), "pipe", "no ordinary file")


@pytest.mark.timeout(10)
def test_a_name_that_goes_on_and_on(hp, sweep_file: Path):
    long = "x" * 200_000
    Path("table.csv").write_text(f"a,{long},y\n1,2,0\n1,k,0\n")
    sweep_file.write_text(sweep_file.read_text().replace("data: iris", "data: {csv: table.csv, target: y}"))
    ran = hp("run", sweep_file)
    refused(ran, "is not numeric", "mend the others")
    assert len(ran.err) < 3000


@pytest.mark.parametrize("file", ["nope.yaml", "/dev/null", "."])
def test_what_is_no_file(hp, file: str):
    refused(hp("run", file), "cannot be read", "name a sweep file")


TABLES = {
    "a gap": ("{csv: table.csv, target: y}", ["table.csv", "column 'b'", "row 8"]),
    "no such column": ("{csv: table.csv, target: z}", ["table.csv", "target column 'z'", "a, b, y"]),
    "no such file": ("{csv: tabel.csv, target: y}", ["tabel.csv", "cannot be read"]),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_data_that_cannot_be_used(hp, sweep_file: Path, command: str, name: str):
    data, told = TABLES[name]
    Path("table.csv").write_text("a,b,y\n" + "".join(f"{i},{'' if i == 7 else i * 2},{i % 2}\n" for i in range(40)))
    sweep_file.write_text(sweep_file.read_text().replace("data: iris", f"data: {data}"))
    refused(hp(command, sweep_file), *told)
    assert hp("list", "--json").json == {"sweeps": []}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("space.learning_rat.max=0.1", ["command line, space.learning_rat.max=0.1", "learning_rate"]),
        ("budget.trials", ["command line, budget.trials", "KEY=VALUE"]),
        ("budget.trials=-3", ["command line, budget.trials=-3", "got -3"]),
    ],
)
def test_a_wrong_override(hp, sweep_file: Path, override: str, told: list[str]):
    refused(hp("run", sweep_file, override), *told)


def test_a_wrong_executor_on_the_command_line(hp, sweep_file: Path):
    refused(hp("run", sweep_file, "--executor", "proces"), "command line, --executor proces", "'process'")


def test_a_wrong_name_on_the_command_line(hp, sweep_file: Path):
    refused(hp("run", sweep_file, "--name", "a/b"), "command line", "a/b", "slash")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nope"], "No such command 'nope'"),
        (["run"], "Missing argument 'FILE'"),
        (["show", "small", "x"], "TRIAL"),
        (["run", "f", "--nope"], "No such option: --nope"),
        (["extend", "small"], "--trials"),
        (["extend", "small", "--trials", "x"], "--trials"),
        (["extend", "small", "--trials", 10**20], "--trials"),
    ],
)
def test_a_wrong_command_line(hp, arguments: list[str], told: str):
    refused(hp(*arguments), told)
    ran = hp(*arguments, "--json")
    assert json.loads(ran.out)["exit_code"] == 2


@pytest.mark.slow
def test_a_name_that_no_database_takes(hp, copied: Path):
    refused(hp("show", "\udcff"), "unknown sweep", "small")


def test_no_command_at_all_shows_the_help(hp):
    ran = hp()
    assert ran.code == 2
    assert "Usage: hpsearch" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize("url", ["nonsense", "mysql://ada:secret@host/db", "sqlite://"])
def test_a_wrong_store(hp, sweep_file: Path, url: str):
    ran = hp("run", sweep_file, "--store", url)
    assert ran.code in (2, 3)
    assert "secret" not in ran.err
    assert "error: " in ran.err
