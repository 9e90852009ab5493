"""Intervals for what a run reports."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Interval = tuple[float, float]

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
