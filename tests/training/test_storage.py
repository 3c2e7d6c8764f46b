"""One contract for folders on a disk and in S3, and for the checkpoints in both; each is looked into by another client."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from channel import Channel
from s3_server import READS, InBucket, OnDisk

from hpsearch.errors import CheckpointError, InputError
from hpsearch.training.checkpoint import CheckpointStore
from hpsearch.training.run import run_assignment
from hpsearch.training.s3 import check_url, is_url
from hpsearch.training.storage import below, folder_at, probe
from hpsearch.trial import Assignment, Checkpoint, Objective, Pause, TrialKind, TrialState

STATE = {"parameters": torch.arange(5.0), "nested": {"step": 3, "list": [1.5, None, "x", True]}}


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.slow)])
def place(request, tmp_path):
    if request.param == "disk":
        return OnDisk(tmp_path / "storage")
    return InBucket(request.getfixturevalue("s3_server"))


@pytest.fixture
def folder(place):
    return folder_at(place.location)


ODD = ["a b", "a*", "[x]", "a?b", "ä", "a#b", "a%20b", "a+b"]


def test_gives_back_what_was_written_and_replaces_it(place, folder):
    folder.write("one", b"first", sync=True)
    folder.write("one", b"second", sync=False)
    folder.write("empty", b"", sync=True)
    assert place.files() == {"one": b"second", "empty": b""}
    assert (folder.read("one"), folder.read("empty")) == (b"second", b"")
    assert sorted(folder.names()) == ["empty", "one"]


def test_sees_what_another_client_writes(place, folder):
    place.put("one", b"1")
    assert folder.names() == ["one"]
    place.put("two", b"2")
    assert sorted(folder.names()) == ["one", "two"]
    assert folder.read("two") == b"2"


def test_what_is_not_there(place, folder):
    assert folder.names() == []
    with pytest.raises(FileNotFoundError):
        folder.read("none")
    folder.write("one", b"1", sync=True)
    folder.remove(["none", "one"])
    assert place.files() == {}
    folder.remove_below(re.compile(".*").match)


@pytest.mark.parametrize("name", ODD)
def test_takes_names_as_they_are(place, name):
    """S3 clients see patterns in some, and versions in others."""
    folder = folder_at(below(place.location, name))
    place.put("other/x", b"stays")
    folder.write(name, b"1", sync=True)
    assert folder.read(name) == b"1"
    folder.rename(name, f"{name}.damaged")
    assert place.files() == {f"{name}/{name}.damaged": b"1", "other/x": b"stays"}
    folder.remove([f"{name}.damaged"])
    assert place.files() == {"other/x": b"stays"}


def test_removes_the_folders_below_that_are_meant_and_no_others(place):
    stays = ["a-2/trial-1/x", "a/mine/x", "a/x", "b/trial-1/x"]
    for path in [*stays, "a/trial-1/x", "a/trial-1/deep/y", "a/trial-22/x"]:
        place.put(path, b"1")
    folder_at(below(place.location, "a")).remove_below(re.compile(r"trial-\d+").fullmatch)
    assert sorted(place.files()) == stays


def test_what_is_empty_then_is_gone(tmp_path):
    (tmp_path / "a" / "trial-1").mkdir(parents=True)
    folder_at(tmp_path / "a").remove_below(str)
    assert list(tmp_path.iterdir()) == []


def test_a_probe_leaves_nothing(place):
    probe(place.location)
    assert place.files() == {}


def test_a_full_disk_is_left_no_halves(tmp_path):
    with pytest.raises(OSError, match="File name too long"):
        folder_at(tmp_path).write("x" * 255, b"1", sync=True)
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        folder_at(tmp_path).write("taken", b"1", sync=True)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.slow
def test_more_than_one_put_takes(place, folder):
    data = os.urandom(1000) * 101_000
    folder.write("large", data, sync=True)
    assert folder.read("large") == data


def test_a_checkpoint_is_loaded_as_it_was_saved(place):
    saved = CheckpointStore(place.location).save(3, STATE)
    assert saved.uri.startswith(f"{place.location}/step-00003-")
    loaded = CheckpointStore(place.location).load(saved)
    assert torch.equal(loaded.pop("parameters"), STATE["parameters"])
    assert loaded == {"nested": STATE["nested"]}


def test_a_flipped_bit_is_set_aside_and_the_one_before_used(place):
    store = CheckpointStore(place.location)
    first, second = (store.save(step, STATE) for step in (1, 2))
    name = second.uri.rpartition("/")[2]
    data = bytearray(place.files()[name])
    data[len(data) // 2] ^= 1
    place.put(name, bytes(data))
    with pytest.raises(
        CheckpointError, match=rf"step 2 is damaged.*set aside as {re.escape(str(place.location))}/step-00002-\w+\.pt\.damaged"
    ):
        CheckpointStore(place.location).load(second)
    assert CheckpointStore(place.location).latest() == first
    assert place.files()[f"{name}.damaged"] == data
    assert not {name, "step-00002.json"} & place.files().keys()


def test_a_missing_one_is_named(place):
    with pytest.raises(CheckpointError, match=r"step 2 cannot be read: .*step-00002-0.pt: No such"):
        CheckpointStore(place.location).load(Checkpoint(f"{place.location}/step-00002-0.pt", "0", 2))


def test_is_found_when_the_folder_has_moved(place):
    saved = CheckpointStore(below(place.location, "old")).save(1, STATE)
    for path, data in place.files().items():
        place.put(path.replace("old/", "new/"), data)
        place.delete(path)
    assert CheckpointStore(below(place.location, "new")).load(saved)["nested"] == STATE["nested"]


def test_keeps_the_last_two_and_the_best(place):
    store = CheckpointStore(place.location)
    for step in range(1, 6):
        store.save(step, STATE, keep=2 if step >= 2 else None)
    assert [checkpoint.step for checkpoint in store.earlier(100)] == [5, 4, 2]
    assert len(place.files()) == 6


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from hpsearch.training import checkpoint
from hpsearch.training.s3 import is_url

store = checkpoint.CheckpointStore(sys.argv[1] if is_url(sys.argv[1]) else Path(sys.argv[1]))
store.save(1, {"x": torch.ones(9)})
write = type(store._folder).write

def write_and_die(self, name, data, *, sync):
    if name.endswith(".json"):
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, name, data, sync=sync)

type(store._folder).write = write_and_die
store.save(2, {"x": torch.zeros(9)})
"""


@pytest.mark.slow
def test_killed_between_data_and_manifest_the_one_before_counts(place):
    done = subprocess.run([sys.executable, "-c", KILLED, str(place.location)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [name[:10] for name in sorted(place.files())] == ["step-00001", "step-00001", "step-00002"]
    store = CheckpointStore(place.location)
    assert store.latest().step == 1
    assert store.load(store.latest())["x"].sum() == 9


class Counts:
    """Pauses where it is told, and sums its steps."""

    objectives = (Objective("total", "maximize"),)

    def run(self, trial):
        saved = trial.load_checkpoint()
        total = saved["total"] if saved else 0
        for step in trial.steps():
            total += step
            trial.report(step, {"total": total}, checkpoint=lambda total=total: {"total": total})


def assignment(checkpoint=None):
    return Assignment(3, 1, TrialKind.SEARCH, {"a": 1}, 7, 4, checkpoint)


def test_a_trial_goes_on_from_there_and_needs_no_disk(place, tmp_path):
    paused = run_assignment(Counts(), assignment(), Channel({2: Pause()}), place.location, folder=tmp_path / "own")
    assert (paused.state, paused.checkpoint.step) == (TrialState.PAUSED, 2)
    channel = Channel()
    done = run_assignment(Counts(), assignment(paused.checkpoint), channel, place.location, folder=tmp_path / "own")
    assert done.state is TrialState.COMPLETED
    assert [(r.step, r.metrics["total"]) for r in channel.reports] == [(3, 6), (4, 10)]
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("answers", [{}, {2: Pause()}])
def test_what_cannot_be_saved_costs_no_trial(tmp_path, capfd, answers):
    (tmp_path / "file").write_text("in the way")
    channel = Channel(answers)
    outcome = run_assignment(Counts(), assignment(), channel, tmp_path / "file" / "trial", checkpoint_every_s=0.0)
    assert outcome.state is (TrialState.PAUSED if answers else TrialState.COMPLETED)
    assert outcome.checkpoint is None
    assert [report.checkpoint for report in channel.reports] == [None] * (2 if answers else 4)
    assert "checkpoint of step 1 cannot be saved: Not a directory; training goes on without it" in capfd.readouterr().err


ATTEMPTS = """
import sys
from hpsearch.training.storage import folder_at
folder = folder_at("s3://sweeps/prefix")
attempts = {
    "write": lambda: folder.write("a", b"1", sync=True),
    "read": lambda: folder.read("a"),
    "names": folder.names,
    "remove": lambda: folder.remove(["a"]),
    "remove_below": lambda: folder.remove_below(str),
}
for name in sys.argv[1:]:
    try:
        print(attempts[name]())
    except OSError as error:
        print(type(error).__name__, error.strerror)
"""
ALL = ("write", "read", "names", "remove", "remove_below")


def attempt(server, *names, **environment):
    """What became of each, in a process of its own: clients keep their credentials."""
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, *names],
        env={**os.environ, **server.environment(), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_where_nobody_listens_all_fails_soon(s3_server):
    began = time.monotonic()
    said = attempt(s3_server, *ALL, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert len(said) == len(ALL)
    assert all(line.startswith("OSError Could not connect to the endpoint URL") for line in said)
    assert time.monotonic() - began < 15


@pytest.mark.slow
@pytest.mark.parametrize("name", ["write", "read"])
def test_where_a_server_hangs_it_fails_in_time(s3_server, name):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        (said,) = attempt(s3_server, name, AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "Read timeout on endpoint" in said or "does not answer in time" in said
    assert time.monotonic() - began < 25


class Hiccup(BaseHTTPRequestHandler):
    """Answers 503 once, and then with an object."""

    asked = 0

    def do_HEAD(self):
        self.answer(200, 5)

    def do_GET(self):
        type(self).asked += 1
        if self.asked == 1:
            self.answer(503, 0)
        else:
            self.answer(200, 5)
            self.wfile.write(b"found")

    def answer(self, status, size):
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


@pytest.mark.slow
def test_a_server_that_is_out_for_a_moment_is_asked_again(s3_server):
    with ThreadingHTTPServer(("127.0.0.1", 0), Hiccup) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = attempt(s3_server, "read", AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert (said, Hiccup.asked) == (["b'found'"], 2)


@pytest.mark.slow
def test_wrong_keys_are_refused(s3_server):
    wrong = s3_server.keys("stranger", "AKIASTRANGER00000000", "a-secret-of-nobody")
    said = attempt(s3_server, *ALL, AWS_SHARED_CREDENTIALS_FILE=str(wrong))
    assert len(said) == len(ALL)
    assert all(line.startswith("PermissionError") for line in said), said
    assert "a-secret-of-nobody" not in str(said)


@pytest.mark.slow
def test_no_keys_at_all_are_said_to_be_missing(s3_server):
    (said,) = attempt(s3_server, "write", AWS_SHARED_CREDENTIALS_FILE="/none")
    assert said == "OSError Unable to locate credentials"


@pytest.mark.slow
def test_who_may_only_read_cannot_write(s3_server):
    reader = s3_server.user("reader", READS)
    said = attempt(s3_server, "write", "names", AWS_SHARED_CREDENTIALS_FILE=str(reader))
    assert said[0].startswith("PermissionError ")
    assert said[1] == "[]"


@pytest.mark.slow
def test_a_bucket_that_is_not_there(s3_server):
    with pytest.raises(FileNotFoundError, match="bucket does not exist"):
        probe("s3://no-such-bucket/x")


@pytest.mark.parametrize("url", ["s3://my-bucket", "s3://my-bucket/a/b", "s3://my-bucket/ä b/"])
def test_urls_that_can_be_used(url):
    check_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s33://bucket", "unknown scheme 's33'; did you mean 's3'"),
        ("gs://bucket/x", "unknown scheme 'gs'"),
        ("file:///shared", "the path of a folder"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("s3:/bucket/x", "names no bucket"),
        ("s3://me:hidden@bucket/x", "AWS_SHARED_CREDENTIALS_FILE"),
        ("s3://bucket/x?secret=hidden", "AWS_SHARED_CREDENTIALS_FILE"),
    ],
)
def test_urls_that_cannot(url, said):
    assert is_url(url)
    with pytest.raises(InputError) as error:
        check_url(url)
    assert said in str(error.value)
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("path", ["shared", "/mnt/shared", "~/x", "a:b", "../s3"])
def test_paths_are_no_urls(path):
    assert not is_url(path)
