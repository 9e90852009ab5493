"""Two models on the same samples: is the difference more than chance?

Paired tests remove what both models share, the difficulty of the samples. Pairs or pixels of one image share more than
that, so images (or scenes) are what is drawn or swapped, never single pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from dabench.scoring.intervals import (
    BOOTSTRAP_DRAWS,
    BOOTSTRAP_SEED,
    Array,
    Interval,
    Method,
    cluster_sums,
    ratio_ci,
)

PERMUTATIONS = 10_000
POWER = 0.8
_CHUNK_BYTES = 64 * 1024 * 1024


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test (McNemar, Psychometrika 12, 1947), a binomial test of the discordant pairs.

    It takes pairs to be independent; where several come from one image, see :func:`paired_permutation`.

    Args:
        only_first, only_second: pairs that only the first or only the second model gets right.
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    from scipy import special

    return min(1.0, 2.0 * float(special.bdtr(min(only_first, only_second), discordant, 0.5)))


def difference_sums(
    first: npt.ArrayLike, second: npt.ArrayLike, clusters: npt.ArrayLike | None, weights: npt.ArrayLike | None
) -> tuple[Array, Array]:
    """``second - first`` and the weights, each summed over clusters: ``[C]`` and ``[C]``.

    Args:
        first, second: ``[N]`` values of the same samples.
        clusters: ``[N]`` labels; None: every sample is a cluster of its own.
        weights: ``[N]``; None: all ones.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired values have the shapes {a.shape} and {b.shape}")
    w = np.ones(len(a)) if weights is None else np.asarray(weights, dtype=np.float64)
    sums = cluster_sums(np.stack([w * (b - a), w], axis=1), clusters)
    return sums[:, 0], sums[:, 1]


def paired_bootstrap(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    *,
    method: Method = "percentile",
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
) -> Interval:
    """Interval of the (weighted) mean of ``second - first``; both models are scored on the same drawn clusters.

    Arguments as in :func:`difference_sums`. NaN for both ends with fewer than two clusters.
    """
    differences, sizes = difference_sums(first, second, clusters, weights)
    return ratio_ci(differences, sizes, method, level, draws, seed)


def paired_permutation(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    *,
    draws: int = PERMUTATIONS,
    seed: int = BOOTSTRAP_SEED,
) -> float:
    """Two-sided p of the (weighted) mean difference, when within each cluster the models may swap names.

    Every combination of swaps is tried where there are at most ``draws`` of them, which makes p exact; else ``draws``
    random ones, and the data itself counts as one more, which keeps p valid (Phipson and Smyth, SAGMB 9, 2010).
    Arguments as in :func:`difference_sums`.
    """
    sums, _ = difference_sums(first, second, clusters, weights)
    sums = sums[sums != 0.0]  # a swap changes nothing there
    if not len(sums):
        return 1.0
    observed = abs(float(sums.sum())) - 1e-12 * float(np.abs(sums).sum())  # equal sums in another order are equal
    if len(sums) <= 60 and 2 ** len(sums) <= draws:
        patterns = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float((np.abs((2.0 * patterns - 1.0) @ sums) >= observed).mean())
    generator = np.random.default_rng(seed)
    as_extreme = 1
    step = max(1, _CHUNK_BYTES // (9 * len(sums)))
    for start in range(0, draws, step):
        swapped = generator.integers(0, 2, size=(min(step, draws - start), len(sums)), dtype=np.int8)
        as_extreme += int((np.abs(sums.sum() - 2.0 * (swapped @ sums)) >= observed).sum())
    return as_extreme / (draws + 1)


def holm(pvalues: Sequence[float]) -> list[float]:
    """p values of several comparisons, adjusted so that one false alarm among all is as rare as it was for each.

    Holm's step-down method (Holm, Scandinavian Journal of Statistics 6, 1979). The order is kept; NaN stays NaN and
    does not count as a comparison.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]  # NaN sorts last
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return [float(value) for value in adjusted]


def standard_error(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> float:
    """Standard error of ``sum(numerators) / sum(denominators)`` over ``[C]`` independent clusters, by linearisation.

    Cochran, Sampling Techniques, 3rd ed. 1977, section 6.4 (without the finite population). With equal denominators it
    is the standard error of a mean. NaN with fewer than two clusters.
    """
    top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    count, total = len(top), float(bottom.sum())
    if count < 2 or total == 0:
        return float("nan")
    residuals = top - float(top.sum()) / total * bottom
    return float(np.sqrt(count / (count - 1) * (residuals**2).sum())) / total


def minimum_detectable_difference(standard_error: float, level: float = 0.95, power: float = POWER) -> float:
    """The true difference that a two-sided test at ``1 - level`` finds with probability ``power``.

    Args:
        standard_error: of the difference, in its unit; see :func:`standard_error`. It shrinks with the square root of
            the number of clusters.
    """
    normal = NormalDist()
    return (normal.inv_cdf((1.0 + level) / 2.0) + normal.inv_cdf(power)) * standard_error
