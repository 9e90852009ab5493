"""Fitting an affine-invariant prediction to ground truth, in float64.

Which space a fit happens in decides the number: a disparity model is fitted to inverse depth and inverted afterwards
(MiDaS, arXiv 1907.01341, section 5), a depth model is fitted to depth (Marigold, arXiv 2312.02145, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dabench.errors import ModelError
from dabench.scoring.absolute_deviation import least_absolute_line, least_absolute_scale, weighted_median
from dabench.scoring.rule import DenseRule

LEAST_SQUARES = ("least-squares-disparity", "least-squares-depth", "least-squares-scale", "ridge-depth")
"""Methods that need no more of the pixels than their moments."""

ON_GRID = ("l1-depth", "l1-scale")
"""Methods that fit on the pixels nearest to the cells of a 64 x 64 grid."""

_RIDGE = 1e-9
_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """``aligned = scale * prediction + shift`` in the space of the fit."""

    scale: float
    shift: float


@dataclass(frozen=True)
class Moments:
    """What least squares needs of pixels (x, y): their number, means and centred sums."""

    n: float
    mean_x: float
    mean_y: float
    xx: float
    xy: float

    @staticmethod
    def of(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Moments:
        """The moments of finite values of the same shape."""
        x64 = np.asarray(x, dtype=np.float64).ravel()
        y64 = np.asarray(y, dtype=np.float64).ravel()
        if x64.size == 0:
            return Moments(0.0, 0.0, 0.0, 0.0, 0.0)
        centred = x64 - x64.mean()
        # sum() and not a dot product: BLAS splits one by its number of threads, which would change the last bits.
        return Moments(
            float(x64.size),
            float(x64.mean()),
            float(y64.mean()),
            float((centred * centred).sum()),
            float((centred * (y64 - y64.mean())).sum()),
        )

    @staticmethod
    def merged(parts: Iterable[Moments]) -> Moments:
        """The moments of a union, from those of its parts in order (Chan, Golub and LeVeque, 1979)."""
        n = mean_x = mean_y = xx = xy = 0.0
        for part in parts:
            if part.n == 0:
                continue
            total = n + part.n
            by_x, by_y, share = part.mean_x - mean_x, part.mean_y - mean_y, part.n / total
            xx += part.xx + by_x * by_x * n * share
            xy += part.xy + by_x * by_y * n * share
            mean_x += by_x * share
            mean_y += by_y * share
            n = total
        return Moments(n, mean_x, mean_y, xx, xy)

    @property
    def constant(self) -> bool:
        """Whether x does not vary: rounding leaves about eps * |mean| in every centred value of a constant map."""
        return self.xx <= self.n * (4.0 * _EPS * max(abs(self.mean_x), _TINY)) ** 2


def fit_moments(method: str, moments: Moments) -> Fit | None:
    """A least-squares fit; None where there is no pixel, or an affine fit of a prediction that does not vary.

    ``least-squares-*`` minimise ``sum (s x + t - y)^2``, from centred sums, which stays accurate when the spread of x
    is small beside its mean. ``least-squares-scale``: s alone. ``ridge-depth`` adds 1e-9 to both diagonal elements of
    the normal equations (lpiccinelli-eth/UniDepth, unidepth/utils/evaluation_depth.py), and so has a solution always.
    """
    m = moments
    if m.n == 0:
        return None
    sum_x, sum_y = m.n * m.mean_x, m.n * m.mean_y
    if method == "least-squares-scale":
        squares = m.xx + sum_x * m.mean_x
        return Fit((m.xy + sum_x * m.mean_y) / squares, 0.0) if squares > 0.0 else None
    if method == "ridge-depth":
        # Cramer's rule with the large terms cancelled by hand.
        determinant = m.n * m.xx + _RIDGE * (m.xx + sum_x * m.mean_x + m.n) + _RIDGE * _RIDGE
        scale = (m.n * m.xy + _RIDGE * (m.xy + sum_x * m.mean_y)) / determinant
        shift = (m.xx * sum_y - sum_x * m.xy + _RIDGE * sum_y) / determinant
        return Fit(scale, shift)
    if m.constant:
        return None
    scale = m.xy / m.xx
    return Fit(scale, m.mean_y - scale * m.mean_x)


def fit_pixels(method: str, x: Array, y: Array) -> Fit | None:
    """A fit that needs the pixels themselves; None where there is none.

    ``median-ratio``: median(y) / median(x), medians of an even number averaged (monodepth2, evaluate_depth.py).
    ``lower-median-ratio``: the same with the lower of two middle values (torch.median, in Junyi42/monst3r,
    dust3r/depth_eval.py). ``median-of-ratios``: median(y / x). ``weiszfeld-scale``: ten reweighted rounds from mean(y)
    / mean(x), at least 1e-3 (Junyi42/monst3r, dust3r/depth_eval.py, align_with_scale). ``l1-depth`` and ``l1-scale``:
    the exact minimiser of sum |s x + t - y| / y (microsoft/MoGe, moge/utils/alignment.py). ``lad-depth``: the exact
    minimiser of sum |s x + t - y|, which Junyi42/monst3r (align_with_lad2) approaches with at most 1000 steps of Adam
    at 1e-4 and so does not always reach.

    Args:
        x, y: ``[N]`` float64; positive, but for x of the affine methods.
    """
    if x.size == 0:
        return None
    if method == "median-ratio":
        return Fit(float(np.median(y)) / float(np.median(x)), 0.0)
    if method == "lower-median-ratio":
        return Fit(lower_median(y) / lower_median(x), 0.0)
    if method == "median-of-ratios":
        return Fit(float(np.median(y / x)), 0.0)
    if method == "weiszfeld-scale":
        scale = float(y.mean() / x.mean())
        for _ in range(10):
            weight = 1.0 / (np.abs(scale * x - y) + 1e-8)
            scale = float((weight * x * y).sum() / (weight * x * x).sum())
        return Fit(max(scale, 1e-3), 0.0)
    if method == "l1-scale":
        return Fit(least_absolute_scale(x, y, 1.0 / y), 0.0)
    weights = 1.0 / y if method == "l1-depth" else np.ones_like(y)
    if x.min() == x.max():
        return None
    return Fit(*least_absolute_line(x, y, weights))


def lower_median(values: Array) -> float:
    """The middle value, or the lower one of two; ``[N]``, N at least 1."""
    at = (values.size - 1) // 2
    return float(np.partition(values, at)[at])


@dataclass(frozen=True, eq=False)
class FitPixels:
    """What a fit needs of one image: the moments of its pixels where those suffice, else the pixels.

    Attributes:
        method: the alignment method.
        moments: of the prediction and its target in the space of the fit.
        x, y: ``[N]``, or None where the moments suffice.
        farthest: the far end of the image's depth range in metres; 0 for an image without valid pixels.
    """

    method: str
    moments: Moments
    x: Array | None
    y: Array | None
    farthest: float


def solve(part: FitPixels, negative_scale: str) -> Fit | None:
    """The fit of a method; None where it has no solution.

    Args:
        negative_scale: ``keep``, or ``median-ratio``: a negative scale gives way to median(y) / median(x) where that is
            positive (YvanYin/Metric3D, mono/utils/do_test.py).
    """
    if part.method in LEAST_SQUARES or part.x is None or part.y is None:
        fit = fit_moments(part.method, part.moments)
    else:
        fit = fit_pixels(part.method, part.x, part.y)
    if fit is not None and fit.scale < 0.0 and negative_scale == "median-ratio" and part.x is not None:
        ratio = fit_pixels("median-ratio", part.x, np.zeros(0) if part.y is None else part.y)
        if ratio is not None and np.isfinite(ratio.scale) and ratio.scale > 0.0:
            return ratio
    return fit


def without_solution(method: str, degenerate: str, y: Array, farthest: float) -> Fit:
    """What is predicted where a fit has no solution.

    Args:
        degenerate: ``farthest``, the far end of the range: no disparity is infinitely far, and the floor and the range
            bring it back (MiDaS's scripts for KITTI and NYU set scale and shift to 0). ``constant``: the middle of y.
        y: targets in the space of the fit, at least one for ``constant``.
        farthest: far end of the range in metres.
    """
    if degenerate == "farthest" or y.size == 0:
        return Fit(0.0, 0.0 if method == "least-squares-disparity" else farthest)
    return Fit(0.0, middle(method, y))


def fit_pixels_of_many(parts: Sequence[FitPixels], rule: DenseRule) -> Fit:
    """One fit for all images of a sequence, whose parts come in the order of the images.

    Returns:
        The fit; scale 1 and shift 0 for a method that fits nothing, or without one valid pixel.

    Raises:
        ModelError: the parts were made for different methods.
    """
    methods = sorted({part.method for part in parts})
    if len(methods) > 1:
        raise ModelError(f"the images of one sequence are aligned by {' and by '.join(methods)}")
    parts = [part for part in parts if part.farthest > 0.0]
    if not parts or methods == ["none"]:
        return Fit(1.0, 0.0)
    xs, ys = ([a for part in parts if (a := side(part)) is not None] for side in (lambda p: p.x, lambda p: p.y))
    moments = Moments.merged(part.moments for part in parts)
    whole = FitPixels(
        methods[0],
        moments,
        np.concatenate(xs) if xs else None,
        np.concatenate(ys) if ys else None,
        max(part.farthest for part in parts),
    )
    fit = solve(whole, rule.negative_scale)
    if fit is not None:
        return fit
    y = np.full(min(1, int(moments.n)), moments.mean_y) if whole.y is None else whole.y
    return without_solution(whole.method, rule.degenerate, y, whole.farthest)


def middle(method: str, y: Array) -> float:
    """The constant that a method predicts where its fit has no solution: mean, or median where it sums deviations."""
    if method in ("l1-depth", "l1-scale"):
        return weighted_median(y, 1.0 / y)
    return float(np.median(y)) if method == "lad-depth" or "median" in method else float(y.mean())


def least_squares(prediction: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> Fit:
    """Scale and shift that minimise ``sum (s * p + t - g)^2`` over finite values of the same shape.

    A constant prediction carries no information: scale 0, shift the mean of the target, which is a minimiser. NaN for
    both when there is no pixel.
    """
    moments = Moments.of(prediction, target)
    if moments.n == 0:
        return Fit(float("nan"), float("nan"))
    return fit_moments("least-squares-depth", moments) or Fit(0.0, moments.mean_y)
