import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from hpsearch.errors import DataError
from hpsearch.tasks.tables import Source, read


def test_digits_are_images_of_scikit_learn():
    table, theirs = read(Source("builtin", "digits")), datasets.load_digits()
    assert table.kind == "image"
    np.testing.assert_array_equal(table.inputs, theirs.images[:, None] / 16)
    np.testing.assert_array_equal(table.target, theirs.target.astype(str))


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris"])
def test_built_in_classes_are_those_of_scikit_learn(name):
    table, theirs = read(Source("builtin", name)), getattr(datasets, f"load_{name}")()
    np.testing.assert_array_equal(table.inputs, theirs.data)
    np.testing.assert_array_equal(table.target, np.array(theirs.target_names)[theirs.target].astype(table.target.dtype))
    assert len(table.features) == theirs.data.shape[1]


def test_built_in_diabetes_is_that_of_scikit_learn():
    table, theirs = read(Source("builtin", "diabetes")), datasets.load_diabetes(scaled=False)
    np.testing.assert_array_equal(table.inputs, theirs.data)
    np.testing.assert_array_equal(table.target, theirs.target)


def test_an_unknown_data_set_names_the_nearest():
    with pytest.raises(DataError, match="unknown data set 'digit'; did you mean 'digits'"):
        read(Source("builtin", "digit"))


FRAME = pd.DataFrame({"age": [1, 2, 3, 4], "weight": [0.5, 1.5, 2.5, 3.5], "kind": ["a", "b", "a", "b"]})


def written(tmp_path, frame, kind="csv", target="kind"):
    path = tmp_path / f"data.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    return Source(kind, str(path), target)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_reads_files_of_ones_own(tmp_path, kind):
    table = read(written(tmp_path, FRAME, kind))
    assert table.inputs.tolist() == [[1, 0.5], [2, 1.5], [3, 2.5], [4, 3.5]]
    assert table.target.tolist() == ["a", "b", "a", "b"]
    assert (table.features, table.target_name) == (("age", "weight"), "kind")
    assert len(table.digest) == 64


def test_nullable_columns_without_gaps_are_numbers(tmp_path):
    frame = FRAME.assign(age=FRAME.age.astype("Int64"), weight=FRAME.weight.astype("Float64"))
    numbers = frame.drop(columns="kind")
    assert read(written(tmp_path, numbers, "parquet", "age")).target.dtype.kind == "i"
    assert read(written(tmp_path, numbers, "parquet", "weight")).target.dtype.kind == "f"


def test_the_digest_is_of_the_file(tmp_path):
    first = read(written(tmp_path, FRAME)).digest
    assert read(written(tmp_path, FRAME)).digest == first
    assert read(written(tmp_path, FRAME.assign(age=0))).digest != first


@pytest.mark.parametrize(
    ("change", "target", "said"),
    [
        ({"weight": [1, np.nan, np.nan, 2]}, "kind", "column 'weight' has 2 missing or infinite values of 4 (the first in data row 2)"),
        ({"weight": [1, np.inf, 0, 2]}, "kind", "column 'weight' has 1 missing or infinite values of 4"),
        ({"kind": ["a", None, "b", "b"]}, "kind", "column 'kind' has 1 missing"),
        ({"weight": [1, np.nan, 0, 2]}, "weight", "column 'weight' has 1 missing"),
        (
            {"city": ["1", "2", "Bern", "4"]},
            "kind",
            "column 'city' is not numeric (it holds 'Bern' in data row 3), though 3 of its 4 values",
        ),
        ({}, "kidn", "unknown target column 'kidn'; did you mean 'kind'? Known: age, kind, weight"),
        ({}, None, "say which column is to be predicted"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_says_what_is_wrong_with_the_columns(tmp_path, kind, change, target, said):
    frame = FRAME.assign(**change)
    source = written(tmp_path, frame if target != "weight" else frame.drop(columns="kind"), kind, target)
    with pytest.raises(DataError) as error:
        read(source)
    assert said in str(error.value)
    assert source.place in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as CSV: No columns"),
        (b"a,b\n", "has columns but no rows"),
        (b"a,b\n1,2\n1,2,3,4\n", "cannot be read as CSV: Error tokenizing"),
        (bytes(range(128, 256)) * 9, "cannot be read as CSV"),
        (b"y\n1\n2\n", "has no columns besides the target"),
    ],
)
def test_says_what_is_wrong_with_the_file(tmp_path, content, said):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read(Source("csv", str(path), "y" if content.startswith(b"y") else "b"))
    assert said in str(error.value)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_a_file_that_is_not_there_or_is_none(tmp_path, kind):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read(Source(kind, str(tmp_path / "none"), "y"))
    with pytest.raises(DataError, match="cannot be read: it is a folder"):
        read(Source(kind, str(tmp_path), "y"))


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zip", "tar", "zst"])
def test_a_compressed_file_that_is_broken(tmp_path, ending):
    (tmp_path / f"data.csv.{ending}").write_bytes(gzip.compress(b"a,b\n1,2\n" * 50)[:20])
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read(Source("csv", str(tmp_path / f"data.csv.{ending}"), "b"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,y,y\n1,2,3\n", "two columns have the name 'y'"),
        ("a,y\n1,2,3\n4,5,6\n", "cannot be read as CSV"),
        ("a;y\n1;2\n", "separate columns by commas, not by ';'"),
        ("a,y\n1,2\n3,4\nx,6\n", "column 'a' is not numeric (it holds 'x' in data row 3)"),
    ],
)
def test_a_csv_that_would_be_misread(tmp_path, text, said):
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(DataError) as error:
        read(Source("csv", str(tmp_path / "data.csv"), "y"))
    assert said in str(error.value)


HEADER = "{{'descr': '<f8', 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    ("name", "content"),
    [("x", b"abc"), ("x.npy", HEADER.format("(10000000000000, 2)").encode()), ("x.npy", b"{'descr': " + b"(" * 40)],
    ids=["no array", "more than memory", "a broken header"],
)
def test_an_npz_that_was_made_to_break_us(tmp_path, name, content):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        head = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
        archive.writestr(name, head + content.ljust(117) + b"\n" if name == "x.npy" else content)
        archive.writestr("y", b"abc")
    with pytest.raises(DataError, match=r"data\.npz"):
        read(Source("npz", str(tmp_path / "data.npz")))


@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_a_file_of_another_format(tmp_path, kind):
    (tmp_path / "x").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="cannot be read as"):
        read(Source(kind, str(tmp_path / "x"), "b"))


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return Source("npz", str(tmp_path / "data.npz"))


def test_reads_npz_of_any_shape(tmp_path):
    table = read(saved(tmp_path, x=np.arange(24).reshape(4, 3, 2), y=np.arange(4)[:, None]))
    assert table.inputs.shape == (4, 3, 2)
    assert table.target.tolist() == [0, 1, 2, 3]
    assert table.features[:2] == ("x[0, 0]", "x[0, 1]")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((3, 2))}, "unknown array 'y'"),
        ({"x": np.zeros(3), "y": np.zeros(3)}, "or (rows, channels, height, width), got float64 of shape (3,)"),
        ({"x": np.full((3, 2), "a"), "y": np.zeros(3)}, "x must be numbers"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "y must have one value for each of x's 3 rows, got shape (4,)"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "has no rows"),
        ({"x": np.array([[1.0, np.nan]] * 3), "y": np.zeros(3)}, "column 'x[1]' has 3 missing"),
        ({"x": np.zeros((3, 2)), "y": np.array([1, np.nan, 2])}, "column 'y' has 1 missing"),
        ({"x": np.zeros((3, 2)), "y": np.array([1, np.inf, 2])}, "column 'y' has 1 missing or infinite"),
        ({"x": np.full((3, 4, 2), -np.inf), "y": np.zeros(3)}, "column 'x[0, 0]' has 3 missing or infinite"),
        ({"x": np.full((3, 1, 2, 2), np.nan), "y": np.zeros(3)}, "column 'x[0, 0, 0]' has 3 missing or infinite"),
        ({"x": np.full((3, 1, 2, 2), 1e300), "y": np.zeros(3)}, "column 'x[0, 0, 0]' has 3 missing or infinite"),
        ({"x": np.zeros((2, 1)), "y": np.array([{}, []], dtype=object)}, "pickled objects, which are never loaded"),
    ],
)
def test_says_what_is_wrong_with_an_npz(tmp_path, arrays, said):
    with pytest.raises(DataError) as error:
        read(saved(tmp_path, **arrays))
    assert said in str(error.value)


def test_a_single_array_is_no_npz(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"is a single array \(.npy\)"):
        read(Source("npz", str(tmp_path / "x.npy")))
