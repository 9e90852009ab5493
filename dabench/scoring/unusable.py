"""Values that cannot be used stay in the denominator: which end of the depth range each of them counts as.

"Farther from the truth" depends on the space: at 1 m in a range of 1 mm to 10 m the far end is worse in metres (9 m off
instead of 1) and the near end in ratio (1000 instead of 10). With one end for all metrics, leaving a pixel out would
pay under some of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from dabench.scoring.metrics import HIGHER_IS_BETTER, Column, Sums, merged, metrics_of, pixel_sums
from dabench.types import Mask

Floats = npt.NDArray[np.floating]


def range_ends(values: Floats, is_disparity: bool, inverted: bool) -> Mask:
    """Which values count as the far end: an infinite depth; anything else is the near end (ZoeDepth, utils/misc.py).

    Args:
        values: predictions ``[N]`` that cannot be used.
        is_disparity: whether they are disparities.
        inverted: whether they were to be inverted, so that a disparity of zero or less has no depth but infinity.
    """
    if not is_disparity:
        return np.asarray(values == np.inf)
    return np.asarray((values <= 0.0) if inverted else (values == -np.inf))


def worst_ends(truth: Floats, near: float, far: float, sums: Sums, space: str) -> list[Mask]:
    """Choices of the far end among which every pixel metric finds its worst.

    For a mean over pixels that is the worse end of each pixel, which one comparison tells. The spread of the logarithms
    is largest when the near pixels count as far and the far ones as near, from some depth on: exchanging a pair that is
    ordered otherwise keeps the mean and raises the sum of squares. That depth is found by trying all.

    Args:
        truth: ground truth ``[N]`` of the pixels in question, metres.
        near, far: the depth range.
        sums: the row of sums of all other pixels, measured in ``space``.
    """
    g = truth.astype(np.float64)
    choices = [
        far - g > g - near,
        far / g > g / near,
        1.0 / g - 1.0 / far > 1.0 / near - 1.0 / g,
        np.ones_like(g, dtype=bool),
        np.zeros_like(g, dtype=bool),
    ]
    order = np.argsort(g, kind="stable")
    as_far, as_near = np.log(far) - np.log(g[order]), np.log(near) - np.log(g[order])
    n, mean = float(sums[Column.PIXELS]), float(sums[Column.MEAN_LOG]) * (-1.0 if space == "disparity" else 1.0)
    total = n * mean + as_near.sum() + np.concatenate([[0.0], np.cumsum(as_far - as_near)])
    squares = float(sums[Column.SPREAD_LOG]) + n * mean * mean + (as_near**2).sum()
    squares = squares + np.concatenate([[0.0], np.cumsum(as_far**2 - as_near**2)])
    for part in (1.0, 0.5):
        split = int(np.argmax(squares - part * total * total / (n + g.size)))
        choice = np.zeros_like(g, dtype=bool)
        choice[order[:split]] = True
        choices.append(choice)
    return choices


def metrics_with(
    choices: Iterable[Mask], truth: Floats, near: float, far: float, sums: Sums, space: str, names: Iterable[str]
) -> dict[str, float]:
    """The worst of each metric over several choices of ends for the pixels that cannot be used.

    Args:
        choices: for each, which pixels count as the far end; the others count as the near end.
        truth: their ground truth ``[N]``, metres.
        sums: the row of sums of all other pixels, measured in ``space``.
        names: the metrics; those that are not of pixels are left out.
    """
    g = truth.astype(np.float64)
    scores = []
    for is_far in choices:
        filled = np.where(is_far, far, near)
        lost = pixel_sums(1.0 / filled, 1.0 / g) if space == "disparity" else pixel_sums(filled, g)
        scores.append(metrics_of(merged(np.stack((sums, lost))), names))
    return {name: (min if name in HIGHER_IS_BETTER else max)(score[name] for score in scores) for name in scores[0]}
