"""Fitting an affine-invariant prediction to ground truth, in float64, one image at a time.

Which space a fit happens in decides the number: a disparity model is fitted to inverse depth and inverted afterwards
(MiDaS, arXiv 1907.01341, section 5), a depth model is fitted to depth (Marigold, arXiv 2312.02145, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Fit:
    """``aligned = scale * prediction + shift`` in the space of the fit."""

    scale: float
    shift: float


def least_squares(prediction: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> Fit:
    """Scale and shift that minimise ``sum (s * p + t - g)^2``.

    Computed from centred second moments in float64, which stays accurate when the prediction's spread is small beside
    its mean. A constant prediction carries no information: scale 0, shift the mean of the target, which is a minimiser.

    Args:
        prediction: finite values, any shape.
        target: finite values of the same shape.

    Returns:
        The fit; NaN for both when there is no pixel.
    """
    p = np.asarray(prediction, dtype=np.float64).ravel()
    g = np.asarray(target, dtype=np.float64).ravel()
    if p.size == 0:
        return Fit(float("nan"), float("nan"))
    p_mean, g_mean = p.mean(), g.mean()
    centred = p - p_mean
    # sum() and not a dot product: BLAS splits one by its number of threads, which would change the last bits.
    variance = float((centred * centred).sum())
    # Rounding leaves about eps * |mean| in every centred value of a constant map.
    if variance <= p.size * (4.0 * np.finfo(np.float64).eps * max(abs(p_mean), np.finfo(np.float64).tiny)) ** 2:
        return Fit(0.0, float(g_mean))
    scale = float((centred * (g - g_mean)).sum()) / variance
    return Fit(scale, float(g_mean - scale * p_mean))
