"""Intervals for what a run reports: of proportions, and by bootstrap over clusters."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Interval = tuple[float, float]
Method = Literal["percentile", "bca"]
Statistic = Callable[[Array], float]
NOTHING: Interval = (float("nan"), float("nan"))

BOOTSTRAP_SEED = 20240613
BOOTSTRAP_DRAWS = 2000
_CHUNK_BYTES = 64 * 1024 * 1024


def wilson_interval(successes: float, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion (E. B. Wilson, JASA 22, 1927). A half success counts as half.

    Returns:
        ``(low, high)`` in [0, 1]; NaN for both without a trial.
    """
    if trials == 0:
        return float("nan"), float("nan")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = successes / trials
    denominator = 1.0 + z * z / trials
    centre = (share + z * z / (2.0 * trials)) / denominator
    half = z / denominator * float(np.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials)))
    # At 0 and n successes the bound is exactly 0 or 1; rounding must not push it inside the observed share.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)


wilson = wilson_interval


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion, which covers it at least that often (Clopper and Pearson, Biometrika 26, 1934).

    Wider than Wilson's, whose coverage is right on average only. Like his it takes the trials to be independent.

    Args:
        successes: whole number, 0 to ``trials``.

    Returns:
        ``(low, high)`` in [0, 1]; NaN for both without a trial.
    """
    if trials == 0:
        return NOTHING
    from scipy import special

    tail = (1.0 - confidence) / 2.0
    failures = trials - successes
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, failures + 1, tail))
    high = 1.0 if failures == 0 else float(special.betaincinv(successes + 1, failures, 1.0 - tail))
    return low, high


def cluster_bootstrap_interval(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    confidence: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
) -> Interval:
    """Percentile bootstrap of a ratio of sums, resampling whole clusters (Efron and Tibshirani, 1993, chapters 13, 8).

    Pairs of one image share its difficulty, so images are drawn, not pairs. With all denominators 1 this is the
    bootstrap of a mean over images.

    Args:
        numerators: ``[C]``, correct pairs of each image (or the metric of each image).
        denominators: ``[C]``, pairs of each image (or ones).

    Returns:
        ``(low, high)``; NaN for both with fewer than two clusters, where nothing can be said.
    """
    top = np.asarray(numerators, dtype=np.float64)
    bottom = np.asarray(denominators, dtype=np.float64)
    [interval] = cluster_bootstrap_intervals(top[:, None], bottom[:, None], confidence, draws, seed)
    return interval


def cluster_bootstrap_intervals(
    numerators: npt.NDArray[np.float64],
    denominators: npt.NDArray[np.float64],
    confidence: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
) -> list[Interval]:
    """:func:`cluster_bootstrap_interval` of several metrics at once, which draw the same clusters.

    Args:
        numerators: ``[C, M]``.
        denominators: ``[C, M]``, or ``[C, 1]`` where all metrics have the same.

    Returns:
        An interval for each metric.
    """
    clusters, metrics = numerators.shape
    if clusters < 2:
        return [(float("nan"), float("nan"))] * metrics
    generator = np.random.default_rng(seed)
    estimates = np.empty((draws, metrics))
    means = bool((denominators == 1.0).all())
    step = max(1, _CHUNK_BYTES // (8 * clusters * metrics))
    for start in range(0, draws, step):
        chosen = generator.integers(0, clusters, size=(min(step, draws - start), clusters))
        weights = float(clusters) if means else denominators[chosen].sum(axis=1)
        estimates[start : start + len(chosen)] = numerators[chosen].sum(axis=1) / weights
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(estimates, [tail, 1.0 - tail], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def cluster_sums(columns: npt.ArrayLike, clusters: npt.ArrayLike | None) -> Array:
    """``[N, K]`` values summed over the members of each cluster: ``[C, K]``, in the order of the sorted labels.

    Args:
        clusters: ``[N]`` labels; None: every row is a cluster of its own, in the order given.
    """
    values = np.asarray(columns, dtype=np.float64)
    if clusters is None:
        return values
    labels, member_of = np.unique(np.asarray(clusters), return_inverse=True)
    if len(member_of) != len(values):
        raise ValueError(f"{len(values)} values and {len(member_of)} labels of clusters")
    return np.stack([np.bincount(member_of, column, minlength=len(labels)) for column in values.T], axis=1)


def resampled_sums(sums: Array, draws: int, seed: int) -> Array:
    """Sums over clusters that are drawn with replacement.

    Args:
        sums: ``[C, K]``, what each cluster adds.

    Returns:
        ``[draws, K]``.
    """
    clusters, columns = sums.shape
    generator = np.random.default_rng(seed)
    totals = np.empty((draws, columns))
    step = max(1, _CHUNK_BYTES // (16 * clusters))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        chosen = generator.integers(0, clusters, size=(rows, clusters))
        chosen += clusters * np.arange(rows)[:, None]
        times = np.bincount(chosen.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        totals[start : start + rows] = times @ sums
    return totals


def bootstrap_ci(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    statistic: Statistic | None = None,
    method: Method = "percentile",
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
) -> Interval:
    """Bootstrap interval of any statistic, resampling whole clusters (images, scenes).

    Args:
        values: ``[N]`` or ``[N, ...]``.
        clusters: ``[N]`` labels; None: every value is a cluster of its own.
        statistic: of the values of the drawn clusters, one after the other; None: their mean, which is much faster.
        method: ``percentile`` or ``bca``, which corrects for bias and skewness (Efron, JASA 82, 1987; Efron and
            Tibshirani, 1993, section 14.3).

    Returns:
        ``(low, high)``; NaN for both with fewer than two clusters.
    """
    rows = np.asarray(values, dtype=np.float64)
    if statistic is None:
        sums = cluster_sums(np.column_stack([rows, np.ones(len(rows))]), clusters)
        return ratio_ci(sums[:, 0], sums[:, 1], method, level, draws, seed)
    labels = np.arange(len(rows)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(labels))[:-1]) if len(rows) else []
    if len(members) < 2:
        return NOTHING
    generator = np.random.default_rng(seed)
    estimates = np.array(
        [
            statistic(rows[np.concatenate([members[c] for c in generator.integers(0, len(members), len(members))])])
            for _ in range(draws)
        ]
    )
    if method == "percentile":
        return _quantiles(estimates, (1.0 - level) / 2.0, (1.0 + level) / 2.0)
    without = np.array([statistic(rows[labels != cluster]) for cluster in range(len(members))])
    return _bca(estimates, statistic(rows), without, level)


def ratio_ci(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    method: Method = "percentile",
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = BOOTSTRAP_SEED,
) -> Interval:
    """Bootstrap interval of ``sum(numerators) / sum(denominators)`` over ``[C]`` clusters, by either method."""
    sums = np.stack([np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)], axis=1)
    if len(sums) < 2:
        return NOTHING
    if method == "percentile":
        return cluster_bootstrap_interval(sums[:, 0], sums[:, 1], level, draws, seed)
    drawn, total = resampled_sums(sums, draws, seed), sums.sum(axis=0)
    without = total - sums
    return _bca(drawn[:, 0] / drawn[:, 1], total[0] / total[1], without[:, 0] / without[:, 1], level)


def _bca(estimates: Array, estimate: float, without: Array, level: float) -> Interval:
    """Bias-corrected and accelerated interval.

    Args:
        estimates: ``[draws]``, of resampled data.
        estimate: of the data.
        without: ``[C]``, of the data without one cluster.
    """
    if estimates.min() == estimates.max():
        return float(estimates[0]), float(estimates[0])
    draws = len(estimates)
    below = float((estimates < estimate).sum() + 0.5 * (estimates == estimate).sum()) / draws
    # An estimate outside all draws has no finite correction; it counts as the outermost of one draw more.
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(below, 1.0 / (draws + 1)), draws / (draws + 1)))
    spread = without.mean() - without
    size = float((spread**2).sum())
    acceleration = float((spread**3).sum()) / (6.0 * size**1.5) if size > 0 else 0.0
    ends = [bias + normal.inv_cdf(share) for share in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)]
    low, high = (normal.cdf(bias + end / (1.0 - acceleration * end)) for end in ends)
    return _quantiles(estimates, low, high)


def _quantiles(estimates: Array, low: float, high: float) -> Interval:
    first, last = np.quantile(estimates, [low, high])
    return float(first), float(last)
