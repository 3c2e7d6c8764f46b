import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from hpsearch.errors import InputError
from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.tasks import clustering, prepared
from hpsearch.tasks.clustering import Clustering, ClusterMeasure, find_clusters
from hpsearch.tasks.data_task import load_data
from hpsearch.tasks.splits import Shares, split_rows
from hpsearch.tasks.tables import Source
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.trial import Objective, TrialKind, TrialState

NMI = Objective("val_nmi", "maximize")
SILHOUETTE = Objective("val_silhouette", "maximize")
SHARES = Shares(0.2, 0.2, 0)


def task(source=None, objective=NMI, **given):
    return Clustering(source or Source("builtin", "digits"), SHARES, (objective,), model="autoencoder", **given)


def clouds(rows=120):
    """Three, far apart."""
    kinds = np.arange(rows) % 3
    points = np.random.default_rng(0).standard_normal((rows, 2)) * 0.1 + kinds[:, None] * 5.0
    return pd.DataFrame(points, columns=["a", "b"]).assign(kind=kinds)


def saved(frame, folder, name="clouds"):
    frame.to_csv(folder / f"{name}.csv", index=False)
    return Source("csv", str(folder / f"{name}.csv"), "kind" if "kind" in frame else None)


@pytest.mark.slow
def test_finds_clouds_and_says_so_by_both_measures(tmp_path, train):
    made = task(saved(clouds(), tmp_path), epochs=30)
    made.prepare(tmp_path / "prepared")
    _, metrics = train(made, {"learning_rate": 0.01, "bottleneck": 2, "batch_size": 16}, until=30, kind=TrialKind.RETEST)
    assert metrics[-1]["val_nmi"] == pytest.approx(1.0)
    assert metrics[-1]["val_silhouette"] > 0.8
    assert metrics[-1]["test_nmi"] == pytest.approx(1.0)
    assert set(metrics[0]) - set(DIAGNOSTIC_METRICS) == {"train_loss", "val_loss", "val_nmi", "val_silhouette"}


def measured_untrained(made, clusters, scale):
    """What is measured of an untrained network whose last layer of the encoder is multiplied by `scale`, and its codes."""
    data = load_data(made.prepared.folder, "cpu", False)
    start = torch.Generator().manual_seed(0)
    model = MODELS["autoencoder"].load()({}, Inputs("rows", (2,)), 0, lambda name, device: start).eval()
    with torch.no_grad():
        for parameter in list(model.encoder.parameters())[-2:]:
            parameter.mul_(scale)
        codes = {split: model.encode(data.inputs[split]).double().numpy() for split in ("train", "validation")}
        return ClusterMeasure(data, "validation", clusters)(model), codes, model, data


def test_measures_are_those_of_scikit_learn(tmp_path):
    made = task(saved(clouds(), tmp_path))
    made.prepare(tmp_path / "prepared")
    measured, codes, model, data = measured_untrained(made, 4, 1.0)
    found = KMeans(4, n_init=4, random_state=0).fit(codes["train"]).predict(codes["validation"])
    x = data.inputs["validation"]
    assert measured == pytest.approx(
        {
            "val_loss": float((model(x).output - x).detach().square().mean()),
            "val_nmi": normalized_mutual_info_score(data.targets["validation"], found),
            "val_silhouette": silhouette_score(codes["validation"], found),
        }
    )


def test_needs_no_labels_but_then_the_number_of_clusters(tmp_path, train):
    source = saved(clouds().drop(columns="kind"), tmp_path)
    made = task(source, SILHOUETTE)
    made.prepare(tmp_path / "prepared")
    outcome, metrics = train(made, {"clusters": 3}, until=1)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert "val_nmi" not in metrics[0]
    cure = r"these data have no labels to tell how many clusters there are; put it into the space, as in clusters: \{min: 2, max: 20\}"
    with pytest.raises(InputError, match=cure):
        task(source, SILHOUETTE, named=("bottleneck",)).prepare(tmp_path / "prepared")
    task(source, SILHOUETTE, named=("clusters",)).prepare(tmp_path / "prepared")
    with pytest.raises(InputError, match="val_nmi compares clusters with labels, and these data have none"):
        task(source, NMI, named=("clusters",)).prepare(tmp_path / "prepared")


def test_labels_are_never_trained_on(tmp_path, train):
    frame = clouds()
    muddled = frame.assign(kind=np.random.default_rng(1).permutation(frame["kind"]))
    seen = []
    for name, each in (("first", frame), ("other", muddled)):
        made = task(saved(each, tmp_path, name))
        made.prepare(tmp_path / "prepared")
        _, metrics = train(made, until=3)
        seen.append([{name: value for name, value in step.items() if name != "val_nmi"} for step in metrics])
    assert seen[0] == seen[1]


def test_test_rows_change_nothing_that_a_search_sees(tmp_path, train):
    frame, other = clouds(), clouds()
    other.loc[split_rows(120, SHARES).test, ["a", "b"]] *= -1000
    seen = []
    for name, each in (("first", frame), ("other", other)):
        made = task(saved(each, tmp_path, name))
        made.prepare(tmp_path / "prepared")
        seen.append((prepared.load_search(made.prepared.folder).inputs, train(made, until=2)[1]))
    for split in ("train", "validation"):
        np.testing.assert_array_equal(seen[0][0][split], seen[1][0][split])
    assert seen[0][1] == seen[1][1]


def test_clusters_are_those_of_k_means_and_the_same_each_time():
    codes = np.random.default_rng(0).standard_normal((200, 3)) + np.repeat(np.eye(4, 3) * 8, 50, axis=0)
    found = find_clusters(codes, codes, 4)
    assert adjusted_rand_score(found, KMeans(4, n_init=10, random_state=1).fit_predict(codes)) == pytest.approx(1.0)
    np.testing.assert_array_equal(found, find_clusters(codes, codes, 4))


def test_codes_that_are_all_the_same_are_one_cluster_and_the_worst(tmp_path):
    made = task(saved(clouds(), tmp_path))
    made.prepare(tmp_path / "prepared")
    measured, _, _, _ = measured_untrained(made, 3, 0.0)
    assert (measured["val_nmi"], measured["val_silhouette"]) == (0, -1)


def test_rows_to_compare_are_drawn_from_all_of_them(tmp_path, monkeypatch):
    """A file may be in the order of its classes; the first rows would then be of one alone."""
    monkeypatch.setattr(clustering, "MOST_ROWS", 30)
    monkeypatch.setattr(clustering, "MOST_COMPARED", 15)
    made = task(saved(clouds().sort_values("kind"), tmp_path))
    made.prepare(tmp_path / "prepared")
    measure = ClusterMeasure(load_data(made.prepared.folder, "cpu", False), "validation", 3)
    assert measure.train.shape == (30, 2)
    assert len(set(measure.train.sum(dim=1).round().tolist())) >= 3


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(InputError, match="clusters: 9 are more than the 5 rows of the training split; ask for fewer"):
        find_clusters(np.eye(5), np.eye(5), 9)


def test_digits_are_prepared_with_their_classes(tmp_path):
    made = task()
    made.prepare(tmp_path)
    assert len(made.meta["classes"]) == 10
    assert prepared.load_search(made.prepared.folder).targets["train"].shape == (made.meta["rows"]["train"],)
