"""DA-2K-style point pairs from a depth map: which of two pixels is nearer.

Layout and meaning follow DA-2K (Yang et al., Depth Anything V2, NeurIPS 2024, section 6): two pixels [row, col], one
clearly closer. Among rendered pairs "the lower one is closer" is made to hold half of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

RATIO = (1.15, 4.0)
"""Allowed range of farther depth / nearer depth."""


@dataclass(frozen=True)
class Candidate:
    """A possible pair: the points (row, col), and which of them, 1 or 2, is closer."""

    point1: tuple[int, int]
    point2: tuple[int, int]
    closer: int

    @property
    def lower_is_closer(self) -> bool:
        """Whether the location prior answers this pair correctly."""
        return (self.point1[0] > self.point2[0]) == (self.closer == 1)

    def entry(self) -> dict[str, object]:
        """The pair as DA-2K's annotations.json writes it."""
        return {"point1": list(self.point1), "point2": list(self.point2), "closer_point": f"point{self.closer}"}


def candidates(depth: np.ndarray, rng: np.random.Generator, each: int = 4) -> list[Candidate]:
    """Up to `each` pairs for and against the location prior, from depth float32 [H, W] (metres, 0: none).

    Points keep away from the image border and from depth edges (5 % change within 5 x 5 pixels); the two lie at least
    8 % of the diagonal apart, in different rows, with a depth ratio within `RATIO`.
    """
    height, width = depth.shape
    kernel = np.ones((5, 5), np.uint8)
    high, low = cv2.dilate(depth, kernel), cv2.erode(depth, kernel)
    calm = (low > 0) & (high < 1.05 * low)
    margin = max(3, round(0.05 * min(height, width)))
    calm[:margin] = calm[-margin:] = False
    calm[:, :margin] = calm[:, -margin:] = False
    rows, columns = np.nonzero(calm)
    if len(rows) < 50:
        return []
    first, second = rng.integers(len(rows), size=(2, 3000))
    d1, d2 = depth[rows[first], columns[first]], depth[rows[second], columns[second]]
    ratio = np.maximum(d1, d2) / np.minimum(d1, d2)
    apart = np.hypot(rows[first] - rows[second], columns[first] - columns[second])
    allowed = (ratio >= RATIO[0]) & (ratio <= RATIO[1]) & (apart >= 0.08 * np.hypot(height, width))
    allowed &= np.abs(rows[first] - rows[second]) >= 3
    lower = (rows[first] > rows[second]) == (d1 < d2)
    found: list[Candidate] = []
    for prior in (True, False):
        kind = np.nonzero(allowed & (lower == prior))[0]
        kept: list[int] = []
        for wanted in np.exp(rng.uniform(np.log(RATIO[0]), np.log(RATIO[1]), each)):
            if len(kind) > len(kept):
                free = np.setdiff1d(kind, kept)
                kept.append(int(free[np.abs(np.log(ratio[free] / wanted)).argmin()]))
        for k in kept:
            a, b = first[k], second[k]
            found.append(
                Candidate((int(rows[a]), int(columns[a])), (int(rows[b]), int(columns[b])), 1 if d1[k] < d2[k] else 2)
            )
    return found


def balanced(
    offers: Mapping[str, tuple[str, Sequence[Candidate]]], fewest: int = 2, most: int = 4
) -> dict[str, list[Candidate]]:
    """Choose `fewest` to `most` pairs an image so that, in every group, the location prior is right half of the time.

    `offers` maps an image to (group, candidates), in a fixed order; images with fewer than `fewest` candidates keep
    what they have. The choice depends on nothing else.
    """
    chosen: dict[str, list[Candidate]] = {}
    surplus: dict[str, int] = {}
    for number, (image, (group, pool)) in enumerate(offers.items()):
        agree = [pair for pair in pool if pair.lower_is_closer]
        against = [pair for pair in pool if not pair.lower_is_closer]
        kept: list[Candidate] = []
        while len(kept) < fewest + number % (most - fewest + 1) and (agree or against):
            bias = surplus.get(group, 0)
            source = agree if (bias < 0 or (bias == 0 and number % 2 == 0)) else against
            if not source:
                if len(kept) >= fewest:
                    break
                source = agree or against
            pair = source.pop(0)
            surplus[group] = bias + (1 if pair.lower_is_closer else -1)
            kept.append(pair)
        chosen[image] = kept
    return chosen
