import io

import numpy as np
import pytest
import scipy.linalg
from PIL import Image

from hpsearch.errors import DataError
from hpsearch.tasks import prepared
from hpsearch.tasks.frechet import Features, frechet_distance
from hpsearch.tasks.generation import Generation
from hpsearch.tasks.picture import grid_png
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.trial import Objective, TrialState

RANDOM = np.random.default_rng(0)
DISTANCE = Objective("val_frechet_distance", "minimize")


def task(source=None, **given):
    return Generation(source or Source("builtin", "digits"), Shares(0.2, 0.2, 0), (DISTANCE,), model="gan", **given)


def test_the_distance_is_that_of_its_formula_with_scipys_root():
    a, b = RANDOM.standard_normal((200, 5)) @ RANDOM.standard_normal((5, 5)), RANDOM.standard_normal((150, 5)) + 1
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)


def test_of_independent_numbers_it_is_that_of_their_means_and_deviations():
    """(m1 - m2)² + (s1 - s2)² for each; of 200,000 draws, a mean is within 0.01 and a deviation within 0.01 (4 sigma)."""
    a = RANDOM.standard_normal((200_000, 2)) * [1.0, 2.0] + [0.0, 1.0]
    b = RANDOM.standard_normal((200_000, 2)) * [1.5, 1.0] + [2.0, 1.0]
    assert frechet_distance(a, b) == pytest.approx(4 + 0.25 + 1, rel=0.02)


def test_features_are_uncorrelated_and_hold_what_varies():
    examples = RANDOM.standard_normal((300, 1, 3, 3)) * np.arange(1, 10).reshape(1, 1, 3, 3)
    found = Features.fit(examples)(examples)
    covariance = np.cov(found, rowvar=False)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-8)
    assert np.trace(covariance) == pytest.approx(np.trace(np.cov(examples.reshape(300, -1), rowvar=False)))


def test_images_are_in_the_generators_range_and_noise_is_far_from_them(tmp_path):
    made = task()
    made.prepare(tmp_path)
    inputs = prepared.load_search(made.prepared.folder).inputs["train"]
    assert (inputs.min(), inputs.max()) == (-1, 1)
    assert made.meta["noise_distance"] > 10


def test_learns_and_leaves_a_picture_of_what_it_makes_last(tmp_path, train):
    made = task(epochs=8)
    made.prepare(tmp_path / "prepared")
    params = {"learning_rate": 0.001, "optimizer": "adam", "beta1": 0.5, "batch_size": 32, "normalization": "batch"}
    outcome, metrics = train(made, params, until=8)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert metrics[-1]["val_frechet_distance"] < metrics[0]["val_frechet_distance"]
    assert metrics[0]["val_frechet_ratio"] == pytest.approx(metrics[0]["val_frechet_distance"] / made.meta["noise_distance"])
    (picture,) = tmp_path.rglob("samples.png")
    with Image.open(picture) as opened:
        assert opened.size == ((8 * 9 - 1) * 5, (8 * 9 - 1) * 5)


def test_rows_are_made_too(tmp_path, train):
    made = task(Source("builtin", "iris"), epochs=2)
    made.prepare(tmp_path)
    outcome, _ = train(made, {}, until=2)
    assert outcome.state is TrialState.COMPLETED, outcome.reason


def test_sequences_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=RANDOM.standard_normal((40, 5, 2)))
    with pytest.raises(DataError, match="generation makes rows and images, and an example of these data is a sequence"):
        task(Source("npz", str(tmp_path / "a.npz"))).prepare(tmp_path)


def test_a_grid_shows_each_image_at_its_place():
    images = np.zeros((5, 3, 2, 2))
    images[4, 1] = 1.0
    picture = np.asarray(Image.open(io.BytesIO(grid_png(images))))
    factor = picture.shape[1] // 8
    small = picture[::factor, ::factor]
    assert small.shape == (5, 8, 3)
    assert small[3, 3].tolist() == [0, 255, 0]
    assert small[2, 0].tolist() == [127, 127, 127] or small[2, 0].tolist() == [128, 128, 128]
