"""Do the edges of a depth map lie where those of the ground truth lie: two definitions of a boundary F1.

Both look at ratios of neighbouring depths, so neither depends on the scale of the prediction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dabench.types import Mask

Array = npt.NDArray[np.floating]

# A pixel and the one before it, along the columns and along the rows.
_NEIGHBOURS = ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:, :], np.s_[:-1, :]))


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
    thresholds = np.linspace(1.05, 1.25, 10)
    matched, predicted, expected = np.zeros((3, 4, thresholds.size))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        p, g = (1.0 / np.maximum(np.asarray(m, np.float64), 1e-6) for m in (prediction, target))
        for axis, (after, before) in enumerate(_NEIGHBOURS):
            both = valid[after] & valid[before]
            p_after, p_before, g_after, g_before = p[after][both], p[before][both], g[after][both], g[before][both]
            for way, (p_ratio, g_ratio) in enumerate(
                ((p_after / p_before, g_after / g_before), (p_before / p_after, g_before / g_after))
            ):
                _count(p_ratio, g_ratio, thresholds, *(c[2 * axis + way] for c in (matched, predicted, expected)))
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
    thresholds = np.linspace(0.05, 0.25, 10)
    p, g = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    scores = []
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for radius in (1, 2, 3):
            matched, predicted, expected = np.zeros((3, thresholds.size))
            height, width = valid.shape
            if min(height, width) <= 2 * radius:
                scores.append(0.0)
                continue
            centre = slice(radius, height - radius), slice(radius, width - radius)
            for down in range(-radius, radius + 1):
                for right in range(-radius, radius + 1):
                    if not 0 < down * down + right * right <= radius * radius:
                        continue
                    beside = (
                        slice(radius + down, height - radius + down),
                        slice(radius + right, width - radius + right),
                    )
                    both = valid[centre] & valid[beside]
                    p_ratio, g_ratio = p[beside][both] / p[centre][both], g[beside][both] / g[centre][both]
                    _count(p_ratio, g_ratio, 1.0 + thresholds, matched, predicted, expected)
            precision, recall = matched / np.maximum(predicted, 1e-12), matched / np.maximum(expected, 1e-12)
            scores.append(_weighted_f1(precision, recall, thresholds))
    return float(np.mean(scores))


def _count(
    p_ratio: Array, g_ratio: Array, thresholds: Array, matched: Array, predicted: Array, expected: Array
) -> None:
    """Add the number of edges at each threshold: in both maps, in the prediction, in the ground truth."""
    edge = (p_ratio > thresholds[0]) | (g_ratio > thresholds[0])
    p_edges, g_edges = p_ratio[edge], g_ratio[edge]
    p_level = np.searchsorted(thresholds, p_edges, side="left")
    g_level = np.searchsorted(thresholds, g_edges, side="left")
    p_level[np.isnan(p_edges)] = 0
    g_level[np.isnan(g_edges)] = 0
    for level, total in ((np.minimum(p_level, g_level), matched), (p_level, predicted), (g_level, expected)):
        # A ratio above k thresholds is an edge at the first k of them.
        counts = np.bincount(level, minlength=thresholds.size + 1)
        total += counts[::-1].cumsum()[::-1][1:]


def _weighted_f1(precision: Array, recall: Array, thresholds: Array) -> float:
    f1 = 2.0 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float((f1 * thresholds).sum() / thresholds.sum())
