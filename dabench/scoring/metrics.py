"""Pixel metrics of one image, over its valid pixels (Eigen et al., arXiv 1406.2283, section 4.1; KITTI devkit)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PIXEL_METRICS = (
    "abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "delta1", "delta2", "delta3", "irmse", "mae",
)  # fmt: skip
DENSE_METRICS = PIXEL_METRICS
HIGHER_IS_BETTER = frozenset({"accuracy", "delta1", "delta2", "delta3"})


def dense_metrics(prediction: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> dict[str, float]:
    """Every dense metric of one image.

    Args:
        prediction: positive finite depth in metres, ``[N]`` or any shape.
        target: positive finite ground-truth depth in metres, same shape.

    Returns:
        ``abs_rel`` mean |p-g|/g; ``sq_rel`` mean (p-g)^2/g; ``rmse``, ``mae`` in metres; ``rmse_log`` with the natural
        logarithm; ``log10`` mean |log10 p - log10 g|; ``silog`` 100 sqrt(mean d^2 - mean(d)^2), d = ln p - ln g;
        ``delta1..3`` share of pixels with max(p/g, g/p) < 1.25^i, strictly; ``irmse`` in 1/m. NaN for all when there is
        no pixel: an empty image is neither perfect nor wrong.
    """
    p = np.asarray(prediction, dtype=np.float64).ravel()
    g = np.asarray(target, dtype=np.float64).ravel()
    if p.size == 0:
        return dict.fromkeys(DENSE_METRICS, float("nan"))
    error = p - g
    relative = error / g
    log_ratio = np.log(p) - np.log(g)
    squared_log = log_ratio * log_ratio
    ratio = np.maximum(p / g, g / p)
    mean_log = log_ratio.mean()
    mean_squared_log = squared_log.mean()
    return {
        "abs_rel": float(np.abs(relative).mean()),
        "sq_rel": float((error * relative).mean()),
        "rmse": float(np.sqrt((error * error).mean())),
        "rmse_log": float(np.sqrt(mean_squared_log)),
        "log10": float(np.abs(log_ratio).mean() / np.log(10.0)),
        # A perfect prediction up to scale leaves a tiny negative variance, which is zero.
        "silog": float(100.0 * np.sqrt(max(mean_squared_log - mean_log * mean_log, 0.0))),
        "delta1": float((ratio < 1.25).mean()),
        "delta2": float((ratio < 1.25**2).mean()),
        "delta3": float((ratio < 1.25**3).mean()),
        "irmse": float(np.sqrt(((1.0 / p - 1.0 / g) ** 2).mean())),
        "mae": float(np.abs(error).mean()),
    }
