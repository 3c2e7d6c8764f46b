import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder

from hpsearch.errors import DataError
from hpsearch.tasks import prepared
from hpsearch.tasks.categories import MOST, OneHot
from hpsearch.tasks.classification import Classification
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source, read
from hpsearch.trial import Objective, TrialState

FRAME = pd.DataFrame(
    {"colour": ["red", None, "blue", "red"] * 10, "zip": [10, 20, 10, 30] * 10, "size": np.arange(40) / 7, "y": [0, 1, 1, 0] * 10}
)


def source(tmp_path, frame=FRAME, **given):
    frame.to_csv(tmp_path / "data.csv", index=False)
    return Source("csv", str(tmp_path / "data.csv"), "y", **given)


def test_texts_are_categories_and_so_is_what_is_missing_among_them(tmp_path):
    table = read(source(tmp_path))
    assert table.features == ("zip", "size")
    assert {name: list(values[:4]) for name, values in table.categorical.items()} == {"colour": ["red", "missing", "blue", "red"]}


def test_numbers_are_categories_where_the_file_says_so(tmp_path):
    table = read(source(tmp_path, categorical=("zip",)))
    assert table.features == ("size",)
    assert list(table.categorical["zip"][:4]) == ["10", "20", "10", "30"]


@pytest.mark.parametrize(
    ("column", "given", "said"),
    [
        (
            ["1.5", "2,5", "3.5", "4.5"],
            {},
            "holds '2,5' in data row 2), though 30 of its 40 values are; mend the others, or name it in `data:",
        ),
        (["a"] * 4, {"categorical": ("sizee",)}, "unknown categorical column 'sizee'; did you mean 'size'?"),
    ],
)
def test_says_what_is_wrong(tmp_path, column, given, said):
    with pytest.raises(DataError) as error:
        read(source(tmp_path, FRAME.assign(colour=column * 10), **given))
    assert said in str(error.value)


def test_a_name_for_each_row_is_refused(tmp_path):
    frame = pd.DataFrame({"name": [f"row {i}" for i in range(600)], "y": [0, 1] * 300})
    with pytest.raises(DataError, match="column 'name' has 600 different texts in 600 rows, as a name or a free text has; leave it out"):
        read(source(tmp_path, frame))


def test_indicators_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    train, other = random.choice(["a", "b", "c"], 30), np.array(["c", "a", "new", "b"])
    theirs = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(train[:, None])
    ours = OneHot.fit(train)
    np.testing.assert_array_equal(ours.apply(other), theirs.transform(other[:, None]))
    assert ours.names == tuple(theirs.categories_[0])


def test_the_rarest_of_very_many_share_one():
    column = np.array([f"v{i:04d}" for i in range(MOST + 50) for _ in range(1 + (i < MOST - 1))])
    fitted = OneHot.fit(column)
    assert len(fitted.names) == MOST
    assert fitted.names[-1] == "other"
    np.testing.assert_array_equal(fitted.apply(np.array(["v0000", f"v{MOST + 10:04d}", "never"])).argmax(1), [0, MOST - 1, MOST - 1])


def test_are_fitted_on_training_alone_and_trained_on(tmp_path, train):
    made = Classification(source(tmp_path), Shares(0.2, 0.2, 0), (Objective("val_accuracy", "maximize"),), epochs=60)
    made.prepare(tmp_path / "prepared")
    assert made.meta["features"] == ["zip", "size", "colour=blue", "colour=missing", "colour=red"]
    inputs = prepared.load_search(made.prepared.folder).inputs["train"]
    assert inputs.dtype == np.float32
    assert set(np.unique(inputs[:, 2:])) == {0.0, 1.0}
    outcome, metrics = train(made, {"learning_rate": 0.02}, until=60)
    assert outcome.state is TrialState.COMPLETED
    assert metrics[-1]["val_accuracy"] == 1.0  # red is 0, all else 1
