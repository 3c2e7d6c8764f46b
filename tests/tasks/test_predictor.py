"""The file of a trained network: whole, exact, and read by nothing that could run what is in it."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import torch

from hpsearch.errors import InputError
from hpsearch.models.inputs import Inputs
from hpsearch.tasks.answers import Classes, Clusters, Numbers
from hpsearch.tasks.forms import Array
from hpsearch.tasks.predictor import Example, Network, Predictor
from hpsearch.tasks.splits import Scale

INPUTS = Inputs("rows", (3,))
FORM = Array(INPUTS, Scale(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 0.5])))


def linear(outputs: int) -> tuple[Network, dict[str, np.ndarray]]:
    """A perceptron without a hidden layer: what it says can be computed by hand."""
    chance = np.random.default_rng(1)
    weights = {"linear.0.weight": chance.normal(size=(outputs, 3)), "linear.0.bias": chance.normal(size=outputs)}
    network = Network("mlp", {"num_layers": 0, "dropout": 0.5}, INPUTS, outputs, "fp32")
    return network, {name: value.astype(np.float32) for name, value in weights.items()}


def predictor(answer, outputs):
    network, weights = linear(outputs)
    given = np.random.default_rng(2).normal(size=(5, 3))
    said = Example(given, np.zeros((1, 1)))
    return Predictor(network, network.build(weights), FORM, answer, said), weights, given


@pytest.fixture
def loaded(tmp_path):
    """(predictor) -> the same from its file."""

    def load(made):
        path = tmp_path / "network.npz"
        path.write_bytes(made.to_bytes())
        return Predictor.load(path)

    return load


def test_numbers_are_in_their_own_units(loaded):
    made, weights, given = predictor(Numbers(10.0, 4.0), 1)
    encoded = (given - FORM.scale.mean) / FORM.scale.deviation
    expected = (encoded @ weights["linear.0.weight"].T + weights["linear.0.bias"])[:, 0] * 4.0 + 10.0
    np.testing.assert_allclose(loaded(made).predict(given)["prediction"], expected, rtol=1e-5)


def test_classes_have_their_names_and_probabilities(loaded):
    made, weights, given = predictor(Classes(("no", 7, True)), 3)
    encoded = (given - FORM.scale.mean) / FORM.scale.deviation
    logits = encoded @ weights["linear.0.weight"].T + weights["linear.0.bias"]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    said = loaded(made).predict(given)
    np.testing.assert_allclose(said.iloc[:, 1:], expected, rtol=1e-4)
    assert said["prediction"].tolist() == [("no", 7, True)[index] for index in expected.argmax(1)]
    assert list(said.columns) == ["prediction", "probability of no", "probability of 7", "probability of True"]


def test_more_than_go_through_at_once_are_all_there(loaded):
    made, _, given = predictor(Numbers(0.0, 1.0), 1)
    many = np.tile(given, (500, 1))
    said = loaded(made).predict(many)["prediction"].to_numpy()
    assert said.shape == (2500,)
    np.testing.assert_allclose(said[-5:], said[:5], rtol=1e-5)


def test_the_weights_are_exact_and_the_global_generator_is_left_alone(loaded):
    made, weights, _ = predictor(Numbers(0.0, 1.0), 1)
    before = torch.get_rng_state()
    state = loaded(made).module.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert {name: tensor.tolist() for name, tensor in state.items()} == {name: array.tolist() for name, array in weights.items()}


@pytest.mark.slow  # imports scikit-learn
def test_clusters_are_the_nearest_centers():
    from sklearn.cluster import KMeans

    codes = np.random.default_rng(3).normal(size=(300, 4))
    fitted = KMeans(5, n_init=2, random_state=0).fit(codes)
    assert Clusters.from_json(Clusters(fitted.cluster_centers_).to_json()).nearest(codes).tolist() == fitted.predict(codes).tolist()


def test_another_format_is_refused(tmp_path):
    made, _, _ = predictor(Numbers(0.0, 1.0), 1)
    with np.load(io.BytesIO(made.to_bytes())) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["description"] = np.array(json.dumps(json.loads(str(arrays["description"])) | {"format": 2}))
    np.savez(tmp_path / "later.npz", **arrays)
    with pytest.raises(InputError, match="has format 2, this hpsearch reads 1; use the version that wrote it"):
        Predictor.load(tmp_path / "later.npz")


def test_nothing_in_it_is_unpickled(tmp_path):
    made, _, _ = predictor(Numbers(0.0, 1.0), 1)
    path = tmp_path / "network.npz"
    path.write_bytes(made.to_bytes())
    with zipfile.ZipFile(path) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    np.savez(path, description=np.array([{"format": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Predictor.load(path)
