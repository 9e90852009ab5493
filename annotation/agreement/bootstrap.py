"""All coefficients of a table of ratings, with intervals from a bootstrap that draws images.

Pairs of one image share what makes it hard, so whole images are drawn. One matrix product gives the sums of all draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from dabench.scoring.intervals import NOTHING, Interval, clopper_pearson, cluster_sums, resampled_sums

from .coefficients import Array, Ratings, couple_from_sums, couple_terms, from_sums, item_terms

LEAST_DEFINED = 0.5
"""Share of draws in which a coefficient must be defined for an interval to be given."""


@dataclass(frozen=True)
class Coefficient:
    value: float
    interval: Interval
    items: int


@dataclass(frozen=True)
class CoupleAgreement:
    """Two raters, by their column."""

    first: int
    second: int
    raw: Coefficient
    kappa: Coefficient


@dataclass(frozen=True)
class Agreement:
    """``items`` were rated by two people or more; ``ratings`` counts all ratings of these."""

    items: int
    ratings: int
    raw: Coefficient
    fleiss: Coefficient
    alpha: Coefficient
    ac1: Coefficient
    cohen: list[CoupleAgreement]


def agreement(
    ratings: npt.ArrayLike,
    clusters: npt.ArrayLike,
    categories: int,
    *,
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> Agreement:
    """Raw agreement, Fleiss, Krippendorff, AC1, and Cohen for each couple that shares an item.

    Args:
        ratings: ``int [N, R]``, 0 to ``categories - 1``, -1: none.
        clusters: ``[N]`` labels, the image of each item.

    An interval is NaN with fewer than two images, and where the coefficient is undefined in more than half of the
    draws. Where everybody always agrees resampling sees no spread: the raw share gets the exact interval over images
    (Clopper and Pearson), the others none.
    """
    table: Ratings = np.asarray(ratings, dtype=np.int64)
    if table.ndim != 2 or len(table) != len(np.asarray(clusters)):
        raise ValueError(f"ratings of shape {table.shape} and {len(np.asarray(clusters))} clusters")
    rated_twice = (table >= 0).sum(axis=1) >= 2
    couples = [
        (i, j) for i, j in combinations(range(table.shape[1]), 2) if ((table[:, i] >= 0) & (table[:, j] >= 0)).any()
    ]
    blocks = [item_terms(table, categories), *(couple_terms(table[:, i], table[:, j], categories) for i, j in couples)]
    if not len(table):
        blocks = [np.zeros((1, blocks[0].shape[1]))]
    sums = cluster_sums(np.concatenate(blocks, axis=1), np.asarray(clusters) if len(table) else [0])
    drawn = resampled_sums(sums, draws, seed)
    total = sums.sum(axis=0)
    width = blocks[0].shape[1]

    def summed_up(values: Array, samples: Array, items: int, images: int) -> list[Coefficient]:
        """The first of ``values`` is a raw share."""
        found = []
        for column, value in enumerate(values):
            interval = _interval(samples[:, column], level) if images >= 2 else NOTHING
            if values[0] == 1.0:
                interval = clopper_pearson(images, images, level) if column == 0 else NOTHING
            found.append(Coefficient(float(value), interval, items))
        return found

    items = int(total[0])
    overall, kappa, alpha, gwet = summed_up(
        from_sums(total[:width], categories),
        from_sums(drawn[:, :width], categories),
        items,
        int((sums[:, 0] > 0).sum()),
    )
    found = []
    for number, (i, j) in enumerate(couples):
        start = width + number * categories**2
        part = slice(start, start + categories**2)
        shared = sums[:, part].sum(axis=1)
        share, corrected = summed_up(
            couple_from_sums(total[part], categories),
            couple_from_sums(drawn[:, part], categories),
            int(shared.sum()),
            int((shared > 0).sum()),
        )
        found.append(CoupleAgreement(i, j, share, corrected))
    return Agreement(items, int((table[rated_twice] >= 0).sum()), overall, kappa, alpha, gwet, found)


def _interval(estimates: Array, level: float) -> Interval:
    defined = estimates[np.isfinite(estimates)]
    if len(defined) <= LEAST_DEFINED * len(estimates):
        return NOTHING
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)
