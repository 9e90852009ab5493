"""Pixel metrics of one image, over its valid pixels (Eigen et al., arXiv 1406.2283, section 4.1; KITTI devkit).

Each image is first reduced to one row of sums, whatever computes it, and the metrics are read off that row.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

PIXEL_METRICS = (
    "abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "delta1", "delta2", "delta3", "irmse", "mae",
    "sq_rel_squared", "silog_half", "silog_bessel", "rmse_log10", "bad_pixel",
)  # fmt: skip
BOUNDARY_METRICS = ("boundary_f1_depth_pro", "boundary_f1_moge")
DENSE_METRICS = PIXEL_METRICS + BOUNDARY_METRICS
HIGHER_IS_BETTER = frozenset({"accuracy", "delta1", "delta2", "delta3", *BOUNDARY_METRICS})


class Column:
    """Columns of a row of sums over pixels; e = p - g, d = ln p - ln g."""

    PIXELS = 0
    MEAN_LOG = 1  # mean of d
    SPREAD_LOG = 2  # sum (d - mean)^2
    ABSOLUTE_LOG = 3  # sum |d|
    RELATIVE = 4  # sum |e| / g
    SQUARED_RELATIVE = 5  # sum e^2 / g
    RELATIVE_SQUARED = 6  # sum e^2 / g^2
    ABSOLUTE = 7  # sum |e|
    SQUARED = 8  # sum e^2
    INVERSE_SQUARED = 9  # sum (1/p - 1/g)^2
    WITHIN_1 = 10  # pixels with max(p/g, g/p) < 1.25
    WITHIN_2 = 11
    WITHIN_3 = 12
    BEYOND = 13  # pixels with max(p/g, g/p) > 1.25
    COUNT = 14


Sums = npt.NDArray[np.float64]


def pixel_sums(prediction: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> Sums:
    """The row of sums of positive finite maps of the same shape, in NumPy."""
    p = np.asarray(prediction, dtype=np.float64).ravel()
    g = np.asarray(target, dtype=np.float64).ravel()
    row = np.zeros(Column.COUNT)
    if p.size == 0:
        return row
    error = p - g
    relative = error / g
    log_ratio = np.log(p) - np.log(g)
    mean_log = log_ratio.mean()
    row[Column.PIXELS] = p.size
    row[Column.MEAN_LOG] = mean_log
    row[Column.SPREAD_LOG] = ((log_ratio - mean_log) ** 2).sum()
    row[Column.ABSOLUTE_LOG] = np.abs(log_ratio).sum()
    row[Column.RELATIVE] = np.abs(relative).sum()
    row[Column.SQUARED_RELATIVE] = (error * relative).sum()
    row[Column.RELATIVE_SQUARED] = (relative * relative).sum()
    row[Column.ABSOLUTE] = np.abs(error).sum()
    row[Column.SQUARED] = (error * error).sum()
    row[Column.INVERSE_SQUARED] = ((1.0 / p - 1.0 / g) ** 2).sum()
    for i, column in enumerate((Column.WITHIN_1, Column.WITHIN_2, Column.WITHIN_3), start=1):
        # Products instead of quotients: powers of 1.25 are exact, so a tie is a tie.
        row[column] = ((p < 1.25**i * g) & (g < 1.25**i * p)).sum()
    row[Column.BEYOND] = ((p > 1.25 * g) | (g > 1.25 * p)).sum()
    return row


def merged(rows: Sums) -> Sums:
    """The row of a union of pixels, from the rows ``[K, 14]`` of its parts in order (Chan, Golub and LeVeque, 1979)."""
    total: Sums = rows.sum(axis=0)
    n = mean = spread = 0.0
    for m, mean_log, spread_log in rows[:, : Column.SPREAD_LOG + 1].tolist():
        if m == 0:
            continue
        apart = mean_log - mean
        share = m / (n + m)
        spread += spread_log + apart * apart * n * share
        mean += apart * share
        n += m
    total[Column.MEAN_LOG], total[Column.SPREAD_LOG] = mean, spread
    return total


def metrics_of(sums: Sums, names: Iterable[str] = PIXEL_METRICS) -> dict[str, float]:
    """Read metrics off a row of sums.

    Returns:
        ``abs_rel`` mean |p-g|/g; ``sq_rel`` mean (p-g)^2/g (Eigen); ``sq_rel_squared`` mean (p-g)^2/g^2 (KITTI devkit,
        sqErrorRel); ``rmse``, ``mae`` in metres; ``rmse_log`` with the natural logarithm, ``rmse_log10`` with base ten
        (DIODE devkit, Metric3D); ``log10`` mean |log10 p - log10 g|; ``silog`` 100 sqrt(mean d^2 - mean(d)^2), d = ln p
        - ln g; ``silog_half`` sqrt(mean d^2 - mean(d)^2 / 2), not in percent (Depth Anything V2, metric_depth);
        ``silog_bessel`` 100 times the sample standard deviation of d (UniDepth), NaN for one pixel; ``delta1..3`` share
        of pixels with max(p/g, g/p) < 1.25^i, strictly; ``bad_pixel`` percent of pixels with max(p/g, g/p) > 1.25
        (MiDaS); ``irmse`` in 1/m. NaN for all when there is no pixel: an empty image is neither perfect nor wrong.
    """
    n = float(sums[Column.PIXELS])
    if n == 0:
        return dict.fromkeys((name for name in names if name in PIXEL_METRICS), float("nan"))
    mean = [float(value) / n for value in sums]
    mean_log = float(sums[Column.MEAN_LOG])
    variance = mean[Column.SPREAD_LOG]
    squared_log = variance + mean_log * mean_log
    found = {
        "abs_rel": mean[Column.RELATIVE],
        "sq_rel": mean[Column.SQUARED_RELATIVE],
        "rmse": mean[Column.SQUARED] ** 0.5,
        "rmse_log": squared_log**0.5,
        "log10": mean[Column.ABSOLUTE_LOG] / float(np.log(10.0)),
        "silog": 100.0 * variance**0.5,
        "delta1": mean[Column.WITHIN_1],
        "delta2": mean[Column.WITHIN_2],
        "delta3": mean[Column.WITHIN_3],
        "irmse": mean[Column.INVERSE_SQUARED] ** 0.5,
        "mae": mean[Column.ABSOLUTE],
        "sq_rel_squared": mean[Column.RELATIVE_SQUARED],
        "silog_half": (variance + 0.5 * mean_log * mean_log) ** 0.5,
        "silog_bessel": 100.0 * (float(sums[Column.SPREAD_LOG]) / (n - 1.0)) ** 0.5 if n > 1 else float("nan"),
        "rmse_log10": squared_log**0.5 / float(np.log(10.0)),
        "bad_pixel": 100.0 * mean[Column.BEYOND],
    }
    return {name: found[name] for name in names if name in found}


def dense_metrics(prediction: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> dict[str, float]:
    """Every pixel metric of positive finite depth in metres, ``[N]`` or any shape, in NumPy; see ``metrics_of``."""
    return metrics_of(pixel_sums(prediction, target))
