"""What tells a bad teacher from a good one without ground truth: counts over the labels of a shard."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

BINS = 20
MAX_MAD = 0.5
"""A map in [0, 1] deviates from its median by 0.5 at most in the mean."""


class ShardHealth(msgspec.Struct):
    """Sums over the images of a shard.

    Attributes:
        images: labels written.
        not_finite: images whose prediction held NaN or infinity; these have no label.
        not_finite_pixels: NaN and infinity in all predictions.
        constant: maps of one value.
        all_zero: maps of zeros only, among the constant ones.
        zero_share: mean share of exact zeros.
        mad_histogram: images by their MAD in units of the range, in 20 equal bins from 0 to 0.5.
    """

    images: int = 0
    not_finite: int = 0
    not_finite_pixels: int = 0
    constant: int = 0
    all_zero: int = 0
    zero_share: float = 0.0
    mad_histogram: list[int] = msgspec.field(default_factory=lambda: [0] * BINS)

    def add(self, zero_share: float, mad: float, constant: bool) -> None:
        """Count one label."""
        self.zero_share = (self.zero_share * self.images + zero_share) / (self.images + 1)
        self.images += 1
        self.constant += constant
        self.all_zero += constant and zero_share == 1
        self.mad_histogram[min(int(mad / MAX_MAD * BINS), BINS - 1)] += 1

    def add_not_finite(self, pixels: int) -> None:
        """Count one prediction that is no label."""
        self.not_finite += 1
        self.not_finite_pixels += pixels


def mean_absolute_deviation(values: npt.NDArray[np.float32]) -> float:
    """Mean |v - median| over (max - min); 0 for a constant map.

    The scale by which the affine-invariant loss divides labels (MiDaS, arXiv 1907.01341, eq. 5).
    """
    span = float(values.max()) - float(values.min())
    if span == 0:
        return 0.0
    return float(np.abs(values - np.median(values)).mean(dtype=np.float64)) / span
