"""Exact minimisers of a weighted sum of absolute deviations, which is convex and piecewise linear.

A minimum lies where residuals vanish: at one data point for a scale, at two for a line (Bloomfield and Steiger, Least
Absolute Deviations, 1983). The search walks from such a line to a better one along the lines through one of its points.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_DIRECT = 20_000
_SAMPLE = 5_000
_EPS = float(np.finfo(np.float64).eps)


def weighted_median(values: Array, weights: Array, pull: float = 0.0) -> float:
    """A minimiser of ``sum w |v - m| + pull * m``: the smallest value at which the slope is not negative any more."""
    order = np.argsort(values, kind="stable")
    slope = 2.0 * np.cumsum(weights[order])
    at = int(np.searchsorted(slope, slope[-1] / 2.0 - pull))
    return float(values[order[min(at, order.size - 1)]])


def least_absolute_scale(x: Array, y: Array, weights: Array) -> float:
    """The ``s`` that minimises ``sum w |s x - y|``: the median of y / x under the weights w |x|.

    Args:
        x: ``[N]`` without zeros. y, weights: ``[N]``; N at least 1.
    """
    return weighted_median(y / x, weights * np.abs(x))


def least_absolute_line(x: Array, y: Array, weights: Array) -> tuple[float, float]:
    """The ``(s, t)`` that minimises ``sum w |s x + t - y|``.

    Of many points, those far from a first line keep their side and act as one linear term; the search runs on the few
    near it, and is repeated with more of them if a far one changed its side (Portnoy and Koenker, Statistical Science
    12, 1997).

    Args:
        x, y, weights: ``[N]`` float64, N at least 1, weights positive.
    """
    if float(x.min()) == float(x.max()):
        return 0.0, weighted_median(y, weights)
    if x.size <= _DIRECT:
        return _search(x, y, weights)
    some = slice(None, None, x.size // _SAMPLE)
    if float(x[some].min()) == float(x[some].max()):
        return _search(x, y, weights)
    scale, shift = _search(x[some], y[some], weights[some])
    keep = 0.05
    near = np.zeros(x.size, dtype=bool)
    while keep < 0.5:
        residual = scale * x + shift - y
        size = np.abs(residual)
        near |= size <= np.partition(size, int(keep * x.size))[int(keep * x.size)]
        side = np.where(near, 0.0, np.sign(residual)) * weights
        pulls = float((side * x).sum()), float(side.sum())
        if float(x[near].min()) == float(x[near].max()):
            break
        scale, shift = _search(x[near], y[near], weights[near], pulls)
        if not np.any(~near & (np.sign(scale * x + shift - y) != np.sign(residual))):
            return scale, shift
        keep *= 2.0
    return _search(x, y, weights)


def _search(x: Array, y: Array, weights: Array, pulls: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
    """Minimise ``sum w |s x + t - y| + pulls . (s, t)`` over lines through two of the points."""
    centred = x - x.mean()
    scale = float((centred * (y - y.mean())).sum() / (centred * centred).sum())
    pivot = int(np.argmin(np.abs(centred * scale + y.mean() - y)))
    best = np.inf
    found = scale, float(y.mean() - scale * x.mean())
    for _ in range(1000):
        scale = _slope_through(pivot, x, y, weights, pulls[0] - pulls[1] * float(x[pivot]))
        shift = float(y[pivot] - scale * x[pivot])
        residual = scale * x + shift - y
        value = float((weights * np.abs(residual)).sum()) + pulls[0] * scale + pulls[1] * shift
        if value >= best - 8.0 * _EPS * abs(best):
            return found if value >= best else (scale, shift)
        best, found = value, (scale, shift)
        on_line = np.abs(residual) <= 16.0 * _EPS * (np.abs(scale * x) + abs(shift) + np.abs(y))
        pivot = _way_out(x, weights, pulls, np.where(on_line, 0.0, np.sign(residual)), np.flatnonzero(on_line))
        if pivot < 0:
            break
    return found


def _slope_through(pivot: int, x: Array, y: Array, weights: Array, pull: float) -> float:
    """The best slope of the lines through one point."""
    run = x - x[pivot]
    apart = run != 0.0
    run = run[apart]
    return weighted_median((y[apart] - y[pivot]) / run, weights[apart] * np.abs(run), pull)


def _way_out(x: Array, weights: Array, pulls: tuple[float, float], side: Array, on_line: npt.NDArray[np.intp]) -> int:
    """The point on the line about which a turn lowers the sum most steeply, or -1 where none does.

    The sum is linear between the turns about the points on the line, so a line without such a turn is a minimum.
    """
    turn = float((weights * side * x).sum()) + pulls[0]
    lift = float((weights * side).sum()) + pulls[1]
    order = on_line[np.argsort(x[on_line], kind="stable")]
    ordered, mass = x[order], weights[order]
    # sum w |x - x_k| over the points on the line, for each of them, from cumulative sums.
    below, moment = np.cumsum(mass), np.cumsum(mass * ordered)
    resistance = ordered * (2.0 * below - below[-1]) - 2.0 * moment + moment[-1]
    slack = resistance - np.abs(turn - ordered * lift)
    steepest = int(np.argmin(slack))
    rounding = 64.0 * _EPS * float((weights * np.abs(x)).sum() + weights.sum() * np.abs(ordered).max())
    return int(order[steepest]) if slack[steepest] < -rounding else -1
