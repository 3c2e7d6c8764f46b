import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from hpsearch.errors import InputError
from hpsearch.tasks import prepared
from hpsearch.tasks.clustering import Clustering, find_clusters
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.trial import Objective, TrialState

NMI = Objective("val_nmi", "maximize")
SILHOUETTE = Objective("val_silhouette", "maximize")
RANDOM = np.random.default_rng(0)


def task(source=None, objective=NMI, **given):
    return Clustering(source or Source("builtin", "digits"), Shares(0.2, 0.2, 0), (objective,), model="autoencoder", **given)


def blobs(tmp_path, labels=True):
    """Three clouds, far apart."""
    kinds = np.arange(120) % 3
    frame = pd.DataFrame(RANDOM.standard_normal((120, 2)) * 0.1 + kinds[:, None] * 5.0, columns=["a", "b"])
    (frame.assign(kind=kinds) if labels else frame).to_csv(tmp_path / "blobs.csv", index=False)
    return Source("csv", str(tmp_path / "blobs.csv"), "kind" if labels else None)


def test_finds_clouds_and_says_so_by_both_measures(tmp_path, train):
    made = task(blobs(tmp_path), epochs=30)
    made.prepare(tmp_path / "prepared")
    _, metrics = train(made, {"learning_rate": 0.01, "bottleneck": 2, "batch_size": 16}, until=30)
    assert metrics[-1]["val_nmi"] == pytest.approx(1.0)
    assert metrics[-1]["val_silhouette"] > 0.8


def test_needs_no_labels_but_then_the_number_of_clusters(tmp_path, train):
    made = task(blobs(tmp_path, labels=False), SILHOUETTE)
    made.prepare(tmp_path / "prepared")
    outcome, metrics = train(made, {"clusters": 3}, until=1)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert "val_nmi" not in metrics[0]
    outcome, _ = train(made, {}, until=1)
    assert "these data have no labels to tell how many; put it into the space, as in clusters: {min: 2, max: 20}" in outcome.reason


def test_labels_are_never_trained_on(tmp_path, train):
    frame = pd.read_csv(blobs(tmp_path).place)
    first, other = task(blobs(tmp_path)), task(Source("csv", str(tmp_path / "other.csv"), "kind"))
    frame.assign(kind=RANDOM.permutation(frame["kind"])).to_csv(tmp_path / "other.csv", index=False)
    pd.read_csv(first.source.place).assign(kind=frame["kind"]).to_csv(first.source.place, index=False)
    frame.to_csv(first.source.place, index=False)
    seen = []
    for made in (first, other):
        made.prepare(tmp_path / "prepared")
        _, metrics = train(made, until=2)
        seen.append([{k: v for k, v in step.items() if k != "val_nmi"} for step in metrics])
    assert seen[0] == seen[1]


def test_clusters_are_those_of_k_means_and_the_same_each_time():
    codes = RANDOM.standard_normal((200, 3)) + np.repeat(np.eye(4, 3) * 8, 50, axis=0)
    found = find_clusters(codes, codes, 4)
    assert adjusted_rand_score(found, KMeans(4, n_init=10, random_state=1).fit_predict(codes)) == pytest.approx(1.0)
    np.testing.assert_array_equal(found, find_clusters(codes, codes, 4))


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(InputError, match="clusters: 9 are more than the 5 rows of the training split; ask for fewer"):
        find_clusters(np.eye(5), np.eye(5), 9)


def test_digits_are_prepared_with_their_classes(tmp_path):
    made = task()
    made.prepare(tmp_path)
    assert len(made.meta["classes"]) == 10
    assert prepared.load_search(made.prepared.folder).targets["train"].shape == (made.meta["rows"]["train"],)
