"""A figure with its interval and its count, as the dashboard shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.scoring.intervals import NOTHING, cluster_sums, resampled_sums
from dabench.scoring.statistics import Interval, clopper_pearson, wilson_interval

Estimate = dict[str, Any]
"""``{"value", "low", "high", "n"}``; the three figures are NaN where nothing can be said."""


def estimate(value: float, interval: Interval, n: int) -> Estimate:
    return {"value": float(value), "low": float(interval[0]), "high": float(interval[1]), "n": int(n)}


def share(hits: int, n: int, level: float, *, exact: bool = False) -> Estimate:
    """``hits`` of ``n`` independent trials, with Wilson's interval, or the exact one for small counts that matter."""
    interval = clopper_pearson(hits, n, level) if exact else wilson_interval(hits, n, level)
    return estimate(hits / n if n else math.nan, interval, n)


def clustered_shares(
    hits: npt.NDArray[np.float64], clusters: Sequence[str], level: float, draws: int, seed: int
) -> list[Estimate]:
    """Share of hits in each column, with a percentile bootstrap that draws whole clusters (here images).

    Args:
        hits: ``[N, M]``, 1 or 0, NaN where the column has nothing to say about the row.
        clusters: ``[N]`` labels.

    When all hits of a column are equal a bootstrap sees no spread at all; it gets the exact interval over clusters.
    With fewer than two clusters there is no interval.
    """
    told = np.isfinite(hits)
    top, bottom = np.where(told, hits, 0.0), told.astype(np.float64)
    width = hits.shape[1]
    if not len(hits):
        return [estimate(math.nan, NOTHING, 0)] * width
    sums = cluster_sums(np.concatenate([top, bottom], axis=1), np.asarray(clusters))
    drawn = resampled_sums(sums, draws, seed)
    found = []
    for column in range(width):
        right, n = sums[:, column].sum(), sums[:, width + column].sum()
        images = int((sums[:, width + column] > 0).sum())
        interval = NOTHING
        if n and right in (0.0, n):
            interval = clopper_pearson(images if right else 0, images, level)
        elif images >= 2:
            some = drawn[:, width + column] > 0
            shares = drawn[some, column] / drawn[some, width + column]
            low, high = np.quantile(shares, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
            interval = (float(low), float(high))
        found.append(estimate(right / n if n else math.nan, interval, int(n)))
    return found


def clustered_share(hits: npt.ArrayLike, clusters: Sequence[str], level: float, draws: int, seed: int) -> Estimate:
    """:func:`clustered_shares` of one column, ``[N]``."""
    [found] = clustered_shares(np.asarray(hits, dtype=np.float64)[:, None], clusters, level, draws, seed)
    return found


def plain(value: Any) -> Any:
    """The same without NaN (None instead), NumPy types, tuples or long fractions: what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def quantile(values: Iterable[float], at: float) -> float:
    """Linear quantile; NaN of nothing."""
    kept = np.fromiter(values, np.float64)
    return float(np.quantile(kept, at)) if len(kept) else math.nan
