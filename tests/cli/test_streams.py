"""A command that was started without one of its streams, or with one that takes nothing more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_no_defect(processes, sweep_file: Path, closed: int):
    process = processes.start("validate", sweep_file, preexec_fn=lambda: os.close(closed))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (out == "") == (closed == 1)
    assert err == ""


@pytest.mark.slow
def test_a_full_disk_under_standard_output_is_no_defect(processes, sweep_file: Path):
    with Path("/dev/full").open("w") as full:
        process = processes.start("validate", sweep_file, stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "error: No space left on device; free some space and try again: what was committed is safe\n"


def test_a_folder_that_is_gone(processes, sweep_file: Path, tmp_path: Path):
    gone = tmp_path / "gone"
    gone.mkdir()
    process = processes.start("validate", sweep_file, preexec_fn=lambda: (os.chdir(gone), gone.rmdir()))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "error: the folder that this was started in is no more; change to another one\n"
