"""Do the edges of a depth map lie where those of the ground truth lie: two definitions of a boundary F1.

Both look at ratios of neighbouring depths, so neither depends on the scale of the prediction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dabench.types import Mask

Array = npt.NDArray[np.floating]

RADII = (1, 2, 3)


def boundary_f1_depth_pro(prediction: Array, target: Array, valid: Mask) -> float:
    """F1 of occluding edges between neighbours, averaged over ten thresholds (apple/ml-depth-pro, boundary_metrics.py).

    On inverse depth, of depth raised to 1e-6. In each of the directions left, right, up and down an edge is where the
    neighbours' ratio exceeds t, strictly. Precision and recall are means over the four directions, a direction without
    edges counting 0; F1 is 0 where both are. Thresholds are ten from 1.05 to 1.25, each weighted by itself.

    The original has no mask. Here a pair of neighbours takes part where the ground truth of both is valid, so that the
    border of a hole is no edge; on a map without holes the two are the same.

    Args:
        prediction, target: depth ``[H, W]`` in metres.
        valid: ``bool [H, W]``.

    Returns:
        F1 in [0, 1]; NaN when there is no valid pixel.
    """
    if not valid.any():
        return float("nan")
    from dabench.scoring import kernels

    thresholds = np.linspace(1.05, 1.25, 10)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, g = (1.0 / np.maximum(np.asarray(m, np.float64), 1e-6) for m in (prediction, target))
    ways = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]])
    counts = np.zeros((len(ways), thresholds.size + 1, 3), np.int64)
    kernels.count_edges(p, g, np.ascontiguousarray(valid), ways, np.zeros(len(ways), np.int64), thresholds, counts)
    matched, predicted, expected = np.moveaxis(_at_each_threshold(counts), 2, 0)
    precision = (matched / np.maximum(predicted, 1.0)).mean(axis=0)
    recall = (matched / np.maximum(expected, 1.0)).mean(axis=0)
    return _weighted_f1(precision, recall, thresholds)


def boundary_f1_moge(prediction: Array, target: Array, valid: Mask) -> float:
    """F1 of edges within discs of radius 1, 2 and 3, averaged over ten thresholds and the radii.

    On depth: a pixel and a neighbour in its disc form an edge where neighbour / pixel > 1 + t, strictly, and both are
    valid. Thresholds are ten from 0.05 to 0.25, each weighted by itself (microsoft/MoGe, moge/test/metrics.py, which
    reports the radii one by one). Pixels nearer to the image's border than the radius are no centres.

    Args:
        prediction, target: depth ``[H, W]`` in metres.
        valid: ``bool [H, W]``.

    Returns:
        F1 in [0, 1]; NaN when there is no valid pixel.
    """
    if not valid.any():
        return float("nan")
    from dabench.scoring import kernels

    thresholds = np.linspace(0.05, 0.25, 10)
    p, g = np.ascontiguousarray(prediction, np.float64), np.ascontiguousarray(target, np.float64)
    steps = range(-RADII[-1], RADII[-1] + 1)
    ways = np.array([[r, c] for r in steps for c in steps if 0 < r * r + c * c <= RADII[-1] ** 2])
    scores = []
    for radius in RADII:
        disc = ways[(ways**2).sum(axis=1) <= radius * radius]
        counts = np.zeros((len(disc), thresholds.size + 1, 3), np.int64)
        margins = np.full(len(disc), radius)
        kernels.count_edges(p, g, np.ascontiguousarray(valid), disc, margins, 1.0 + thresholds, counts)
        matched, predicted, expected = _at_each_threshold(counts).sum(axis=0).T
        precision, recall = matched / np.maximum(predicted, 1e-12), matched / np.maximum(expected, 1e-12)
        scores.append(_weighted_f1(precision, recall, thresholds))
    return float(np.mean(scores))


def _at_each_threshold(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Edges at each threshold, from how many ratios exceed exactly k of them: those of k or more, for k from 1 on."""
    return counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]


def _weighted_f1(precision: Array, recall: Array, thresholds: Array) -> float:
    f1 = 2.0 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float((f1 * thresholds).sum() / thresholds.sum())
