"""Coefficients of agreement on nominal ratings, in which anyone may have left anything out.

Each is a function of sums over items, so that a bootstrap that draws images needs only sums over images
(:mod:`annotation.agreement.bootstrap`). Ratings are ``int [N, R]``: item by rater, 0 to ``categories - 1``, -1 where a
rater gave none. A coefficient is NaN where it says nothing: without an item that two people rated, and (except for the
raw share and AC1) where only one category was ever used, so that chance alone agrees always.

Sources: J. Cohen, Educ. Psychol. Meas. 20, 1960; J. L. Fleiss, Psychol. Bull. 76, 1971; K. L. Gwet, Br. J. Math. Stat.
Psychol. 61, 2008, and Handbook of Inter-Rater Reliability, 4th ed., chapters 2 and 5 (missing ratings); K.
Krippendorff, Content Analysis, 2nd ed., section 11.3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ratings = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

RAW, FLEISS, ALPHA, AC1 = range(4)


def counts(ratings: Ratings, categories: int) -> Array:
    """How many raters put each item into each category: ``[N, K]``."""
    return np.stack([(ratings == k).sum(axis=1) for k in range(categories)], axis=1).astype(np.float64)


def item_terms(ratings: Ratings, categories: int) -> Array:
    """What each item adds to the sums of :func:`from_sums`: ``[N, 4 + 2 K]``.

    Columns: 1 and agreeing share where two or more rated; 1 where one or more rated; Krippendorff's agreement of the
    item; share of each category; count of each category where two or more rated.
    """
    n = counts(ratings, categories)
    m = n.sum(axis=1)
    many = m >= 2
    agreeing = (n * (n - 1.0)).sum(axis=1)
    less_one = np.maximum(m - 1.0, 1.0)
    return np.column_stack(
        [
            many,
            np.where(many, agreeing / (np.maximum(m, 1.0) * less_one), 0.0),
            m >= 1,
            np.where(many, agreeing / less_one, 0.0),
            n / np.maximum(m, 1.0)[:, None],
            np.where(many[:, None], n, 0.0),
        ]
    )


def from_sums(sums: Array, categories: int) -> Array:
    """Raw agreement, Fleiss' kappa, Krippendorff's alpha and Gwet's AC1 from sums of :func:`item_terms`.

    Args:
        sums: ``[..., 4 + 2 K]``.

    Returns:
        ``[..., 4]``, in the order :data:`RAW`, :data:`FLEISS`, :data:`ALPHA`, :data:`AC1`.
    """
    many, agreeing, rated, within = (sums[..., i] for i in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = agreeing / many
        used = sums[..., 4 : 4 + categories] / rated[..., None]
        by_fleiss = (used**2).sum(axis=-1)
        by_gwet = (used * (1.0 - used)).sum(axis=-1) / (categories - 1)
        each = sums[..., 4 + categories :]
        total = each.sum(axis=-1)
        disagreement = total - within
        by_chance = total - (each * (each - 1.0)).sum(axis=-1) / (total - 1.0)
        alpha = 1.0 - disagreement / by_chance
    return np.stack(
        [
            observed,
            corrected(observed, by_fleiss),
            np.where(by_chance > 1e-9, alpha, np.nan),
            corrected(observed, by_gwet),
        ],
        axis=-1,
    )


def corrected(observed: Array, chance: Array) -> Array:
    """``(observed - chance) / (1 - chance)``, NaN where chance alone agrees always."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chance < 1.0 - 1e-9, (observed - chance) / (1.0 - chance), np.nan)


def couple_terms(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], categories: int) -> Array:
    """``[N, K * K]``, one where both rated the item: the cell of their table in row-major order."""
    both = (first >= 0) & (second >= 0)
    terms = np.zeros((len(first), categories * categories))
    terms[np.flatnonzero(both), (first * categories + second)[both]] = 1.0
    return terms


def couple_from_sums(sums: Array, categories: int) -> Array:
    """Raw agreement and Cohen's kappa from a table of two raters, ``[..., K * K]`` -> ``[..., 2]``."""
    table = sums.reshape(*sums.shape[:-1], categories, categories)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = table / table.sum(axis=(-2, -1), keepdims=True)
    observed = np.trace(shares, axis1=-2, axis2=-1)
    chance = (shares.sum(axis=-1) * shares.sum(axis=-2)).sum(axis=-1)
    return np.stack([observed, corrected(observed, chance)], axis=-1)


def _of(ratings: npt.ArrayLike, categories: int, which: int) -> float:
    values = np.asarray(ratings, dtype=np.int64)
    return float(from_sums(item_terms(values, categories).sum(axis=0), categories)[which])


def raw(ratings: npt.ArrayLike, categories: int) -> float:
    """Mean over items of the share of couples of raters that agree."""
    return _of(ratings, categories, RAW)


def fleiss(ratings: npt.ArrayLike, categories: int) -> float:
    """Fleiss' kappa; with unequal numbers of ratings as Gwet has it (each item counts once)."""
    return _of(ratings, categories, FLEISS)


def krippendorff(ratings: npt.ArrayLike, categories: int) -> float:
    """Krippendorff's alpha for nominal data; items with one rating are left out."""
    return _of(ratings, categories, ALPHA)


def ac1(ratings: npt.ArrayLike, categories: int) -> float:
    """Gwet's AC1. ``categories`` counts those that could be chosen, used or not."""
    return _of(ratings, categories, AC1)


def cohen(first: npt.ArrayLike, second: npt.ArrayLike, categories: int) -> float:
    """Cohen's kappa of two raters on the items that both rated."""
    terms = couple_terms(np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64), categories)
    return float(couple_from_sums(terms.sum(axis=0), categories)[1])
