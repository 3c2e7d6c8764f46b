import multiprocessing

import numpy as np
import pytest

from hpsearch.errors import DataError
from hpsearch.tasks import prepared
from hpsearch.tasks.prepared import Arrays, Kept

KEPT = Kept({"kind": "array"}, np.ones((2, 2)))
META = {"digest": "d", "classes": ["a", "b"]}


def arrays(*splits):
    return Arrays({s: np.ones((3, 2)) for s in splits}, {s: np.arange(3) for s in splits})


def write(folder):
    return prepared.write(folder, META, arrays("train", "validation"), arrays("test"), KEPT)


def test_search_never_opens_the_test_split(tmp_path):
    made = write(tmp_path / "a")
    (tmp_path / "a" / "test.npz").unlink()
    loaded = prepared.load_search(made.folder)
    assert set(loaded.inputs) == set(loaded.targets) == {"train", "validation"}
    assert loaded.targets["train"].tolist() == [0, 1, 2]


def test_what_was_written_is_found(tmp_path):
    assert prepared.find(tmp_path / "a") is None
    write(tmp_path / "a")
    assert prepared.find(tmp_path / "a").meta == META


def test_written_again_the_first_stands(tmp_path):
    write(tmp_path / "a")
    before = (tmp_path / "a" / "search.npz").stat().st_mtime_ns
    write(tmp_path / "a")
    assert (tmp_path / "a" / "search.npz").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_many_processes_at_once(tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        made = pool.map(write, [tmp_path / "a"] * 16)
    assert {each.folder for each in made} == {tmp_path / "a"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    prepared.load_search(tmp_path / "a")


def test_a_folder_that_cannot_be_written_or_read(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the splits cannot be written to"):
        write(tmp_path / "file" / "a")
    write(tmp_path / "a")
    (tmp_path / "a" / "meta.json").write_text("{")
    with pytest.raises(DataError, match=r"is damaged.*remove it"):
        prepared.find(tmp_path / "a")
