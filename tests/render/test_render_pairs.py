"""The choice of point pairs."""

from __future__ import annotations

import numpy as np

from dabench.render.pairs import RATIO, Candidate, balanced, candidates


def stairs() -> np.ndarray:
    """Depth rising upwards in the left half and downwards in the right half, in broad steps."""
    step = 1.0 + 0.5 * (np.arange(120) // 20)
    depth = np.empty((120, 160), np.float32)
    depth[:, :80] = step[::-1, None]
    depth[:, 80:] = step[:, None]
    return depth


def test_candidates_obey_their_rules() -> None:
    depth = stairs()
    found = candidates(depth, np.random.default_rng(0))
    assert sum(pair.lower_is_closer for pair in found) == 4 and len(found) == 8
    for pair in found:
        (r1, c1), (r2, c2) = pair.point1, pair.point2
        d1, d2 = depth[r1, c1], depth[r2, c2]
        assert RATIO[0] <= max(d1, d2) / min(d1, d2) <= RATIO[1]
        assert pair.closer == (1 if d1 < d2 else 2)
        assert abs(r1 - r2) >= 3
        for row, column in (pair.point1, pair.point2):
            assert 6 <= row < 114 and 6 <= column < 154
            window = depth[row - 2 : row + 3, column - 2 : column + 3]
            assert window.max() < 1.05 * window.min()


def test_no_candidates_in_the_sky_or_on_a_wall() -> None:
    assert candidates(np.zeros((60, 80), np.float32), np.random.default_rng(0)) == []
    assert candidates(np.full((60, 80), 2.0, np.float32), np.random.default_rng(0)) == []


def test_choice_is_balanced_in_every_group_and_has_two_to_four_pairs() -> None:
    rng = np.random.default_rng(1)
    offers = {}
    for number in range(60):
        agree = [Candidate((90, 10 + k), (20, 10), 1) for k in range(4)]
        against = [Candidate((20, 10 + k), (90, 10), 1) for k in range(int(rng.integers(0, 4)))]
        offers[f"image{number}"] = ("ab"[number % 2], agree + against)
    chosen = balanced(offers)
    for group in "ab":
        pairs = [pair for image, kept in chosen.items() if offers[image][0] == group for pair in kept]
        assert 0.45 <= np.mean([pair.lower_is_closer for pair in pairs]) <= 0.55
    assert all(2 <= len(kept) <= 4 and len(set(kept)) == len(kept) for kept in chosen.values())
    assert balanced(offers) == chosen


def test_entry_is_in_da2k_form() -> None:
    entry = Candidate((3, 4), (50, 6), 2).entry()
    assert entry == {"point1": [3, 4], "point2": [50, 6], "closer_point": "point2"}
