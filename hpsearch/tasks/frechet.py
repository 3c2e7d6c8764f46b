"""How far generated examples are from real ones: the Fréchet distance of their features.

Features are principal components, fitted on the training split alone: small images need no network that has seen millions of others.

Reference: Heusel et al., arXiv 1706.08500, equation 6; Dowson and Landau 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMPONENTS = 32
"""At most; so many are told apart by a few hundred examples, and hold most of a small image's variance."""


@dataclass(frozen=True, slots=True)
class Features:
    """An affine map from examples to features. mean: (numbers,); components: (features, numbers)."""

    mean: NDArray[np.float64]
    components: NDArray[np.float64]

    @classmethod
    def fit(cls, examples: NDArray[np.floating]) -> Features:
        """Principal components of (rows, ...)."""
        from sklearn.decomposition import PCA

        flat = examples.reshape(len(examples), -1).astype(np.float64)
        fitted = PCA(min(COMPONENTS, *flat.shape), svd_solver="full").fit(flat)
        return cls(fitted.mean_, fitted.components_)

    def __call__(self, examples: NDArray[np.floating]) -> NDArray[np.float64]:
        """(rows, ...) to (rows, features)."""
        found: NDArray[np.float64] = (examples.reshape(len(examples), -1) - self.mean) @ self.components.T
        return found


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Between the Gaussians that (rows, features) of each have: |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½)."""
    first, second = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root = _root(first)
    cross = np.linalg.eigvalsh(root @ second @ root)  # of C1 C2, which is not symmetric, the same eigenvalues
    distance = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return max(0.0, float(distance))


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
