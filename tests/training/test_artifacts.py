from __future__ import annotations

import pytest

from hpsearch.errors import InputError
from hpsearch.training import artifacts
from hpsearch.training.artifacts import ArtifactFolder


@pytest.fixture
def folder(tmp_path):
    return ArtifactFolder(tmp_path / "trial-00003")


def test_a_file_is_kept_and_another_of_its_name_takes_its_place(folder):
    folder.save("samples.png", b"one")
    folder.save("samples.png", b"two")
    folder.save("Table 2_final-a.csv", b"")
    assert {file.name: file.read_bytes() for file in folder.folder.iterdir()} == {"samples.png": b"two", "Table 2_final-a.csv": b""}


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "/etc/x", "a\n", "a\0", "ä.png", "end.", " a", "a ", "x" * 101, "a#b", "a%2e"]
)
def test_what_is_no_plain_name_is_refused(folder, name):
    with pytest.raises(InputError, match=r"must be a file name .* such as 'samples\.png'"):
        folder.save(name, b"")
    assert not folder.folder.exists()


def test_too_much_is_refused(folder, monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_BYTES", 10)
    monkeypatch.setattr(artifacts, "MAX_FILES", 3)
    with pytest.raises(InputError, match="'a' has 11 bytes; at most 10 are kept"):
        folder.save("a", b"x" * 11)
    for name in "abc":
        folder.save(name, b"x" * 10)
    with pytest.raises(InputError, match="has 3 artifacts already"):
        folder.save("d", b"")
    folder.save("c", b"again")
    assert (folder.folder / "c").read_bytes() == b"again"


def test_a_write_that_fails_leaves_the_file_before_it(folder, monkeypatch):
    folder.save("a", b"whole")

    def fail(descriptor):
        raise OSError("the disk is full")

    monkeypatch.setattr(artifacts.os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        folder.save("a", b"half")
    assert (folder.folder / "a").read_bytes() == b"whole"
