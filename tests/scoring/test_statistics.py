"""Intervals against SciPy and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binomtest

from dabench.scoring.statistics import bootstrap_ci, clopper_pearson, cluster_bootstrap_interval, ratio_ci, wilson


@pytest.mark.parametrize("trials", [1, 7, 60, 2068])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_clopper_pearson_equals_scipy(trials: int, share: float, level: float) -> None:
    successes = round(share * trials)
    expected = binomtest(successes, trials).proportion_ci(level, method="exact")
    assert clopper_pearson(successes, trials, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_clopper_pearson_always_covers_and_wilson_on_average() -> None:
    """Coverage is computed, not simulated: the sum of the binomial probabilities whose interval holds the share."""
    n = 40
    counts = np.arange(n + 1)
    exact, score = (np.array([method(int(k), n) for k in counts]) for method in (clopper_pearson, wilson))
    shares = np.linspace(0.02, 0.98, 97)
    chances = stats.binom.pmf(counts[:, None], n, shares)
    covered = [(chances * ((ends[:, :1] <= shares) & (shares <= ends[:, 1:]))).sum(axis=0) for ends in (exact, score)]
    assert covered[0].min() >= 0.95
    assert covered[1].min() < 0.95 and covered[1].mean() == pytest.approx(0.95, abs=0.01)


def test_no_trials_say_nothing() -> None:
    assert all(math.isnan(end) for end in clopper_pearson(0, 0))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_of_a_mean_equals_scipy(method: str) -> None:
    """SciPy draws the same indices from the same seed, so that the intervals agree to the last digits."""
    values = np.random.default_rng(0).lognormal(0.0, 1.0, 40)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=999, method=method, rng=np.random.default_rng(5)
    ).confidence_interval  # fmt: skip
    fast = bootstrap_ci(values, method=method, draws=999, seed=5)  # type: ignore[arg-type]
    slow = bootstrap_ci(values, None, lambda v: float(v.mean()), method, draws=999, seed=5)  # type: ignore[arg-type]
    assert fast == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert slow == pytest.approx(fast, rel=1e-9)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_clustered_bootstrap_equals_scipy_on_the_clusters(method: str) -> None:
    """The ratio of sums over clusters, written out for SciPy as a paired statistic of the clusters' sums."""
    rng = np.random.default_rng(1)
    clusters = rng.integers(0, 30, 120)
    values = rng.normal(1.0, 0.5, 120) + 0.3 * (clusters % 3)
    sizes = np.bincount(clusters, minlength=30).astype(float)
    sums = np.bincount(clusters, values, minlength=30)
    expected = stats.bootstrap(
        (sums, sizes), lambda s, n, axis=-1: s.sum(axis) / n.sum(axis), n_resamples=999, method=method, paired=True,
        rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    got = bootstrap_ci(values, [f"image {c:02d}" for c in clusters], method=method, draws=999, seed=5)  # type: ignore[arg-type]
    assert got == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert ratio_ci(sums, sizes, method, draws=999, seed=5) == pytest.approx(got, rel=1e-12)  # type: ignore[arg-type]
    median = bootstrap_ci(values, clusters, lambda v: float(np.median(v)), method, draws=200)  # type: ignore[arg-type]
    assert median[0] < np.median(values) < median[1]


def test_percentile_is_the_interval_that_summaries_print() -> None:
    rng = np.random.default_rng(2)
    pairs = rng.integers(1, 5, 50)
    correct = rng.binomial(pairs, 0.8)
    answers = np.concatenate([np.arange(n) < c for n, c in zip(pairs, correct, strict=True)])
    images = np.repeat(np.arange(50), pairs)
    assert bootstrap_ci(answers, images) == pytest.approx(cluster_bootstrap_interval(correct, pairs), rel=1e-12)


def test_bca_misses_a_skewed_mean_less_one_sidedly() -> None:
    """300 simulated sets of 30 log-normal errors, whose mean is exp(1/2); the binomial error of a count is about 5.

    Either end should miss in 2.5 % of the sets. Both are too low, and the correction moves them up.
    """
    truth, rng = math.exp(0.5), np.random.default_rng(3)
    below, above = {"percentile": 0, "bca": 0}, {"percentile": 0, "bca": 0}
    for data in rng.lognormal(0.0, 1.0, (300, 30)):
        for method in below:
            low, high = bootstrap_ci(data, method=method, draws=300)  # type: ignore[arg-type]
            below[method] += truth < low
            above[method] += truth > high
    assert above["bca"] < above["percentile"] and below["bca"] >= below["percentile"]
    assert 0.85 < 1 - (below["bca"] + above["bca"]) / 300 < 0.96


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_one_cluster_says_nothing_and_unanimous_ones_give_a_point(method: str) -> None:
    for statistic in (None, lambda v: float(v.mean())):
        said = bootstrap_ci([1.0, 2.0], ["a", "a"], statistic, method)  # type: ignore[arg-type]
        assert all(math.isnan(end) for end in said)
        assert bootstrap_ci([3.0] * 6, None, statistic, method, draws=50) == (3.0, 3.0)  # type: ignore[arg-type]


def test_labels_must_fit() -> None:
    with pytest.raises(ValueError, match="3 values and 2 labels"):
        bootstrap_ci([1.0, 2.0, 3.0], ["a", "b"])
