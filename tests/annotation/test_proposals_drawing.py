"""The draw: exact probabilities, hard limits, and an estimate without bias."""

from __future__ import annotations

import numpy as np
import pytest

from annotation.proposals.drawing import (
    UNIT,
    cell_shares,
    draw,
    expected_counts,
    generator_for,
    round_table,
    systematic,
)


def population(images: int = 12, columns: int = 4, seed: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Strata and weights of candidates; the last column is rare, one image has none and one a single candidate."""
    random = np.random.default_rng(seed)
    sizes = random.integers(3, 20, images)
    sizes[2], sizes[5] = 0, 1
    strata = [random.choice(columns, size, p=[0.5, 0.3, 0.15, 0.05]) for size in sizes]
    return strata, [random.uniform(0.2, 2.0, size) for size in sizes]


@pytest.mark.parametrize(
    ("wanted", "per_image"), [([6, 4, 2, 2], 2), ([1.5, 1.5, 0.5, 0.5], 1), ([9, 6, 4, 3], 2), ([90, 9, 9, 9], 3)]
)
def test_a_table_of_expectations_obeys_every_limit(wanted: list[float], per_image: int) -> None:
    strata, _ = population()
    sizes = np.array([np.bincount(s, minlength=4) for s in strata])
    units = expected_counts(sizes, np.array(wanted, float), per_image)
    assert ((units > 0) == (sizes > 0)).all() and (units <= sizes * UNIT).all()
    assert units.sum(axis=1).max() <= per_image * UNIT
    total = min(sum(wanted), np.minimum(sizes.sum(axis=1), per_image).sum())
    assert units.sum() / UNIT == pytest.approx(total, abs=1e-6)
    reachable = np.minimum(sizes, per_image).sum(axis=0)
    uniform = total * np.minimum(sizes.sum(axis=1), per_image) / np.minimum(sizes.sum(axis=1), per_image).sum()
    least = 0.1 * uniform[:, None] * sizes / np.maximum(sizes.sum(axis=1, keepdims=True), 1)
    assert (units / UNIT >= least * (1 - 1e-9)).all(), "no cell below a tenth of a uniform draw"
    if sum(wanted) <= 8:
        np.testing.assert_allclose(units.sum(axis=0) / UNIT, np.minimum(wanted, reachable), atol=1e-6)


def test_a_column_that_is_not_wanted_is_never_drawn_from() -> None:
    units = expected_counts(np.full((5, 2), 9), np.array([20.0, 0.0]), 3)
    assert units[:, 1].sum() == 0 and units.sum() / UNIT == pytest.approx(15)


def test_rounding_keeps_rows_columns_and_groups_and_has_the_right_mean() -> None:
    table = np.random.default_rng(0).uniform(0, 0.6, (9, 4))
    table[3, 1] = table[4] = 0
    table *= np.array([3.5, 2.5, 1.25, 0.75]) / table.sum(axis=0)
    units = np.floor(table * UNIT).astype(np.int64)
    generator, rounds = generator_for("rounding"), 1200
    total = np.zeros_like(table)
    for _ in range(rounds):
        counts = round_table(units, [0, 0, 1, 1], generator)
        for axis in (0, 1):
            assert (np.abs(counts.sum(axis=axis) - table.sum(axis=axis)) < 1).all()
        assert (np.abs(counts - table) < 1).all()
        assert (counts[:, :2].sum(), counts[:, 2:].sum()) == (6, 2)
        total += counts
    part = table % 1
    error = np.sqrt(np.maximum(part * (1 - part), 1e-12) / rounds)
    assert (np.abs(total / rounds - table) < 4.5 * error + 1e-6).all()


def test_groups_without_a_whole_sum_keep_their_total() -> None:
    units = np.floor(np.full((6, 2), [0.25, 0.75]) * UNIT).astype(np.int64)  # 1.5 and 4.5
    for seed in range(50):
        assert round_table(units, [0, 1], generator_for(seed)).sum() == 6


def test_systematic_sampling_lands_by_measure() -> None:
    measures = np.array([0.5, 1.0, 0.1, 0.4, 0.0, 1.0])
    starts = (np.arange(1000) + 0.5) / 1000
    hits = np.zeros(6)
    for start in starts:
        found = systematic(measures, start)
        assert len(set(found.tolist())) == 3
        hits[found] += 1
    np.testing.assert_allclose(hits / 1000, measures, atol=2e-3)
    assert len(systematic(np.zeros(3), 0.3)) == 0 and len(systematic(np.empty(0), 0.3)) == 0


def test_shares_follow_the_weights_up_to_the_limit() -> None:
    np.testing.assert_allclose(cell_shares(np.array([1.0, 2, 3, 4]), 1), [0.1, 0.2, 0.3, 0.4])
    capped = cell_shares(np.array([1.0, 1, 2, 96]), 3)
    np.testing.assert_allclose(capped, [1 / 6, 1 / 6, 1 / 3, 1 / 3])
    np.testing.assert_allclose(cell_shares(np.array([5.0, 1.0]), 2), [0.5, 0.5])


def test_every_pair_is_drawn_as_often_as_its_probability_says_and_the_estimate_is_unbiased() -> None:
    strata, weights = population()
    index = {(i, k): n for n, (i, k) in enumerate((i, k) for i, s in enumerate(strata) for k in range(len(s)))}
    right = np.random.default_rng(7).random(len(index)) < np.concatenate([0.95 - 0.2 * s for s in strata])
    said = np.full(len(index), np.nan)
    rounds = 400
    hits, weighted_sums, sizes, hajek = np.zeros(len(index)), [], [], []
    for seed in range(rounds):
        drawn, expected = draw(strata, weights, [5, 4, 2, 2], [0, 0, 1, 1], 2, generator_for("draw", seed))
        assert len(drawn) == 13 and expected.sum() == pytest.approx(13)
        assert len({(d.image, d.candidate) for d in drawn}) == 13
        assert np.bincount([d.image for d in drawn]).max() <= 2
        n = [index[d.image, d.candidate] for d in drawn]
        pi = np.array([d.probability for d in drawn])
        assert ((said[n] == pi) | np.isnan(said[n])).all(), "a pair has one probability, whatever else is drawn"
        said[n] = pi
        hits[n] += 1
        weighted_sums.append((right[n] / pi).sum())
        sizes.append((1 / pi).sum())
        hajek.append(weighted_sums[-1] / sizes[-1])
    assert np.isnan(said).mean() < 0.05  # those of least probability may not have been drawn yet
    known = ~np.isnan(said)
    assert said[known].sum() == pytest.approx(13, abs=0.05)
    z = (hits[known] / rounds - said[known]) / np.sqrt(said[known] * (1 - said[known]) / rounds + 1e-12)
    assert np.abs(z[said[known] < 1]).max() < 4.5 and z.std() < 1.3
    for values, truth in ((weighted_sums, right.sum()), (sizes, len(index))):
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / np.sqrt(rounds)
    plain = np.average(right[known], weights=said[known])
    assert abs(np.mean(hajek) - right.mean()) < 0.015 < abs(plain - right.mean())


def test_the_draw_depends_on_its_seed_only() -> None:
    strata, weights = population()
    first, again, other = (draw(strata, weights, [3, 3, 1, 1], [0] * 4, 2, generator_for(s))[0] for s in (1, 1, 2))
    assert first == again != other
    assert draw([], [], [3.0], [0], 2, generator_for(0))[0] == []
    assert draw([np.empty(0, np.int64)], [np.empty(0)], [3.0], [0], 2, generator_for(0))[0] == []
    # golden: a draw must not change under anybody's hands
    assert [(d.image, d.candidate) for d in first] == [
        (0, 7),
        (1, 6),
        (3, 7),
        (7, 15),
        (8, 6),
        (9, 3),
        (10, 2),
        (11, 6),
    ]
