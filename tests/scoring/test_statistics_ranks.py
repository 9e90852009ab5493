"""Rank sets: what is sure, what is open, and that the true ranks are inside as often as promised."""

from __future__ import annotations

import numpy as np
import pytest

from dabench.scoring.statistics import paired_bootstrap, rank_sets


def test_clear_orders_and_ties() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 200)
    scores = {
        "best": 0.9 + noise,
        "second": 0.7 + rng.normal(0, 0.01, 200),
        "twin": 0.7 + rng.normal(0, 0.01, 200),
        "worst": 0.1 + noise,
    }
    expected = {"best": (1, 1), "second": (2, 3), "twin": (2, 3), "worst": (4, 4)}
    assert rank_sets(scores, higher_is_better=True) == expected
    errors = {name: 1 - values for name, values in scores.items()}
    assert rank_sets(errors, higher_is_better=False) == expected


def test_copies_share_their_ranks_and_a_constant_gap_is_sure() -> None:
    a = np.random.default_rng(1).random(30)
    assert rank_sets({"a": a, "b": a.copy(), "c": a - 0.5}, higher_is_better=True) == {
        "a": (1, 2), "b": (1, 2), "c": (3, 3),
    }  # fmt: skip


def test_too_little_to_say_anything() -> None:
    assert rank_sets({}, higher_is_better=True) == {}
    assert rank_sets({"a": [1.0, 1.0], "b": [0.0, 0.0]}, ["x", "x"], higher_is_better=True) == {
        "a": (1, 2),
        "b": (1, 2),
    }
    assert rank_sets({"a": [1.0, 0.5]}, higher_is_better=True) == {"a": (1, 1)}
    with pytest.raises(ValueError, match="not finite"):
        rank_sets({"a": [1.0, float("nan")]}, higher_is_better=True)


def test_two_models_agree_with_the_interval_of_their_difference() -> None:
    """With two models there is one difference: the ranks are told apart where its interval excludes zero."""
    rng = np.random.default_rng(2)
    agreed = 0
    for gain in np.linspace(0.0, 0.06, 30):
        a = rng.random(150)
        b = a + rng.normal(gain, 0.2, 150)
        images = rng.integers(0, 60, 150)
        low, _ = paired_bootstrap(a, b, images, draws=500)
        apart = rank_sets({"a": a, "b": b}, images, higher_is_better=True, draws=500)["b"] == (1, 1)
        agreed += apart == (low > 0)
    assert agreed >= 28


def test_clusters_and_weights_count() -> None:
    rng = np.random.default_rng(3)
    images = np.repeat(np.arange(12), 20)
    by_image = rng.normal(0.05, 0.1, 12)[images]
    scores = {"a": np.zeros(240), "b": by_image}
    assert rank_sets(scores, higher_is_better=True)["b"] == (1, 1)
    assert rank_sets(scores, images, higher_is_better=True)["b"] == (1, 2)
    heavy = np.where(by_image < 0, 1000.0, 1.0)
    assert rank_sets(scores, weights=heavy, higher_is_better=True)["b"] == (2, 2)


def test_true_ranks_are_inside_as_often_as_promised() -> None:
    """200 simulated benchmarks of 5 models, two of them equal; the binomial error of the share is 1.5 %."""
    rng, runs = np.random.default_rng(4), 200
    means = np.array([0.80, 0.80, 0.77, 0.70, 0.50])
    best, worst = np.array([1, 1, 3, 4, 5]), np.array([2, 2, 3, 4, 5])
    covered, firsts = 0, 0
    for _ in range(runs):
        values = means + rng.normal(0, 0.1, (60, 1)) + rng.normal(0, 0.08, (60, 5))
        sets = rank_sets(dict(zip("abcde", values.T, strict=True)), higher_is_better=True, draws=300)
        lowest, highest = np.array(list(sets.values())).T
        covered += bool((lowest <= best).all() and (worst <= highest).all())
        firsts += sum(low == 1 for low, _ in sets.values())
    assert covered / runs >= 0.92
    assert 2 <= firsts / runs < 3.2  # not by calling everything possible
