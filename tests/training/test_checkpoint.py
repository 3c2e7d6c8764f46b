import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hpsearch.errors import CheckpointError
from hpsearch.training.checkpoint import CheckpointStore
from hpsearch.trial import Checkpoint

STATE = {"parameters": torch.arange(5.0), "nested": {"step": 3, "list": [1.5, None, "x", True]}}


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_gives_back_what_was_saved(tmp_path):
    store = CheckpointStore(tmp_path / "trial")
    saved = store.save(3, STATE)
    loaded = CheckpointStore(tmp_path / "trial").load(saved)
    assert torch.equal(loaded.pop("parameters"), STATE["parameters"])
    assert loaded == {"nested": STATE["nested"]}
    assert saved.step == 3
    assert json.loads((tmp_path / "trial" / "step-00003.json").read_text())["sha256"] == saved.sha256


@pytest.mark.parametrize("position", [0, 100, -1])
def test_a_flipped_bit_is_noticed_and_set_aside(tmp_path, position):
    store = CheckpointStore(tmp_path)
    saved = store.save(3, STATE)
    data = bytearray((path := tmp_path / saved.uri).read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"step 3 is damaged.*set aside as .*\.damaged"):
        store.load(saved)
    assert [name[-8:] for name in files(tmp_path)] == [".damaged"]
    assert store.latest() is None


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"step 2 cannot be read: .*No such file"):
        CheckpointStore(tmp_path).load(Checkpoint(str(tmp_path / "step-00002-0.pt"), "0", 2))


def test_is_found_when_the_folder_has_moved(tmp_path):
    saved = CheckpointStore(tmp_path / "old").save(1, STATE)
    (tmp_path / "old").rename(tmp_path / "new")
    assert CheckpointStore(tmp_path / "new").load(saved)["nested"] == STATE["nested"]


def test_keeps_the_last_two_and_the_best(tmp_path):
    store = CheckpointStore(tmp_path)
    for step in range(1, 8):
        store.save(step, STATE, keep=3 if step >= 3 else None)
    assert [checkpoint.step for checkpoint in store.earlier(100)] == [7, 6, 3]
    assert len(files(tmp_path)) == 6


def test_removes_nothing_that_another_worker_wrote(tmp_path):
    given_up, present = CheckpointStore(tmp_path), CheckpointStore(tmp_path)
    for step in (8, 9):
        given_up.save(step, STATE)
    for step in (1, 2, 3):
        present.save(step, STATE)
    given_up.save(10, STATE)
    assert [checkpoint.step for checkpoint in present.earlier(100)] == [10, 9, 3, 2]


def test_going_on_takes_over_what_came_before(tmp_path):
    first = CheckpointStore(tmp_path)
    saved = [first.save(step, STATE) for step in (1, 2)]
    second = CheckpointStore(tmp_path)
    second.load(saved[-1])
    second.save(3, STATE)
    assert [checkpoint.step for checkpoint in second.earlier(100)] == [3, 2]


def test_without_its_manifest_it_does_not_exist(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(1, STATE)
    store.save(2, STATE)
    (tmp_path / "step-00002.json").unlink()
    (tmp_path / "step-00003.json").write_text("{half a mani")
    assert store.latest().step == 1


def test_refuses_what_could_not_be_loaded_again(tmp_path):
    with pytest.raises(CheckpointError, match=r"state\['a'\]\[1\] is a ndarray: convert it"):
        CheckpointStore(tmp_path).save(1, {"a": [1, torch.zeros(1).numpy()]})
    assert not list(tmp_path.iterdir())


def test_never_unpickles(tmp_path):
    """A file whose SHA-256 is right but that holds an object."""
    path = tmp_path / "step-00001-x.pt"
    torch.save({"run": os.system}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        CheckpointStore(tmp_path).load(Checkpoint(str(path), digest, 1))


@pytest.mark.slow
def test_killed_at_any_moment_what_has_a_manifest_can_be_loaded(tmp_path):
    code = (
        "import sys, torch; from pathlib import Path; from hpsearch.training.checkpoint import CheckpointStore\n"
        "store = CheckpointStore(Path(sys.argv[1])); print(flush=True)\n"
        "for step in range(1, 10**6): store.save(step, {'x': torch.full((20000,), step)})"
    )
    for run in range(3):
        folder = tmp_path / str(run)
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
        with process:
            process.stdout.readline()
            time.sleep(0.2 + 0.07 * run)
            process.send_signal(signal.SIGKILL)
        store = CheckpointStore(folder)
        kept = store.earlier(1 << 62)
        assert kept
        for checkpoint in kept:
            assert store.load(checkpoint)["x"][0] == checkpoint.step


def test_saving_a_small_network_costs_milliseconds_of_computing(tmp_path):
    """The processor's time: the disk's is its own."""
    store, state = CheckpointStore(tmp_path), {"p": torch.zeros(30000), "m": torch.zeros(30000), "v": torch.zeros(30000)}
    times = []
    for step in range(20):
        start = time.thread_time()
        store.save(step, state)
        times.append(time.thread_time() - start)
    assert min(times) < 0.01
