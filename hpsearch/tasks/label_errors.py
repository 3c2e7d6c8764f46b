"""Labels that are probably wrong: those that a plain classifier, which has not seen them, contradicts with confidence.

Reference: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", arXiv 1911.00068: equation 1 (the
confident joint) and section 3.2 (what is off its diagonal); ordered by margin.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.tasks.categories import OneHot
from hpsearch.tasks.splits import Scale
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json

MOST_ROWS = 10_000
"""So many rows, drawn at random, are looked at: with ten classes that takes some 20 s of one core."""

MOST_PIXELS = 32
"""Images are made smaller, to at most so many pixels in height and width."""

FOLDS = 5

LANDMARKS = 300
"""Of the kernel's approximation: enough for rows that bend around each other, too few to learn single rows by heart."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row, numbered from 0, whose label is probably not the `given` but the `likely` one, which has this probability."""

    row: int
    given: Json
    likely: Json
    probability: float


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """The most suspicious first. `checked` of all `rows` were looked at; `places`: how each suspect's row is found."""

    suspects: Sequence[Suspect]
    checked: int
    rows: int
    places: Sequence[str]


def check_labels(table: Table, classes: Sequence[Json], labels: NDArray[np.int64], seed: int = 0) -> LabelCheck:
    """Compare each label with what is said of its row by a classifier of the other rows.

    Args:
        labels: (rows,) indices into `classes`.
        seed: of the folds, and of the rows that are drawn where there are more than MOST_ROWS.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MOST_ROWS])
    there, given = np.unique(labels[rows], return_inverse=True)
    probabilities = out_of_fold(_plain(table, rows), given, seed)
    likely = confidently_other(probabilities, given)
    odd = np.flatnonzero(likely != given)
    margins = probabilities[odd, likely[odd]] - probabilities[odd, given[odd]]
    suspects = [
        Suspect(int(rows[i]), classes[there[given[i]]], classes[there[likely[i]]], float(probabilities[i, likely[i]]))
        for i in odd[np.argsort(-margins, kind="stable")]
    ]
    return LabelCheck(suspects, len(rows), len(labels), [table.place(suspect.row) for suspect in suspects])


def confidently_other(probabilities: NDArray[np.float64], given: NDArray[np.intp]) -> NDArray[np.intp]:
    """(rows,): the class that each row is confidently counted to; the given one where it is counted to none, or none is likelier.

    Args:
        probabilities: (rows, classes), of rows that the classifier has not seen.
        given: (rows,) of classes, each there.
    """
    rows = np.arange(len(given))
    own = np.bincount(given, probabilities[rows, given]) / np.bincount(given)  # how sure it is of a class where it is given
    confident = np.where(probabilities >= own, probabilities, -1.0)
    likely = confident.argmax(axis=1)
    is_other = (confident[rows, likely] >= 0) & (probabilities[rows, likely] > probabilities[rows, given])
    chosen: NDArray[np.intp] = np.where(is_other, likely, given)
    return chosen


def out_of_fold(inputs: NDArray[np.float32], given: NDArray[np.intp], seed: int) -> NDArray[np.float64]:
    """(rows, classes): what a classifier that was fitted on the other folds says of each row.

    Args:
        inputs: (rows, columns), standardised.
        given: (rows,) of classes from 0, each there.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(given)
    folds = StratifiedKFold(min(FOLDS, int(counts.max())), shuffle=True, random_state=seed)
    probabilities = np.zeros((len(given), len(counts)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is good enough to doubt a label
        warnings.filterwarnings("ignore", "The least populated class")  # some folds are without it
        for others, fold in folds.split(inputs, given):
            classes = np.unique(given[others])
            fitted = _classifier(inputs[others], classes, seed).fit(inputs[others], given[others])
            probabilities[np.ix_(fold, classes)] = fitted.predict_proba(inputs[fold])
    return probabilities


def _classifier(inputs: NDArray[np.float32], classes: NDArray[np.intp], seed: int) -> Any:
    """Logistic regression on an approximate Gaussian kernel, as wide as half the squared distance of standardised rows."""
    from sklearn.dummy import DummyClassifier
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len(classes) == 1:  # of the other there was one row, and this fold has it
        return DummyClassifier()
    landmarks = min(LANDMARKS, len(inputs))
    kernel = Nystroem(gamma=0.5 / inputs.shape[1], n_components=landmarks, random_state=seed)
    return make_pipeline(kernel, LogisticRegression(max_iter=200))


def _plain(table: Table, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """(rows, columns): what training makes of the inputs, flattened."""
    inputs = _smaller(table.inputs[rows]) if table.kind == "image" else table.inputs[rows]
    blocks = [Scale.fit(inputs, table.kind).apply(inputs).reshape(len(rows), -1)]
    blocks += [OneHot.fit(values[rows]).apply(values[rows]) for values in table.categorical.values()]
    return np.concatenate(blocks, axis=1)


def _smaller(images: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """(rows, channels, height, width), each block of pixels as its mean; what is left over at the edges falls off."""
    for axis in (2, 3):
        block = -(-images.shape[axis] // MOST_PIXELS)
        kept = np.moveaxis(images, axis, -1)[..., : images.shape[axis] // block * block]
        images = np.moveaxis(kept.reshape(*kept.shape[:-1], -1, block).mean(axis=-1), -1, axis)
    return images
