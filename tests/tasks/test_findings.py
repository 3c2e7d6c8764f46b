import time

import numpy as np
import pandas as pd
import pytest

from hpsearch.errors import DataError
from hpsearch.tasks.anomaly_detection import AnomalyDetection
from hpsearch.tasks.classification import Classification
from hpsearch.tasks.clustering import Clustering
from hpsearch.tasks.findings import columns, examine, find_class_leaks
from hpsearch.tasks.generation import Generation
from hpsearch.tasks.regression import Regression
from hpsearch.tasks.splits import Shares, split_rows, split_stratified
from hpsearch.tasks.tables import Source, Table, read
from hpsearch.trial import Objective

RANDOM = np.random.default_rng(0)
ROWS = 200
NOISE = RANDOM.random(ROWS)
LABELS = np.arange(ROWS) % 2


@pytest.fixture
def warned(tmp_path):
    """(columns, kind of task, ...) -> the warnings of a CSV file of these columns, of which y is the target."""

    def prepare(data, kind=Classification, categorical=(), **given):
        path = tmp_path / "data.csv"
        pd.DataFrame(data).to_csv(path, index=False)
        given.setdefault("objectives", (Objective("val_loss", "minimize"),))
        source = Source("csv", str(path), "y", categorical=categorical)
        made = kind(source, Shares(0.2, 0.2, 0), **given)
        made.prepare(tmp_path / "prepared")
        return list(made.warnings)

    return prepare


def test_sound_data_are_passed_in_silence(warned):
    assert warned({"a": NOISE, "b": ["u", "v", "w", "x"] * 50, "y": LABELS}) == []
    assert warned({"a": NOISE, "y": RANDOM.random(ROWS)}, Regression) == []


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris"])
def test_the_sets_that_ship_have_one_finding(name):
    table = read(Source("builtin", name))
    classes, labels = np.unique(table.labels, return_inverse=True)
    split = split_stratified(labels, tuple(classes), Shares(0.2, 0.2, 0))
    found = [*examine(table, split, labels), *find_class_leaks(table, labels)]
    copies = len(labels) - len(np.unique(table.inputs.reshape(len(labels), -1), axis=0))
    assert (copies, len(found)) == ((1, 1) if name == "iris" else (0, 0))  # two virginicas are the same


def test_names_are_few_and_the_rest_are_counted():
    assert columns(["a"]) == "column 'a'"
    assert columns(["a", "b"]) == "2 columns ('a', 'b')"
    assert columns(list("abcdefg")) == "7 columns ('a', 'b', 'c', 'd', 'e' and 2 more)"


def test_constant_columns(warned):
    found = warned({"a": NOISE, "c": 1.0, "d": 0, "e": ["x"] * ROWS, "y": LABELS})
    assert [line.split(";")[0] for line in found] == [
        "2 columns ('c', 'd'): constant, so that nothing can be learned from it",
        "column 'e': constant, so that nothing can be learned from it",
    ]


def test_a_column_that_is_constant_in_training_alone_is_told_apart(warned):
    train = split_rows(ROWS, Shares(0.2, 0.2, 0)).train
    only = np.where(np.isin(np.arange(ROWS), train), 0.0, NOISE)
    (found,) = warned({"a": NOISE, "b": only, "y": RANDOM.random(ROWS)}, Regression)
    assert found.startswith("column 'b': constant in the training split and not in the others")


def test_constant_features_of_sequences_and_silence_about_constant_pixels():
    inputs = RANDOM.random((ROWS, 5, 3))
    inputs[:, :, 1] = 4
    split = split_rows(ROWS, Shares(0.2, 0.2, 0))
    (found,) = examine(Table(inputs, LABELS, (), "y", "", "sequence"), split, LABELS)
    assert found.startswith("column 'x[:, 1]': constant")
    images = RANDOM.random((ROWS, 1, 4, 4))
    images[:, :, 0] = 0
    assert examine(Table(images, LABELS, (), "y", "", "image"), split, LABELS) == []


@pytest.mark.parametrize("kind", ["rows", "sequence", "image"])
def test_examples_that_are_all_the_same_are_refused(kind):
    one = RANDOM.random({"rows": (3,), "sequence": (4, 3), "image": (1, 4, 4)}[kind])
    table = Table(np.stack([one] * ROWS), LABELS, (), "y", "", kind)
    with pytest.raises(DataError, match="all 120 examples of the training split are the same"):
        examine(table, split_rows(ROWS, Shares(0.2, 0.2, 0)), LABELS)


def test_categories_alone_are_inputs_too(warned):
    with pytest.raises(DataError, match="are the same"):
        warned({"a": ["x"] * ROWS, "y": LABELS})


def test_copies_within_and_across_splits(warned):
    """The rows of training, written once more where they come into other splits: what a brute force over the file finds."""
    data = pd.DataFrame({"a": np.arange(ROWS) % 90 * 1.1, "b": ["u", "v"] * 100, "y": RANDOM.random(ROWS).round(1)})
    split = split_rows(ROWS, Shares(0.2, 0.2, 0))
    rows = list(data.itertuples(index=False, name=None))
    train = [rows[i] for i in split.train]
    copies = sum(row[:2] in [r[:2] for r in train[:i]] for i, row in enumerate(train))
    against = copies - sum(row in train[:i] for i, row in enumerate(train))
    expected = [f"training rows that repeat an earlier one: {copies} of 120, {against} of them with another target, so that no network can"]
    for name, part in (("validation", split.validation), ("test", split.test)):
        again = sum(rows[i][:2] in [r[:2] for r in train] for i in part)
        alike = sum(rows[i] in train for i in part)
        expected.append(f"{name} rows that are in the training split too: {again} of 40, {alike} of them with the same target; ")
    found = warned(data, Regression)
    assert len(found) == 3
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))
    assert copies > against > 0


@pytest.mark.parametrize("kind", [Clustering, Generation, AnomalyDetection])
def test_other_kinds_of_task_tell_of_copies_too(tmp_path, kind):
    rows = RANDOM.random((100, 4))
    np.savez(tmp_path / "data.npz", x=np.concatenate([rows, rows]), y=np.arange(200) % 100 < 20)
    given = {"normal": [False]} if kind is AnomalyDetection else {}
    model = "gan" if kind is Generation else "autoencoder"
    made = kind(Source("npz", str(tmp_path / "data.npz")), Shares(0.2, 0.2, 0), (), model, **given)
    made.prepare(tmp_path / "prepared")
    assert [line.split(" ")[0] for line in made.warnings] == ["training", "validation", "test"]


def test_images_in_an_npz(tmp_path):
    pixels = RANDOM.integers(0, 256, (60, 1, 6, 6), dtype=np.uint8)
    pixels[30:] = pixels[:30]
    np.savez(tmp_path / "data.npz", x=pixels, y=np.arange(60) % 30 % 3)
    made = Classification(Source("npz", str(tmp_path / "data.npz")), Shares(0.2, 0.2, 0), (), "cnn")
    made.prepare(tmp_path / "prepared")
    assert [line.split(" that")[0] for line in made.warnings] == ["training images", "validation images", "test images"]


def test_columns_that_tell_which_row_it_is(warned):
    found = warned({"a": NOISE, "id": np.arange(ROWS) + 5, "name": [f"n{i}" for i in range(ROWS)], "y": LABELS}, categorical=("name",))
    assert found[0].startswith("column 'id': counts the rows")
    assert found[1].startswith("column 'name': 200 different values in 200 rows")
    assert len(found) == 2


def test_columns_that_give_the_target_away(warned):
    found = warned({"a": NOISE, "b": 3.0 - LABELS, "c": np.array(["no", "yes"])[LABELS], "y": LABELS})
    assert [line.split(":")[0] for line in found] == ["2 columns ('b', 'c')"]
    assert "gives the target 'y' away" in found[0]
    y = RANDOM.random(ROWS)
    (found,) = warned({"a": NOISE, "b": y * 9 / 5 + 32, "y": y}, Regression)
    assert found.startswith("column 'b': gives the target 'y' away (it is the target, but for unit and origin)")


def test_rare_classes_unless_an_objective_sees_them(warned):
    y = ["ok"] * 182 + ["fraud"] * 18
    data = {"a": NOISE, "y": y}
    (found,) = warned(data)
    assert found.startswith("1 class has at most a tenth of the rows of the largest, 'ok' with 182 of 200: 'fraud' has 18; accuracy")
    assert "class_weights: balanced" in found
    for metric in ("val_balanced_accuracy", "val_f1", "val_auroc"):
        assert warned(data, objectives=(Objective(metric, "maximize"),)) == []
    assert warned({"a": NOISE, "y": ["ok"] * 181 + ["fraud"] * 19}) == []


def test_a_regression_target_that_stands_still(warned):
    split = split_rows(ROWS, Shares(0.2, 0.2, 0))
    y = RANDOM.random(ROWS)
    y[split.validation] = 3
    (found,) = warned({"a": NOISE, "y": y}, Regression)
    assert found == "target 'y' is constant in the validation split (3): r2 is 0 there, whatever is predicted"
    y[split.train] = 2
    with pytest.raises(DataError, match="target 'y' is constant in the training split"):
        warned({"a": NOISE, "y": y}, Regression)


def test_a_published_test_set_without_a_class(tmp_path):
    from struct import pack

    def write(name, array):
        header = bytes([0, 0, 8, array.ndim]) + pack(f">{array.ndim}I", *array.shape)
        (tmp_path / name).write_bytes(header + array.astype(np.uint8).tobytes())

    for part, labels in (("train", np.arange(60) % 3), ("t10k", np.arange(20) % 2)):
        write(f"{part}-images-idx3-ubyte", RANDOM.integers(0, 256, (len(labels), 5, 5)))
        write(f"{part}-labels-idx1-ubyte", labels)
    made = Classification(Source("idx", str(tmp_path)), Shares(0.2, 0.2, 0), (), "cnn")
    made.prepare(tmp_path / "prepared")
    assert made.warnings == ["the published test set has no rows of 1 of 3 classes ('2')"]


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "kind"), [((60_000, 784), "rows"), ((60_000, 1, 28, 28), "image")])
def test_it_takes_a_second_where_training_takes_minutes(shape, kind):
    inputs = RANDOM.random(shape, dtype=np.float32)
    table = Table(inputs, LABELS, tuple(map(str, range(784))), "y", "", kind)
    labels = np.arange(60_000) % 10
    split = split_rows(60_000, Shares(0.15, 0.15, 0))
    began = time.process_time()
    assert [*examine(table, split, labels), *find_class_leaks(table, labels)] == []
    assert time.process_time() - began < 1.5


def test_the_sets_that_ship_cost_next_to_nothing():
    table = read(Source("builtin", "digits"))
    labels = table.labels.astype(int)
    split = split_rows(len(labels), Shares(0.2, 0.2, 0))
    took = []
    for _ in range(5):
        began = time.process_time()
        examine(table, split, labels)
        took.append(time.process_time() - began)
    assert min(took) < 0.02
