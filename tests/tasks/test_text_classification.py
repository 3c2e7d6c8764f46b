"""Classification of texts: what is known of the training split alone, what a trial may vary, and that it learns and resumes."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from channel import Channel
from sklearn import metrics as theirs

from hpsearch.config import load
from hpsearch.config.home import Home
from hpsearch.errors import ConfigError, DataError, InputError
from hpsearch.models import MODELS
from hpsearch.plan import make_plan
from hpsearch.tasks import prepared
from hpsearch.tasks.data_task import load_data
from hpsearch.tasks.splits import Shares, split_stratified
from hpsearch.tasks.synthetic import reviews
from hpsearch.tasks.tables import Source
from hpsearch.tasks.text_classification import TextClassification
from hpsearch.tasks.texts import UNKNOWN
from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, Objective, Pause, TrialKind, TrialState

pytestmark = pytest.mark.slow

SHARES = Shares(0.2, 0.2, 0)
ACCURACY = Objective("val_accuracy", "maximize")
SMALL = {
    "rnn": {"hidden_size": 8, "embedding_size": 8},
    "transformer": {"width": 8, "num_heads": 2, "num_layers": 1, "feedforward_factor": 2},
    "cnn": {"channels": 8, "embedding_size": 8},
}


def task(source=None, text=None, **given):
    given.setdefault("objectives", (ACCURACY,))
    return TextClassification(source or Source("builtin", "reviews"), SHARES, text=text, **{"model": "rnn", **given})


def csv(tmp_path, texts, labels, **given):
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "texts.csv", index=False)
    return task(Source("csv", str(tmp_path / "texts.csv"), "label"), "text", **given)


def numbered(tmp_path, **given):
    """Each text has a word of its own, three times, so that the split it is in can be told."""
    made = csv(tmp_path, [f"own{row} own{row} own{row} shared" for row in range(50)], ["a", "b"] * 25, **given)
    made.prepare(tmp_path / "prepared")
    return made


class Trial:
    def __init__(self, params):
        self.params = params


def loaded(made):
    return prepared.load_search(made.prepared.folder), prepared.load_test(made.prepared.folder)


def test_the_vocabulary_is_of_the_training_split_alone(tmp_path):
    made = numbered(tmp_path)
    search, test = loaded(made)
    assert made.meta["rows"] == {"train": 30, "validation": 10, "test": 10}
    assert made.inputs({}).vocabulary == 2 + 30 + 1
    shared = 2  # the most frequent word
    assert sorted(search.inputs["train"][:, 0]) == list(range(3, 33))
    for part in (search.inputs["validation"], test.inputs["test"]):
        assert part.tolist() == [[UNKNOWN, UNKNOWN, UNKNOWN, shared]] * 10


def test_what_is_in_validation_and_test_changes_nothing_of_what_trains(tmp_path):
    made = numbered(tmp_path)
    before = prepared.load_search(made.prepared.folder)
    frame = pd.read_csv(tmp_path / "texts.csv")
    kept = np.isin(np.arange(50), split_stratified(np.arange(50) % 2, ("a", "b"), SHARES).train)
    csv(tmp_path, frame["text"].where(kept, "shared and much longer than anything that trains"), frame["label"])
    again = task(made.source, "text")
    again.prepare(tmp_path / "again")
    after = prepared.load_search(again.prepared.folder)
    assert again.data_digest != made.data_digest
    np.testing.assert_array_equal(after.inputs["train"], before.inputs["train"])
    assert again.meta["inputs"] == made.meta["inputs"]


def test_texts_as_long_as_the_longest_that_trains_and_no_longer_than_512_words(tmp_path):
    made = csv(tmp_path, [f"{'long ' * 600} late late"] * 20, [0, 1] * 10)
    made.prepare(tmp_path / "prepared")
    assert made.inputs({}).shape == (512,)
    assert made.inputs({}).vocabulary == 3, "words that are never read have no id"


def test_a_smaller_vocabulary_and_length_are_the_whole_ones_cut(tmp_path):
    made = task()
    made.prepare(tmp_path)
    data = load_data(made.prepared.folder, "cpu", False)
    whole = made._ids({}, data.inputs["train"])
    cut = made._ids({"vocabulary_size": 20, "sequence_length": 5}, data.inputs["train"])
    assert cut.dtype == whole.dtype == torch.int64
    for row in range(200):
        assert cut[row].tolist() == [token if token < 20 else UNKNOWN for token in whole[row, :5].tolist()]
    assert int(whole.max()) == made.inputs({}).vocabulary - 1


@pytest.mark.parametrize("model", SMALL)
def test_a_trials_network_has_its_vocabulary_and_length(tmp_path, train, model):
    made = task(model=model, epochs=1)
    made.prepare(tmp_path)
    whole = made.inputs({})
    assert (whole.kind, len(whole.shape)) == ("tokens", 1)
    assert made.inputs({"vocabulary_size": 50_000, "sequence_length": 512}) == whole
    fewer = {**SMALL[model], "vocabulary_size": 30, "sequence_length": 7}
    assert (made.inputs(fewer).vocabulary, made.inputs(fewer).shape) == (30, (7,))
    counted = made.static_metrics(fewer)["parameters"]
    width = SMALL[model].get("embedding_size") or SMALL[model]["width"]
    positions = (whole.shape[0] - 7) * width if model == "transformer" else 0
    assert made.static_metrics(SMALL[model])["parameters"] - counted == (whole.vocabulary - 30) * width + positions
    outcome, _ = train(made, fewer, until=1)
    assert outcome.state is TrialState.COMPLETED, outcome.reason


@pytest.mark.parametrize("bad", [{"vocabulary_size": 2}, {"vocabulary_size": 50_001}, {"sequence_length": 0}, {"sequence_length": 513}])
def test_refuses_what_is_no_size(tmp_path, bad):
    made = numbered(tmp_path)
    (name,) = bad
    with pytest.raises(InputError, match=f"{name} must be an integer from"):
        made.static_metrics(bad)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "params"), [("rnn", {"cell": "gru"}), ("cnn", {"num_blocks": 3}), ("transformer", {})])
def test_every_model_learns_which_words_are_good(tmp_path, train, model, params):
    random = np.random.default_rng(0)
    labels = random.integers(2, size=300)
    texts = [" ".join(random.permutation([("bad", "good")[label], *random.choice(list("klmnop"), 6)])) for label in labels]
    made = csv(tmp_path, texts, labels, model=model, epochs=8)
    made.prepare(tmp_path / "prepared")
    outcome, metrics = train(made, {**SMALL[model], **params, "learning_rate": 0.01, "batch_size": 16}, until=8)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert metrics[-1]["val_accuracy"] > 0.95


@pytest.mark.slow
def test_learns_the_order_of_words_that_linear_models_do_not(tmp_path, train):
    made = task(epochs=12)
    made.prepare(tmp_path)
    parameters = {"cell": "gru", "hidden_size": 32, "embedding_size": 32, "pooling": "mean", "learning_rate": 0.01, "clip_norm": 1.0}
    _, metrics = train(made, parameters, until=12)
    assert metrics[-1]["val_accuracy"] > 0.95


@pytest.mark.parametrize(("split", "prefix"), [("validation", "val_"), ("test", "test_")])
def test_metrics_are_those_of_scikit_learn(tmp_path, split, prefix):
    made = task(metrics=("val_balanced_accuracy", "val_f1", "val_auroc"))
    made.prepare(tmp_path)
    params = {**SMALL["rnn"], "vocabulary_size": 60, "sequence_length": 12}
    model = MODELS["rnn"].load()(params, made.inputs(params), 2, seeded).eval()
    with torch.no_grad():
        measured = made.measure(Trial(params), load_data(made.prepared.folder, "cpu", True), split)(model)
        probabilities = model(torch.from_numpy(by_hand(split, 60, 12))).double().softmax(1).numpy()
    targets = (loaded(made)[0] | loaded(made)[1]).targets[split]
    guesses = probabilities.argmax(1)
    expected = {
        "loss": theirs.log_loss(targets, probabilities),
        "accuracy": theirs.accuracy_score(targets, guesses),
        "balanced_accuracy": theirs.balanced_accuracy_score(targets, guesses),
        "f1": theirs.f1_score(targets, guesses, average="macro"),
        "auroc": theirs.roc_auc_score(targets, probabilities[:, 1]),
    }
    assert measured == pytest.approx({prefix + name: value for name, value in expected.items()}, rel=1e-5)


def seeded(purpose, device):
    return torch.Generator(device).manual_seed(len(purpose))


def by_hand(split, size, length):
    """The ids of the corpus: its words are apart by blanks, its rows split as the labels alone say."""
    texts, labels = reviews()
    rows = split_stratified(np.array(labels) == "positive", ("negative", "positive"), SHARES)
    counts = Counter(word for row in rows.train for word in texts[row].split())
    ordered = sorted(counts, key=lambda word: (-counts[word], word))[: size - 2]
    ids = [[ordered.index(word) + 2 if word in ordered else 1 for word in texts[row].split()][:length] for row in getattr(rows, split)]
    return np.array([row + [0] * (length - len(row)) for row in ids])


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL)
def test_interrupted_anywhere_it_is_the_same_training_bit_for_bit(tmp_path, model):
    made = numbered(tmp_path, model=model, epochs=4)
    params = {**SMALL[model], "dropout": 0.2, "schedule": "cosine", "vocabulary_size": 20, "sequence_length": 3, "batch_size": 8}

    def run(name, answers=None, checkpoint=None):
        channel = Channel(answers)
        outcome = run_assignment(made, Assignment(0, 1, TrialKind.SEARCH, params, 3, 4, checkpoint), channel, tmp_path / name)
        return outcome, channel.metrics

    _, whole = run("whole")
    assert len({report["train_loss"] for report in whole}) == 4
    for cut in range(1, 4):
        paused, before = run(f"cut{cut}", {cut: Pause()})
        assert before + run(f"cut{cut}", checkpoint=paused.checkpoint)[1] == whole


def test_pickles_small_however_many_words_there_are(tmp_path):
    made = csv(tmp_path, [f"word{row} word{row}" for row in range(5000)], ["a", "b"] * 2500)
    made.prepare(tmp_path / "prepared")
    assert made.inputs({}).vocabulary == 3002
    assert len(pickle.dumps(made)) < 10_000


def test_prepared_again_for_another_column_of_texts(tmp_path):
    pd.DataFrame({"a": ["x", "y"] * 10, "b": ["long text", "y"] * 10, "label": [0, 1] * 10}).to_csv(tmp_path / "two.csv", index=False)
    source = Source("csv", str(tmp_path / "two.csv"), "label")
    first, second = task(source, "a"), task(source, "b")
    for each in (first, second):
        each.prepare(tmp_path / "prepared")
    assert first.data_digest == second.data_digest
    assert first.inputs({}).shape == (1,)
    assert second.inputs({}).shape == (2,)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a"] * 20, "target 'label' has one class only, a"),
        (np.linspace(0, 1, 20), "target 'label' is continuous"),
        ([0] * 18 + [1] * 2, "class '1' has 2 rows"),
    ],
)
def test_refuses_what_cannot_be_classified(tmp_path, labels, said):
    with pytest.raises(DataError, match=said):
        csv(tmp_path, ["same text"] * 20, labels).prepare(tmp_path / "prepared")


def plan(tmp_path, *overrides):
    """Of a file with a text, a number and a label."""
    pd.DataFrame({"text": ["so good", "so bad"] * 20, "price": 1, "label": ["a", "b"] * 20}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "sweep.yaml").write_text(
        "task: {kind: text_classification, data: {csv: t.csv, text: text, target: label}}\n"
        "objective: {metric: val_accuracy, goal: maximize}\nspace: {vocabulary_size: {min: 3, max: 100}}\nbudget: {trials: 1}\n"
    )
    return make_plan(load(tmp_path / "sweep.yaml", overrides))


def test_takes_what_the_file_says(tmp_path):
    made = plan(tmp_path, "task.data.target=price").task
    assert isinstance(made, TextClassification)
    assert (made.text, made.source, made.model) == ("text", Source("csv", str(tmp_path / "t.csv"), "price"), "rnn")
    built_in = plan(tmp_path, "task.data=reviews", "task.model=cnn").task
    assert (built_in.text, built_in.source, built_in.model) == (None, Source("builtin", "reviews"), "cnn")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["task.data={csv: t.csv, target: label}"], "task.data: say which column holds the texts, as in {csv: t.csv, text: review,"),
        (["task.data={npz: t.npz, text: text}"], "npz is not available yet for text_classification; available: csv, parquet"),
        (["task.data.time=price"], "task.data.time: is only for kind forecasting, and the kind is text_classification; remove it"),
        (["task.data.categorical=[price]"], "task.data.categorical: is only for kind classification or regression or"),
        (["task.kind=classification"], "task.data.text: is only for kind text_classification, and the kind is classification; remove it"),
        (["task.model=mlp"], "task.model: unknown model 'mlp'. Known: cnn, rnn, transformer"),
        (["space.vocabulary_size.min=2"], "space.vocabulary_size: vocabulary_size must be an integer from 3 to 50000, or null, got 2"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_read(tmp_path, overrides, said):
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, *overrides)
    assert said in str(error.value)


def test_copies_and_rare_classes_are_told(tmp_path):
    lines = [f"text number {i} of the many,{'good' if i % 30 else 'bad'}" for i in range(300)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *lines, *lines[:60]]) + "\n")
    (tmp_path / "texts.yaml").write_text(
        "task: {kind: text_classification, data: {csv: texts.csv, text: text, target: label}}\n"
        "objective: {metric: val_accuracy, goal: maximize}\nspace: {batch_size: 8}\nbudget: {trials: 1}\n"
    )
    plan = make_plan(load(tmp_path / "texts.yaml"))
    plan.prepare(Home(tmp_path / "home", "", ""))
    told = " ".join(plan.task.warnings)
    assert "training texts that repeat an earlier one" in told
    assert "validation texts that are in the training split too" in told
    assert "'bad' has 12" in told
