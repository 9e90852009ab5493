"""Answers of several people on one footing, with balanced labels.

A chance-corrected coefficient depends on how often each label is used. In the order of an export in which the first
point is always the closer one, every label is the same and kappa is about 0 however well people agree. As shown, with
the two points in random order, both labels are used about equally often and chance agreement is one half. But each
person sees a pair in their own order, so "first" of one may be "second" of another. Both demands are met by one order
a pair that is random with respect to depth and common to all: it follows from a hash of the pair's id.
"""

from __future__ import annotations

import hashlib

ONE, TWO, UNDECIDED = 0, 1, 2
"""Codes of a rating: the closer point is the first of the reference order, the second of it, or cannot be told."""


def reference_first(pair: str) -> str:
    """Which point, ``a`` or ``b``, is the first of the pair's reference order: a fair coin made from its id."""
    return "ab"[hashlib.sha256(f"reference order of {pair}".encode()).digest()[0] & 1]


def in_reference_order(pair: str, answer: str) -> int:
    """Code of a canonical answer ``a | b | equal | skip``."""
    if answer not in ("a", "b"):
        return UNDECIDED
    return ONE if answer == reference_first(pair) else TWO
