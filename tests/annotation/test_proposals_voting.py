"""Votes, scores, gaps and filters against plain computations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from annotation.keypoints import KeyPoint, KeyPoints
from annotation.proposals.drawing import generator_for
from annotation.proposals.filters import STAGES, candidate_pairs, in_band, usable_points
from annotation.proposals.settings import ProposalSettings
from annotation.proposals.voting import Ballots, Reading, disagreement, gaps, read_points, vote
from dabench.errors import UsageError
from dabench.types import Output

SIZE = (60, 80)


def ramp(height: int = 60, width: int = 80) -> np.ndarray:
    """Grows downwards."""
    return np.repeat(np.arange(1, height + 1, dtype=np.float32)[:, None], width, axis=1)


def read(values: np.ndarray, output: Output, *points: tuple[int, int]) -> Reading:
    rows, cols = np.array(points, np.int64).T
    return read_points(values, output, rows, cols, SIZE)


@pytest.mark.parametrize(
    ("output", "values", "winner"),
    [
        (Output.DISPARITY, ramp(), -1),
        (Output.DEPTH, ramp(), 1),
        (Output.METRIC, ramp(), 1),
        (Output.DISPARITY, -3 * ramp() + 7, 1),
        (Output.DISPARITY, (1000 * ramp()).astype(np.float32), -1),
    ],
)
def test_the_sign_of_a_vote_follows_the_output(output: Output, values: np.ndarray, winner: int) -> None:
    reading = read(values, output, (10, 40), (50, 40))
    ballots = vote([reading], np.array([0, 1]), np.array([1, 0]), tie=0.01)
    assert ballots.votes.tolist() == [[winner, -winner]]
    low, high = np.percentile(values, [2, 98])
    assert ballots.differences[0, 0] == pytest.approx(winner * abs(values[50, 0] - values[10, 0]) / (high - low))
    assert ballots.ranks[0, 0] == pytest.approx(winner * 40 / 60)


def test_a_vote_compares_medians_so_that_one_wrong_pixel_decides_nothing() -> None:
    values = ramp()
    values[10, 40], values[50, 41] = 999, np.nan
    reading = read(values, Output.DISPARITY, (10, 40), (50, 40), (0, 0))
    assert reading.values[0] == 999 and reading.medians[:2] == pytest.approx([11, 51])
    assert math.isinf(reading.roughness[1]), "a window that is not whole is not smooth"
    assert reading.medians[2] == 1, "windows stop at the border"


def test_ties_are_small_unknown_or_flat() -> None:
    points = np.array([0]), np.array([1])
    near = read(ramp(), Output.DISPARITY, (30, 10), (30, 60))
    assert vote([near], *points, tie=0).votes.tolist() == [[0]]
    close = read(ramp(), Output.DISPARITY, (30, 10), (31, 60))
    assert [vote([close], *points, tie=tie).votes.item() for tie in (0.01, 0.02)] == [-1, 0]
    flat = read(np.full(SIZE, 4, np.float32), Output.METRIC, (10, 10), (50, 10))
    unknown = read(np.full(SIZE, np.nan, np.float32), Output.DEPTH, (10, 10), (50, 10))
    negative = read(-ramp(), Output.METRIC, (10, 10), (50, 10))
    ballots = vote([flat, unknown, negative], *points, tie=0.01)
    assert not ballots.votes.any() and np.isnan(ballots.differences).all()
    assert np.isnan(gaps(ballots, "difference", [True] * 3)).all() and np.isinf(unknown.roughness).all()


def test_a_smaller_map_is_read_at_the_same_place() -> None:
    rows, cols = np.array([0, 29, 59]), np.array([0, 40, 79])
    small = read_points(ramp(30, 40), Output.DISPARITY, rows, cols, SIZE)
    assert small.values.tolist() == [1, 15, 30]


def ballots_of(votes: list[int], differences: list[float] | None = None) -> Ballots:
    signed = np.array(differences or [0.3 * v for v in votes], float)[:, None]
    return Ballots(np.array(votes, np.int8)[:, None], signed, signed / 2)


def test_the_score_is_entropy_and_margin() -> None:
    for votes, bits in (([1, 1, 1, 1], 0), ([1, 1, 1, -1], 0.8113), ([1, 1, -1, -1], 1), ([1, -1, 0], math.log2(3))):
        assert disagreement(ballots_of(votes), 0).item() == pytest.approx(bits, abs=1e-4)
    level, clear = ballots_of([1, 1, -1], [0.1, 0.1, -0.2]), ballots_of([1, 1, -1], [0.9, 0.9, -0.06])
    assert disagreement(level, 0.25).item() == pytest.approx(0.9183 + 0.25, abs=1e-4)
    assert disagreement(clear, 0.25).item() == pytest.approx(0.9183 + 0.25 * (1 - 0.58), abs=1e-4)


def test_unanimity_needs_every_voice() -> None:
    assert [ballots_of(v).unanimous.item() for v in ([1, 1], [-1, -1], [1, 0], [0, 0], [1, -1])] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert [ballots_of(v).majority.item() for v in ([1, 1, -1], [0, -1], [1, -1])] == [1, -1, 0]


def test_the_gap_is_the_median_of_those_who_look() -> None:
    ballots = ballots_of([1, 1, -1, -1], [0.1, 0.3, -0.5, -0.9])
    assert gaps(ballots, "difference", [True] * 4).item() == pytest.approx(0.4)
    assert gaps(ballots, "difference", [True, True, True, False]).item() == pytest.approx(0.3)
    assert gaps(ballots, "rank", [True] * 4).item() == pytest.approx(0.2)
    assert np.isnan(gaps(ballots, "rank", [False] * 4)).all()


def scattered(count: int = 120, seed: int = 3) -> tuple[KeyPoints, Reading]:
    """Random points on a 600x800 picture of four regions, one inside another, and a map with a rough corner."""
    random = np.random.default_rng(seed)
    height, width = 600, 800
    rows, cols = random.integers(0, height, count), random.integers(0, width, count)
    labels = np.ones((height, width), np.uint16)
    labels[100:500, 100:700], labels[200:400, 200:400], labels[200:400, 450:650] = 2, 3, 4
    edges = np.zeros((height, width), bool)
    edges[1:] |= labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    at = labels[rows, cols]
    inside = {1: {1}, 2: {2, 3}, 3: {3}, 4: {4}}
    holds = np.array([[b in inside[a] for b in at] for a in at], bool).reshape(count, count)
    points = tuple(KeyPoint(int(r), int(c)) for r, c in zip(rows, cols, strict=True))
    values = ramp(height, width)
    values[:150, :150] += random.normal(0, 90, (150, 150))
    return KeyPoints(points, labels, holds, edges, {"source": "region"}), read_points(
        values, Output.DISPARITY, rows, cols, (height, width)
    )


def test_every_candidate_obeys_every_filter_and_counts_go_down() -> None:
    keypoints, reading = scattered()
    settings = ProposalSettings(max_points=30, level=0.5)
    kept, left = usable_points(keypoints, [reading], settings, generator_for(1))
    first, second, more = candidate_pairs(keypoints, kept, settings)
    left |= more
    assert list(left) == [s for s in STAGES if s != "gap"]
    assert left["points"].pairs == 120 * 119 // 2 and left["thinned"].points == 30
    counts = [count.pairs for count in left.values()]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) >= 7 and len(first) == counts[-1] > 0
    edges, diagonal = np.argwhere(keypoints.edges), math.hypot(600, 800)
    for point in (keypoints.points[n] for n in kept):
        assert 18 <= point.row < 600 - 18 and 24 <= point.col < 800 - 24
        assert np.hypot(*(edges - (point.row, point.col)).T).min() >= 8 * 800 / 1024
    assert (reading.roughness[kept] <= 0.05).all() and (reading.roughness > 0.05).any()
    places = np.array([(keypoints.points[n].row, keypoints.points[n].col) for n in kept])
    between = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert between[np.triu_indices(30, 1)].min() >= 0.02 * diagonal
    for i, j in zip(first, second, strict=True):
        a, b = keypoints.points[i], keypoints.points[j]
        assert math.hypot(a.row - b.row, a.col - b.col) >= 0.05 * diagonal and abs(a.row - b.row) <= 300
        assert not keypoints.same_region(i, j)


def test_no_points_and_no_pairs_are_no_error() -> None:
    keypoints, reading = scattered(0)
    kept, left = usable_points(keypoints, [reading], ProposalSettings(), generator_for(1))
    first, _, more = candidate_pairs(keypoints, kept, ProposalSettings())
    assert len(first) == 0 and {(c.points, c.pairs) for c in (left | more).values()} == {(0, 0)}


def test_the_band_of_gaps() -> None:
    gap = np.array([0.01, 0.05, 0.3, 0.9, np.nan])
    assert in_band(gap, ProposalSettings()).tolist() == [False, True, True, True, False]
    assert in_band(gap, ProposalSettings(gap_max=0.5)).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    "wrong",
    [
        {"pairs": 0}, {"pairs_per_image": 0}, {"control_share": 1.5}, {"border": 0.5}, {"max_points": 1},
        {"gap_min": 0.5, "gap_max": 0.4}, {"gap_edges": (0.3, 0.2)}, {"gap_edges": (0.01,)}, {"level": -1.0},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_named(wrong: dict) -> None:
    with pytest.raises(UsageError, match=f"'{list(wrong)[-1]}'"):
        ProposalSettings(**wrong)
