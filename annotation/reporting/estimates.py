"""A figure with its interval and its count, as the dashboard shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.scoring.statistics import Interval, clopper_pearson, cluster_bootstrap_interval, wilson_interval

Estimate = dict[str, Any]
"""``{"value", "low", "high", "n"}``; the three figures are NaN where nothing can be said."""


def estimate(value: float, interval: Interval, n: int) -> Estimate:
    return {"value": float(value), "low": float(interval[0]), "high": float(interval[1]), "n": int(n)}


def share(hits: int, n: int, level: float, *, exact: bool = False) -> Estimate:
    """``hits`` of ``n`` independent trials, with Wilson's interval, or the exact one for small counts that matter."""
    interval = clopper_pearson(hits, n, level) if exact else wilson_interval(hits, n, level)
    return estimate(hits / n if n else math.nan, interval, n)


def clustered_share(hits: npt.ArrayLike, clusters: npt.ArrayLike, level: float, draws: int, seed: int) -> Estimate:
    """Share of ``hits`` (``[N]`` bool) with a bootstrap interval over whole clusters (``[N]`` labels, here images).

    When all hits are equal a bootstrap sees no spread at all; the exact interval over clusters is given instead.
    """
    values = np.asarray(hits, dtype=np.float64)
    if not len(values):
        return estimate(math.nan, (math.nan, math.nan), 0)
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(member)
    value = float(values.mean())
    if value in (0.0, 1.0):
        interval = clopper_pearson(len(sizes) if value else 0, len(sizes), level)
    else:
        interval = cluster_bootstrap_interval(np.bincount(member, values), sizes, level, draws, seed)
    return estimate(value, interval, len(values))


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
