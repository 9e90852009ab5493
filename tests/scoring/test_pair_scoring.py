"""Pairs: the strict rule, what is usable, and the coordinate order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dabench.scoring.pairs import score_pairs
from dabench.types import MAP_OUTPUTS, Output, Pair, Prediction

FIRST, SECOND = Pair((0, 0), (0, 1), 1), Pair((0, 0), (0, 1), 2)
NEARER_IS_LARGER = {Output.DISPARITY: True, Output.DEPTH: False, Output.METRIC: False}


def verdict(left: float, right: float, output: Output, pair: Pair = FIRST) -> tuple[bool, bool]:
    found = score_pairs(Prediction(np.array([[left, right]], np.float32), output), [pair])
    return bool(found.correct[0]), bool(found.usable[0])


@pytest.mark.parametrize("output", list(MAP_OUTPUTS))
def test_direction_follows_the_output_and_closer_point_is_honoured(output: Output) -> None:
    near, far = (2.0, 1.0) if NEARER_IS_LARGER[output] else (1.0, 2.0)
    assert verdict(near, far, output, FIRST) == (True, True)
    assert verdict(far, near, output, FIRST) == (False, True)
    assert verdict(near, far, output, SECOND) == (False, True)
    assert verdict(far, near, output, SECOND) == (True, True)


@pytest.mark.parametrize("output", list(MAP_OUTPUTS))
@pytest.mark.parametrize("pair", [FIRST, SECOND])
def test_a_tie_is_wrong_but_covered(output: Output, pair: Pair) -> None:
    assert verdict(1.5, 1.5, output, pair) == (False, True)


@pytest.mark.parametrize("output", list(MAP_OUTPUTS))
@pytest.mark.parametrize("pair", [FIRST, SECOND])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_value_is_wrong_and_uncovered(output: Output, pair: Pair, bad: float) -> None:
    for left, right in ((bad, 1.0), (1.0, bad), (bad, bad)):
        assert verdict(left, right, output, pair) == (False, False)


def test_only_disparity_may_be_negative() -> None:
    assert verdict(-1.0, -2.0, Output.DISPARITY) == (True, True)
    assert verdict(-2.0, 1.0, Output.METRIC)[1] is False
    assert verdict(0.0, 1.0, Output.DEPTH)[1] is False


def test_points_are_row_then_column() -> None:
    """A map that grows along columns only: reading (x, y) instead of (row, col) turns every verdict around."""
    values = np.tile(np.arange(30, dtype=np.float32), (30, 1))
    rng = np.random.default_rng(0)
    pairs = []
    while len(pairs) < 50:
        (r1, c1), (r2, c2) = (tuple(int(v) for v in rng.integers(0, 30, 2)) for _ in range(2))
        if c1 > c2 and r1 < r2:
            pairs.append(Pair((r1, c1), (r2, c2), 1))
    swapped = [Pair(p.point1[::-1], p.point2[::-1], p.closer) for p in pairs]
    prediction = Prediction(values, Output.DISPARITY)
    assert score_pairs(prediction, pairs).correct.mean() == 1.0
    assert score_pairs(prediction, swapped).correct.mean() == 0.0


def test_no_pairs_and_last_pixel() -> None:
    prediction = Prediction(np.arange(12, dtype=np.float32).reshape(3, 4), Output.DISPARITY)
    assert score_pairs(prediction, []).correct.shape == (0,)
    assert score_pairs(prediction, [Pair((2, 3), (0, 0), 1)]).correct.tolist() == [True]


def test_a_pair_names_point_one_or_two() -> None:
    with pytest.raises(ValueError, match="closer must be 1 or 2"):
        Pair((0, 0), (1, 1), 0)


@given(st.integers(0, 10_000), st.sampled_from(list(MAP_OUTPUTS)))
def test_swapping_points_with_their_label_changes_nothing(seed: int, output: Output) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([np.nan, -1.0, 0.5, 1.0, 2.0, np.inf], (5, 6)).astype(np.float32)
    pairs = [
        Pair((int(a), int(b)), (int(c), int(d)), int(k))
        for a, b, c, d, k in zip(
            rng.integers(0, 5, 9), rng.integers(0, 6, 9), rng.integers(0, 5, 9), rng.integers(0, 6, 9),
            rng.integers(1, 3, 9), strict=True,
        )
    ]  # fmt: skip
    prediction = Prediction(values, output)
    there, back = (
        score_pairs(prediction, pairs),
        score_pairs(prediction, [Pair(p.point2, p.point1, 3 - p.closer) for p in pairs]),
    )
    assert there.correct.tolist() == back.correct.tolist() and there.usable.tolist() == back.usable.tolist()
    flipped = score_pairs(prediction, [Pair(p.point1, p.point2, 3 - p.closer) for p in pairs])
    assert not (there.correct & flipped.correct).any()
