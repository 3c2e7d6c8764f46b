"""How sure a comparison is that rests on a few trainings: intervals that hold with three values a group, and for the best of several.

No interval that draws again from three values can hold: all of it lies between the least and the greatest of them, and so does their true
median in only three cases of four. So this is a parametric bootstrap of studentised differences: groups are drawn from normal distributions
with the variances that were seen, which may differ from group to group, and the greatest of all differences, each over its own estimated
error, says how wide all intervals must be to hold together. Then any of them may be picked afterwards.

Reference: Krishnamoorthy, Lu & Mathew, "A parametric bootstrap approach for ANOVA with unequal variances", CSDA 51 (2007) 5731-5742;
Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), §12.5, on studentising; Westfall & Young, "Resampling-Based Multiple
Testing" (1993), §2.3, on the greatest of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

LEVEL = 0.95
DRAWS = 10_000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


def intervals(groups: Sequence[Sequence[float]], contrasts: Sequence[Sequence[float]], draws: int = DRAWS) -> list[Interval]:
    """An interval for each contrast, so wide that with probability `LEVEL` all of them hold.

    Args:
        groups: the values of each: two or more, as nobody can tell from one.
        contrasts: (contrasts, groups): the weight of each group's mean; (1, 0, -1) is the first group's above the third's.
        draws: of the bootstrap; the same ones each time.
    """
    import numpy as np

    counts = np.array([len(group) for group in groups])
    assert counts.min() > 1, groups
    means = np.array([np.mean(group) for group in groups])
    errors = np.array([np.var(group, ddof=1) for group in groups]) / counts
    weights = np.array(contrasts, dtype=float)
    centres, widths = weights @ means, np.sqrt(weights**2 @ errors)
    widths *= _quantile(errors, weights, tuple(counts.tolist()), draws)
    return [Interval(float(c - w), float(c + w)) for c, w in zip(centres, widths, strict=True)]


def _quantile(errors: Floats, weights: Floats, counts: tuple[int, ...], draws: int) -> float:
    """What the greatest |difference| / estimated error stays below in `LEVEL` of all draws, were all differences 0.

    Args:
        errors: (groups,): squared standard errors.
        weights: (contrasts, groups).
    """
    import numpy as np

    deviations, ratios = _standard_draws(counts, draws)
    differences = np.abs((deviations * np.sqrt(errors)) @ weights.T)
    estimated = np.sqrt((ratios * errors) @ (weights**2).T)
    varies = estimated > 0
    studentised = np.divide(differences, estimated, out=np.zeros_like(differences), where=varies)
    return float(np.quantile(studentised.max(axis=1), LEVEL))


@lru_cache(maxsize=8)
def _standard_draws(counts: tuple[int, ...], draws: int) -> tuple[Floats, Floats]:
    """Means of standard normal groups over their standard error, and their estimated over their true variance: (draws, groups) each."""
    import numpy as np

    generator = np.random.default_rng(_SEED)
    freedom = np.array(counts) - 1
    shape = (draws, len(counts))
    return generator.standard_normal(shape), generator.chisquare(freedom, shape) / freedom
