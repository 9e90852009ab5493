"""Which points and pairs are candidates: the filters, and how many are left after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.keypoints.types import KeyPoints

from .settings import ProposalSettings
from .voting import Reading

STAGES = {
    "points": "all key points",
    "border": "away from the border",
    "edge": "away from the edges of regions",
    "smooth": "smooth in every expert's map",
    "duplicate": "without near-duplicates",
    "thinned": "at most so many points an image",
    "distance": "far enough apart",
    "region": "not of the same smallest region",
    "level": "on about the same row",
    "gap": "inside the gap band",
}
"""The stages in their order, with their titles."""


@dataclass(frozen=True)
class Left:
    """What a stage leaves: points that can still be paired, and pairs."""

    points: int
    pairs: int

    def __add__(self, other: Left) -> Left:
        return Left(self.points + other.points, self.pairs + other.pairs)


def _all_pairs(points: int) -> Left:
    return Left(points, points * (points - 1) // 2)


def usable_points(
    keypoints: KeyPoints,
    readings: Sequence[Reading],
    settings: ProposalSettings,
    generator: np.random.Generator,
) -> tuple[NDArray[np.int64], dict[str, Left]]:
    """Numbers of the key points that pass, in increasing order, and what is left after each stage.

    Args:
        keypoints: of one image.
        readings: of the experts that look at the picture, at all of its key points.
        generator: chooses which points stay when there are more than ``max_points``.
    """
    height, width = keypoints.labels.shape
    rows = np.array([point.row for point in keypoints.points], np.int64)
    cols = np.array([point.col for point in keypoints.points], np.int64)
    left = {"points": _all_pairs(len(rows))}

    inside = np.minimum(rows, height - 1 - rows) >= max(settings.border * height, settings.border_pixels)
    inside &= np.minimum(cols, width - 1 - cols) >= max(settings.border * width, settings.border_pixels)
    kept = np.flatnonzero(inside)
    left["border"] = _all_pairs(len(kept))

    distances = keypoints.edge_distance[rows[kept], cols[kept]]
    kept = kept[distances >= settings.edge * max(height, width) / 1024]
    left["edge"] = _all_pairs(len(kept))

    for reading in readings:
        kept = kept[reading.roughness[kept] <= settings.smooth]
    left["smooth"] = _all_pairs(len(kept))

    kept = _apart(kept, rows, cols, keypoints.edge_distance, settings.duplicate * float(np.hypot(height, width)))
    left["duplicate"] = _all_pairs(len(kept))

    if len(kept) > settings.max_points:
        kept = np.sort(kept[np.argsort(generator.random(len(kept)), kind="stable")[: settings.max_points]])
    left["thinned"] = _all_pairs(len(kept))
    return kept, left


def _apart(
    kept: NDArray[np.int64],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    edge_distance: NDArray[np.float32],
    least: float,
) -> NDArray[np.int64]:
    """Points of which no two are nearer than ``least``: those farthest from an edge first. Two pairs of such points
    differ in at least one point by that much, so no pair is a near-duplicate of another.
    """
    order = kept[np.lexsort((kept, -edge_distance[rows[kept], cols[kept]]))]
    taken: list[int] = []
    for number in order:
        if taken and np.hypot(rows[taken] - rows[number], cols[taken] - cols[number]).min() < least:
            continue
        taken.append(int(number))
    return np.sort(np.array(taken, np.int64))


def candidate_pairs(
    keypoints: KeyPoints, kept: NDArray[np.int64], settings: ProposalSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, Left]]:
    """Pairs of the usable points that pass the filters of geometry.

    Returns:
        Numbers of the first and the second key point of each pair, and what is left after each stage.
    """
    height, width = keypoints.labels.shape
    rows = np.array([point.row for point in keypoints.points], np.int64)
    cols = np.array([point.col for point in keypoints.points], np.int64)
    i, j = np.triu_indices(len(kept), k=1)
    first, second = kept[i], kept[j]
    left: dict[str, Left] = {}

    apart = np.hypot(rows[first] - rows[second], cols[first] - cols[second])
    first, second = _keep(apart >= settings.distance * np.hypot(height, width), first, second)
    left["distance"] = counted(first, second)

    same = keypoints.holds[first, second] | keypoints.holds[second, first]
    first, second = _keep(~same, first, second)
    left["region"] = counted(first, second)

    if settings.level is not None:
        first, second = _keep(np.abs(rows[first] - rows[second]) <= settings.level * height, first, second)
        left["level"] = counted(first, second)
    return first, second, left


def in_band(gap: NDArray[np.float64], settings: ProposalSettings) -> NDArray[np.bool_]:
    """bool [m], whether the gap of a pair lies in the wanted band. An unknown gap does not."""
    upper = np.inf if settings.gap_max is None else settings.gap_max
    return (gap >= settings.gap_min) & (gap < upper)


def counted(first: NDArray[np.int64], second: NDArray[np.int64]) -> Left:
    """Pairs, and the points that still take part in one."""
    return Left(len(np.unique(np.concatenate([first, second]))), len(first))


def _keep(
    mask: NDArray[np.bool_], first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return first[mask], second[mask]
