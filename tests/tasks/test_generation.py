import io

import numpy as np
import pytest
import scipy.linalg
from channel import Channel
from PIL import Image

from hpsearch.errors import DataError
from hpsearch.tasks import prepared
from hpsearch.tasks.frechet import Features, frechet_distance
from hpsearch.tasks.generation import Generation, noise
from hpsearch.tasks.picture import grid_png
from hpsearch.tasks.splits import Shares, split_rows
from hpsearch.tasks.tables import Source
from hpsearch.training import run_assignment
from hpsearch.trial import Assignment, Objective, Pause, TrialKind, TrialState

RANDOM = np.random.default_rng(0)
DISTANCE = Objective("val_frechet_distance", "minimize")


SHARES = Shares(0.2, 0.2, 0)
SMALL = {"generator_units": 16, "discriminator_units": 16, "generator_layers": 1, "discriminator_layers": 1, "batch_size": 128}


def task(source=None, **given):
    return Generation(source or Source("builtin", "digits"), SHARES, (DISTANCE,), model="gan", **given)


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
    inputs = prepared.load_search(made.prepared.folder).inputs
    assert (inputs["train"].min(), inputs["train"].max()) == (-1, 1)
    features = Features.fit(inputs["train"])
    floor = frechet_distance(features(inputs["validation"]), features(inputs["train"]))
    assert made.meta["noise_distance"] > 10 * floor


def test_noise_has_each_numbers_distribution_and_not_what_they_have_in_common():
    """Of 1,000 draws a mean is within 4 / sqrt(1000) deviations and a correlation of nothing within 0.13 (4 sigma)."""
    first = RANDOM.standard_normal(5000)
    train = np.stack([first, 3 * first + 7], axis=1)
    drawn = noise(train)
    np.testing.assert_allclose(drawn.mean(0), train.mean(0), atol=4 * 3 / 1000**0.5)
    np.testing.assert_allclose(drawn.std(0), train.std(0), rtol=0.1)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.13
    assert set(drawn[:, 1]) <= set(train[:, 1])


@pytest.mark.slow
def test_learns_and_leaves_a_picture_of_what_it_makes_last(tmp_path, train):
    made = task(epochs=8)
    made.prepare(tmp_path / "prepared")
    params = {"learning_rate": 0.001, "optimizer": "adam", "beta1": 0.5, "batch_size": 32, "normalization": "batch"}
    outcome, metrics = train(made, params, until=8)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert metrics[-1]["val_frechet_distance"] < metrics[0]["val_frechet_distance"]
    assert metrics[0]["val_frechet_ratio"] == pytest.approx(metrics[0]["val_frechet_distance"] / made.meta["noise_distance"])
    (picture,) = tmp_path.rglob("samples.png")
    with Image.open(picture) as image:
        assert image.size == ((8 * 9 - 1) * 5, (8 * 9 - 1) * 5)


def test_the_picture_is_there_when_patience_ends_the_training(tmp_path, train):
    made = task(epochs=30, patience=1)
    made.prepare(tmp_path / "prepared")
    outcome, metrics = train(made, {**SMALL, "learning_rate": 1e-30}, until=30)
    assert len(metrics) < 30, outcome.reason
    assert len(list(tmp_path.rglob("samples.png"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_interrupted_anywhere_it_is_the_same_training_bit_for_bit(tmp_path, average):
    made = task(epochs=4)
    made.prepare(tmp_path / "prepared")
    params = {
        **SMALL,
        "normalization": "batch",
        "spectral_normalization": True,
        "dropout": 0.2,
        "schedule": "cosine",
        "generator_average": average,
    }

    def run(name, answers=None, checkpoint=None):
        channel = Channel(answers)
        outcome = run_assignment(made, Assignment(0, 1, TrialKind.SEARCH, params, 3, 4, checkpoint), channel, tmp_path / name)
        return outcome, channel.metrics

    _, whole = run("whole")
    pictures = []
    for cut in range(1, 4):
        paused, before = run(f"cut{cut}", {cut: Pause()})
        _, after = run(f"cut{cut}", checkpoint=paused.checkpoint)
        assert before + after == whole
        pictures += [path.read_bytes() for path in (tmp_path / f"cut{cut}").rglob("samples.png")]
    assert pictures == [path.read_bytes() for path in (tmp_path / "whole").rglob("samples.png")] * 3


def test_the_picture_is_of_the_generator_that_is_measured(tmp_path, train):
    made = task(epochs=2)
    made.prepare(tmp_path / "prepared")
    pictures, distances = [], []
    for average in (0.0, 0.9):
        _, metrics = train(made, {**SMALL, "normalization": "batch", "generator_average": average}, until=2)
        distances.append(metrics[-1]["val_frechet_distance"])
        (picture,) = tmp_path.rglob("samples.png")
        pictures.append(picture.read_bytes())
        picture.unlink()
    assert pictures[0] != pictures[1]
    assert distances[0] != distances[1]


def test_a_re_test_is_measured_on_the_test_split_after_its_last_step(tmp_path, train):
    made = task()
    made.prepare(tmp_path)
    _, searched = train(made, SMALL, until=2)
    _, tested = train(made, SMALL, until=2, kind=TrialKind.RETEST)
    assert tested[0] == searched[0]
    assert set(tested[1]) - set(searched[1]) == {"test_frechet_distance", "test_frechet_ratio"}
    assert tested[1]["test_frechet_distance"] != tested[1]["val_frechet_distance"]


def test_test_rows_change_nothing_that_a_search_sees(tmp_path):
    x = RANDOM.standard_normal((60, 4))
    other = x.copy()
    other[split_rows(60, SHARES).test] *= 1000
    seen = []
    for name, each in (("a", x), ("b", other)):
        np.savez(tmp_path / f"{name}.npz", x=each)
        made = task(Source("npz", str(tmp_path / f"{name}.npz")))
        made.prepare(tmp_path / "prepared")
        seen.append((prepared.load_search(made.prepared.folder).inputs, made.meta["noise_distance"]))
    for split in ("train", "validation"):
        np.testing.assert_array_equal(seen[0][0][split], seen[1][0][split])
    assert seen[0][1] == seen[1][1]


def test_a_generator_of_nan_diverges(tmp_path, train):
    made = task(epochs=3)
    made.prepare(tmp_path)
    outcome, _ = train(made, {**SMALL, "optimizer": "sgd", "learning_rate": 1e30}, until=3)
    assert outcome.state is TrialState.DIVERGED, outcome.reason


def test_rows_are_made_too(tmp_path, train):
    made = task(Source("builtin", "iris"), epochs=2)
    made.prepare(tmp_path)
    outcome, _ = train(made, {}, until=2)
    assert outcome.state is TrialState.COMPLETED, outcome.reason


def test_sequences_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=RANDOM.standard_normal((40, 5, 2)))
    with pytest.raises(DataError, match="generation makes rows and images, and an example of these data is a sequence"):
        task(Source("npz", str(tmp_path / "a.npz"))).prepare(tmp_path)


def test_examples_that_are_all_the_same_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((40, 5)))
    with pytest.raises(DataError, match="all 24 examples of the training split are the same"):
        task(Source("npz", str(tmp_path / "a.npz"))).prepare(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "reach"), [(RANDOM.random((40, 1, 6, 6)) * 2, "from 0"), (RANDOM.random((40, 1, 6, 6)) - 0.5, "from -0")]
)
def test_pixels_that_no_generator_can_give_are_refused(tmp_path, pixels, reach):
    np.savez(tmp_path / "images.npz", x=pixels)
    with pytest.raises(DataError, match=rf"pixels must lie in \[0, 1\] to be generated, and reach {reach}\.\d+ to"):
        task(Source("npz", str(tmp_path / "images.npz"))).prepare(tmp_path / "prepared")


def test_a_grid_shows_each_image_at_its_place():
    images = np.zeros((5, 3, 2, 2))
    images[4, 1] = 1.0
    with Image.open(io.BytesIO(grid_png(images))) as image:
        picture = np.asarray(image)
    factor = picture.shape[1] // 8
    small = picture[::factor, ::factor]
    assert small.shape == (5, 8, 3)
    assert small[3, 3].tolist() == [0, 255, 0]
    assert small[2, 0].tolist() == [128, 128, 128]
