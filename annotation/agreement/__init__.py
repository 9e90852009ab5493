"""Do people agree more than by chance: coefficients, their intervals, and a second opinion on the labels."""

from .bootstrap import Agreement, CoupleAgreement, agreement
from .coefficients import Ratings, ac1, cohen, fleiss, krippendorff, raw
from .dawid_skene import DawidSkene, dawid_skene
from .presentation import in_reference_order, reference_first

__all__ = [
    "Agreement",
    "CoupleAgreement",
    "DawidSkene",
    "Ratings",
    "ac1",
    "agreement",
    "cohen",
    "dawid_skene",
    "fleiss",
    "in_reference_order",
    "krippendorff",
    "raw",
    "reference_first",
]
