"""Paired tests against SciPy and closed forms; their false alarms and their power by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from dabench.scoring.statistics import (
    difference_sums,
    holm,
    mcnemar_exact,
    minimum_detectable_difference,
    paired_bootstrap,
    paired_permutation,
    standard_error,
)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 1), (3, 3), (0, 6), (12, 5), (5, 12), (70, 41), (900, 1010)])
def test_mcnemar_equals_the_binomial_test(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b) <= 1.0


def test_mcnemar_of_six_to_nothing() -> None:
    assert mcnemar_exact(0, 6) == 2 / 64


@pytest.mark.parametrize("size", [5, 9, 12])
def test_permutation_tries_every_swap_as_scipy_does(size: int) -> None:
    rng = np.random.default_rng(size)
    a, b = rng.normal(0.1, 0.02, size), rng.normal(0.11, 0.02, size)
    expected = stats.permutation_test(
        (a, b), lambda x, y, axis: (y - x).mean(axis), permutation_type="samples", n_resamples=10_000
    ).pvalue  # fmt: skip
    assert paired_permutation(a, b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_permutation_counts_ties_of_rounded_values(seed: int) -> None:
    """0.1 + 0.2 is not 0.3 in floating point; whole numbers, where it is, say how many swaps are as extreme."""
    differences = np.random.default_rng(seed).integers(-9, 10, 8)
    signs = np.array(list(itertools.product([-1, 1], repeat=8)))
    as_extreme = np.abs(signs @ differences) >= abs(differences.sum())
    assert paired_permutation(np.zeros(8), differences / 10) == as_extreme.mean()


def test_permutation_by_chance_agrees_with_the_t_test() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(0.10, 0.02, 300)
    b = a + rng.normal(0.001, 0.01, 300)
    assert paired_permutation(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.012)
    assert paired_permutation(a, b) == paired_permutation(a, b) != paired_permutation(a, b, seed=1)
    assert paired_permutation(a, a + 1.0, draws=999) == 1 / 1000


def test_swapped_models_give_the_same_p_and_the_mirrored_interval() -> None:
    rng = np.random.default_rng(2)
    a, b, weights = rng.random(80), rng.random(80), rng.integers(1, 9, 80)
    images = rng.integers(0, 25, 80)
    low, high = paired_bootstrap(a, b, images, weights)
    assert paired_bootstrap(b, a, images, weights) == pytest.approx((-high, -low), abs=1e-12)
    assert paired_permutation(a, b, images, weights) == paired_permutation(b, a, images, weights)


def test_what_does_not_differ_is_no_evidence() -> None:
    a = np.random.default_rng(3).random(20)
    assert paired_permutation(a, a) == 1.0 == mcnemar_exact(0, 0)
    assert paired_bootstrap(a, a) == (0.0, 0.0)


def test_samples_in_agreement_do_not_make_p_smaller() -> None:
    """Images on which the models agree say nothing about which is better; the test stays exact with any number."""
    differing = np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    many = np.zeros(2000)
    many[:5] = differing
    assert paired_permutation(np.zeros(2000), many) == paired_permutation(np.zeros(5), differing) == 2 / 16


def test_paired_bootstrap_equals_scipy() -> None:
    rng = np.random.default_rng(4)
    a = rng.lognormal(-2, 0.4, 60)
    b = a * rng.lognormal(0.05, 0.2, 60)
    for method in ("percentile", "bca"):
        expected = stats.bootstrap(
            (b - a,), np.mean, n_resamples=2000, method=method, rng=np.random.default_rng(7)
        ).confidence_interval  # fmt: skip
        got = paired_bootstrap(a, b, method=method, seed=7)  # type: ignore[arg-type]
        assert got == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_pairing_removes_what_the_models_share() -> None:
    rng = np.random.default_rng(5)
    difficulty = rng.lognormal(-2, 0.8, 100)
    a, b = difficulty, difficulty * 1.05
    low, high = paired_bootstrap(a, b)
    assert 0 < low < high
    unpaired = math.hypot(a.std(), b.std()) / 10
    assert high - low < unpaired / 3


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes"):
        paired_bootstrap([1.0, 2.0], [1.0])


def clustered_pairs(rng: np.random.Generator, gain: float, images: int = 60, each: int = 4) -> np.ndarray:
    """Two models on ``images`` images of ``each`` pairs whose answers agree within an image: ``[2, N]`` of 0 and 1."""
    level = rng.beta(4, 1.5, (images, 2))
    level[:, 1] = np.clip(level[:, 1] + gain, 0, 1)
    alike = rng.random((images, 2, 1)) < level[:, :, None]
    own = rng.random((images, 2, each)) < level[:, :, None]
    answers = np.where(rng.random((images, 2, each)) < 0.8, alike, own)
    return answers.transpose(1, 0, 2).reshape(2, -1).astype(float)


def test_false_alarms_of_clustered_pairs() -> None:
    """Models that are equally good: swapping whole images is right in 95 %; McNemar takes pairs for independent."""
    rng, runs = np.random.default_rng(6), 200
    images = np.repeat(np.arange(60), 4)
    alarms = {"permutation": 0, "bootstrap": 0, "mcnemar": 0}
    for _ in range(runs):
        a, b = clustered_pairs(rng, 0.0)
        alarms["permutation"] += paired_permutation(a, b, images, draws=300) <= 0.05
        low, high = paired_bootstrap(a, b, images, draws=300)
        alarms["bootstrap"] += not low <= 0.0 <= high
        alarms["mcnemar"] += mcnemar_exact(int((a > b).sum()), int((b > a).sum())) <= 0.05
    for test in ("permutation", "bootstrap"):
        assert stats.binomtest(alarms[test], runs, 0.05).pvalue > 1e-3, alarms
    assert alarms["mcnemar"] > 3 * alarms["permutation"] and alarms["mcnemar"] > 0.2 * runs


def test_minimum_detectable_difference_is_found_four_times_in_five() -> None:
    """A true difference of that size, in 400 simulated benchmarks; the binomial error of the share is 2 %."""
    rng = np.random.default_rng(7)
    known = 0.03 / math.sqrt(100)
    gain = minimum_detectable_difference(known)
    assert gain == pytest.approx((1.959964 + 0.841621) * known, rel=1e-6)
    found = 0
    for noise in rng.normal(gain, 0.03, (400, 100)):
        found += abs(noise.mean()) > 1.959964 * standard_error(noise, np.ones(100))
    assert found / 400 == pytest.approx(0.8, abs=0.06)


def test_standard_error_of_clusters() -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(0, 1, 50)
    assert standard_error(values, np.ones(50)) == pytest.approx(stats.sem(values), rel=1e-12)
    a, b = clustered_pairs(rng, 0.1)
    top, bottom = difference_sums(a, b, np.repeat(np.arange(60), 4), None)
    low, high = paired_bootstrap(a, b, np.repeat(np.arange(60), 4))
    assert standard_error(top, bottom) == pytest.approx((high - low) / (2 * 1.96), rel=0.1)
    assert math.isnan(standard_error([1.0], [1.0])) and math.isnan(standard_error([], []))


def test_holm_by_hand_and_against_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.3]) == [0.3] and holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02, float("nan"), 0.04])[::2] == pytest.approx([0.04, 0.04])
    p = np.random.default_rng(9).random(30) ** 3
    adjusted = holm(list(p))
    for i in range(30):
        smaller = [j for j in range(30) if p[j] <= p[i]]
        assert adjusted[i] == pytest.approx(min(1.0, max((30 - sum(p < p[j])) * p[j] for j in smaller)))


def test_holm_keeps_false_alarms_rare_together() -> None:
    """Ten true null hypotheses: some p is below 0.05 in 40 % of the cases, some adjusted one in 5 %."""
    p = np.random.default_rng(10).random((2000, 10))
    assert (p.min(axis=1) < 0.05).mean() > 0.35
    assert np.mean([min(holm(list(row))) < 0.05 for row in p]) == pytest.approx(0.05, abs=0.015)
