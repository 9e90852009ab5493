"""Votes of expert depth maps on pairs of points: who is closer, by how much, and how far the experts disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dabench.types import DepthMap, Output

WINDOW = 5
"""Side of the square whose median is compared, in pixels of the map: one wrong pixel decides nothing."""
RANKED = 65_536
"""Values of a map, at most, among which a rank is taken."""
VOTES = ("tie", "a", "b")
"""Names of the codes 0, 1 and -1."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What one expert's map says at n points.

    Attributes:
        output: what the values mean.
        values: float64 [n], raw, at the points.
        medians: float64 [n], of the finite values in the 5x5 window, NaN when there is none.
        roughness: float64 [n], interquartile range in the window over ``spread``; infinite where not all is finite.
        ranks: float64 [n], share of the map's values below the median, from 0 to 1.
        spread: 98th minus 2nd percentile of the map's finite values; 0 for a map that says nothing.
    """

    output: Output
    values: NDArray[np.float64]
    medians: NDArray[np.float64]
    roughness: NDArray[np.float64]
    ranks: NDArray[np.float64]
    spread: float


@dataclass(frozen=True, eq=False)
class Ballots:
    """Votes of k experts on m pairs.

    Attributes:
        votes: int8 [k, m]; 1: the first point is closer, -1: the second, 0: a tie.
        differences: float64 [k, m], how much closer the first point is, over the spread of the map; NaN: unknown.
        ranks: float64 [k, m], the same in ranks of the map.
    """

    votes: NDArray[np.int8]
    differences: NDArray[np.float64]
    ranks: NDArray[np.float64]

    @property
    def majority(self) -> NDArray[np.int8]:
        """int8 [m], sign of the sum of the votes."""
        return np.sign(self.votes.sum(axis=0, dtype=np.int64)).astype(np.int8)

    @property
    def unanimous(self) -> NDArray[np.bool_]:
        """bool [m], all experts name the same point. A tie names none."""
        return np.abs(self.votes.sum(axis=0, dtype=np.int64)) == len(self.votes)


def read_points(
    values: DepthMap, output: Output, rows: NDArray[np.int64], cols: NDArray[np.int64], size: tuple[int, int]
) -> Reading:
    """Read a map at points of an image.

    Args:
        values: float [h, w], possibly smaller than the image.
        rows, cols: pixels of the image.
        size: ``(height, width)`` of the image.
    """
    height, width = values.shape
    r = np.minimum((rows * 2 + 1) * height // (2 * size[0]), height - 1)
    c = np.minimum((cols * 2 + 1) * width // (2 * size[1]), width - 1)
    half = WINDOW // 2
    steps = np.arange(-half, half + 1)
    window_r = np.clip(r[:, None, None] + steps[None, :, None], 0, height - 1)
    window_c = np.clip(c[:, None, None] + steps[None, None, :], 0, width - 1)
    windows = values[window_r, window_c].astype(np.float64).reshape(len(rows), WINDOW * WINDOW)
    if output is Output.METRIC:
        windows = np.where(windows > 0, windows, np.nan)  # no distance is zero or negative
    windows = np.where(np.isfinite(windows), windows, np.nan)
    usable = ~np.isnan(windows).all(axis=1)
    medians = np.full(len(rows), np.nan)
    medians[usable] = np.nanmedian(windows[usable], axis=1)
    finite = values[np.isfinite(values)].astype(np.float64)
    spread = 0.0
    ranks = np.full(len(rows), np.nan)
    if finite.size:
        low, high = np.percentile(finite, [2, 98])
        spread = float(high - low)
        some = np.sort(finite[:: max(1, finite.size // RANKED)])
        below, up_to = np.searchsorted(some, medians, "left"), np.searchsorted(some, medians, "right")
        ranks = np.where(usable, (below + up_to) / (2 * some.size), np.nan)
    roughness = np.full(len(rows), np.inf)
    whole = ~np.isnan(windows).any(axis=1)
    if spread > 0:
        upper, lower = np.percentile(windows[whole], [75, 25], axis=1) if whole.any() else (np.empty(0), np.empty(0))
        roughness[whole] = (upper - lower) / spread
    return Reading(output, values[r, c].astype(np.float64), medians, roughness, ranks, spread)


def vote(readings: Sequence[Reading], first: NDArray[np.int64], second: NDArray[np.int64], tie: float) -> Ballots:
    """Let the experts vote on pairs of the points they were read at.

    A larger value is closer for disparity and farther for depth and metric output.

    Args:
        readings: of k experts at the same n points.
        first, second: numbers of the points of m pairs.
        tie: a difference below this share of a map's spread is a tie; so is any in a map without spread, and one with
            a value that is unknown.
    """
    shape = (len(readings), len(first))
    votes, differences, ranks = np.zeros(shape, np.int8), np.full(shape, np.nan), np.full(shape, np.nan)
    for k, reading in enumerate(readings):
        sign = 1.0 if reading.output.larger_is_nearer else -1.0
        if reading.spread > 0:
            differences[k] = sign * (reading.medians[first] - reading.medians[second]) / reading.spread
            ranks[k] = sign * (reading.ranks[first] - reading.ranks[second])
        known = np.nan_to_num(differences[k], nan=0.0)
        votes[k] = np.where(np.abs(known) >= max(tie, np.finfo(float).tiny), np.sign(known), 0).astype(np.int8)
    return Ballots(votes, differences, ranks)


def disagreement(ballots: Ballots, margin_weight: float) -> NDArray[np.float64]:
    """Score of each pair, float64 [m]: entropy of the votes in bits, plus ``margin_weight`` times (1 - margin).

    The entropy is that of the shares of a, b and tie; four voters who split 2:2 give 1 bit, 3:1 gives 0.811. The margin
    is the absolute mean of the signed differences, each cut to [-1, 1]: of pairs with the same votes, those that the
    experts see nearly level score higher.
    """
    k = len(ballots.votes)
    if k == 0:
        return np.zeros(ballots.votes.shape[1])
    entropy = np.zeros(ballots.votes.shape[1])
    for code in (-1, 0, 1):
        share = (ballots.votes == code).sum(axis=0) / k
        entropy -= np.where(share > 0, share * np.log2(np.where(share > 0, share, 1.0)), 0.0)
    cut = np.clip(np.nan_to_num(ballots.differences, nan=0.0), -1, 1)
    score: NDArray[np.float64] = np.abs(entropy) + margin_weight * (1 - np.abs(cut.mean(axis=0)))
    return score


def gaps(ballots: Ballots, measure: Literal["difference", "rank"], counted: Sequence[bool]) -> NDArray[np.float64]:
    """Depth gap of each pair, float64 [m]: median over the counted experts of the absolute difference; NaN: unknown.

    A ratio of values is not used: it has no meaning for maps that are known up to scale and shift.

    Args:
        measure: ``difference`` over the spread of the map, invariant to scale and shift; or ``rank``, invariant to any
            monotone change.
        counted: for each expert, whether it looks at the picture; a baseline's values are no depth.
    """
    chosen = (ballots.differences if measure == "difference" else ballots.ranks)[np.asarray(counted, bool)]
    found = np.full(ballots.votes.shape[1], np.nan)
    if len(chosen):
        known = ~np.isnan(chosen).all(axis=0)
        found[known] = np.nanmedian(np.abs(chosen[:, known]), axis=0)
    return found
