"""Wilson against SciPy; the clustered bootstrap against its textbook properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from dabench.scoring import intervals
from dabench.scoring.statistics import cluster_bootstrap_interval, cluster_bootstrap_intervals, wilson_interval


@pytest.mark.parametrize("trials", [1, 2, 7, 60, 2068, 10**6])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_equals_scipy(trials: int, share: float, confidence: float) -> None:
    successes = round(share * trials)
    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(successes, trials, confidence)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)
    assert 0.0 <= low <= successes / trials <= high <= 1.0


def test_wilson_without_trials_says_nothing() -> None:
    assert all(math.isnan(v) for v in wilson_interval(0, 0))


def test_bootstrap_is_a_function_of_its_seed() -> None:
    rng = np.random.default_rng(1)
    pairs = rng.integers(1, 5, 200)
    correct = rng.binomial(pairs, 0.7)
    assert cluster_bootstrap_interval(correct, pairs) == cluster_bootstrap_interval(correct, pairs)
    assert cluster_bootstrap_interval(correct, pairs) != cluster_bootstrap_interval(correct, pairs, seed=1)


def test_bootstrap_of_several_metrics_is_that_of_each() -> None:
    rng = np.random.default_rng(1)
    values, weights = rng.normal(0.1, 0.02, (50, 3)), rng.integers(1, 9, (50, 3)).astype(float)
    for bottoms in (weights, np.ones((50, 3))):
        together = cluster_bootstrap_intervals(values * bottoms, bottoms)
        for metric, interval in enumerate(together):
            alone = cluster_bootstrap_interval(values[:, metric] * bottoms[:, metric], bottoms[:, metric])
            assert interval == pytest.approx(alone, rel=1e-12)
    assert all(math.isnan(v) for pair in cluster_bootstrap_intervals(values[:1], weights[:1]) for v in pair)


def test_bootstrap_in_chunks_is_as_good_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.1, 0.02, 300)
    whole = cluster_bootstrap_interval(values, np.ones(300))
    monkeypatch.setattr(intervals, "_CHUNK_BYTES", 8 * 300 * 7)
    assert cluster_bootstrap_interval(values, np.ones(300)) == pytest.approx(whole, abs=5e-4)


def test_bootstrap_of_a_mean_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(2).normal(0.1, 0.03, 500)
    low, high = cluster_bootstrap_interval(values, np.ones(500), draws=4000)
    half = 1.96 * values.std() / math.sqrt(500)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_clusters_widen_the_interval() -> None:
    """Ten pairs that agree within an image are one observation, not ten."""
    rng = np.random.default_rng(3)
    by_image = rng.binomial(1, 0.8, 150) * 10
    low, high = cluster_bootstrap_interval(by_image, np.full(150, 10))
    naive_low, naive_high = wilson_interval(int(by_image.sum()), 1500)
    assert high - low > 2.5 * (naive_high - naive_low)


def test_bootstrap_covers_the_truth_about_95_times_in_100() -> None:
    """400 simulated benchmarks of 100 images; the binomial error of the coverage is 1.1 %."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        difficulty = rng.beta(8, 2, 100)  # mean 0.8; independent of the number of pairs, so 0.8 is also the pooled mean
        pairs = rng.integers(1, 4, 100)
        low, high = cluster_bootstrap_interval(rng.binomial(pairs, difficulty), pairs, draws=300)
        covered += low <= 0.8 <= high
    assert 0.90 <= covered / 400 <= 0.98


@pytest.mark.parametrize("clusters", [0, 1])
def test_fewer_than_two_images_say_nothing(clusters: int) -> None:
    assert all(math.isnan(v) for v in cluster_bootstrap_interval([1.0] * clusters, [1.0] * clusters))


def test_unanimous_images_give_a_point() -> None:
    assert cluster_bootstrap_interval([2, 1, 3], [2, 1, 3]) == (1.0, 1.0)
    assert cluster_bootstrap_interval([0, 0], [3, 1]) == (0.0, 0.0)
