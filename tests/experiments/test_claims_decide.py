"""Intervals against theory, and verdicts on results that were made up to deserve them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dabench.errors import RecordError
from experiments.claims.arms import ARMS, ERRORS, TRIMS, WEIGHTS, name_with_errors, name_with_weight
from experiments.claims.decide import (
    FAILS,
    HOLDS,
    REPORTED,
    RULES,
    UNDECIDED,
    better,
    estimate_of,
    level,
    slope,
)
from experiments.claims.measure import HIGHER_IS_BETTER, UNIT

IMAGES, SEEDS = 60, 3
Made = dict[str, list[dict[str, Any]]]


def made_up(levels: dict[str, float], noise: float = 0.02, seed: int = 0) -> Made:
    """Results in which every arm has the same score in all measures and on all test sets, apart from noise.

    `levels` are of the quality: AbsRel is one minus it.
    """
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 0.1, IMAGES)
    results: Made = {}
    for arm in ARMS:
        rows = []
        for _ in range(SEEDS):
            scores: dict[str, dict[str, list[int]]] = {}
            for test in ("R", "R-seen", "S"):
                quality = levels.get(arm, 0.5) + difficulty + rng.normal(0, noise, IMAGES)
                scores[test] = {
                    metric: np.round((quality if higher else 1 - quality) / UNIT).astype(int).tolist()
                    for metric, higher in HIGHER_IS_BETTER.items()
                }
            rows.append({"scores": scores})
        results[arm] = rows
    return results


def test_the_interval_over_images_is_that_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(0.3, 0.2, 400)
    found = estimate_of(np.stack([values] * 3))
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.12 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.12 * half)
    assert found.sign == 1 and len(found.seeds) == 3


def test_seeds_that_disagree_widen_it_however_many_images() -> None:
    values = np.array([-0.1, 0.2, 0.3])[:, None] + np.random.default_rng(0).normal(0, 0.001, (3, 5000))
    found = estimate_of(values)
    assert found.low < 0 < found.mean < found.high and found.sign == 0
    np.testing.assert_allclose(found.seeds, [-0.1, 0.2, 0.3], atol=1e-3)
    # the worst seed drawn three times has a chance of 1 / 27, which is more than the lower tail
    assert found.low == pytest.approx(-0.1, abs=2e-3)


def test_chunks_do_not_change_it_and_undefined_images_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0, 1, (3, 50))
    whole = estimate_of(np.concatenate([values, np.full((3, 1), np.nan)], axis=1))
    assert whole == estimate_of(values)
    assert whole.seeds == pytest.approx(values.mean(1))
    one_bad = values.copy()
    one_bad[1, 7] = np.nan
    assert estimate_of(one_bad).mean == pytest.approx(np.delete(values, 7, axis=1).mean())
    monkeypatch.setattr("experiments.claims.decide.CHUNK", 3 * 50 * 7)
    assert estimate_of(values).low == pytest.approx(whole.low, abs=0.05)
    with pytest.raises(RecordError):
        estimate_of(np.full((3, 4), np.nan))


def test_slopes_are_least_squares() -> None:
    curve = np.random.default_rng(0).normal(0, 1, (5, 2, 3))
    expected = [[np.polyfit(range(5), curve[:, i, j], 1)[0] for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(slope(list(curve)), expected, atol=1e-12)


def test_better_means_lower_for_errors() -> None:
    results = made_up({"S": 0.4, "R-pseudo": 0.5})
    for metric in HIGHER_IS_BETTER:
        comparison = better(results, "R-pseudo", "S", "R", metric)
        assert comparison.estimate.mean == pytest.approx(0.1, abs=0.01) and comparison.verdict == HOLDS
        assert better(results, "S", "R-pseudo", "R", metric).verdict == FAILS
    assert level(results, "S", "R", "abs_rel").mean == pytest.approx(0.6, abs=0.05)


def test_paired_differences_see_through_the_difficulty_of_images() -> None:
    results = made_up({"S": 0.50, "R-pseudo": 0.51}, noise=0.005)
    assert level(results, "S", "R", "delta1").high > level(results, "R-pseudo", "R", "delta1").low
    assert better(results, "R-pseudo", "S", "R", "delta1").verdict == HOLDS


def rising(step_on_s: float, step_on_noisy: float) -> dict[str, float]:
    found = {name_with_weight("S", weight): 0.4 + step_on_s * i for i, weight in enumerate(WEIGHTS)}
    return found | {name_with_weight("R-noisy", weight): 0.4 + step_on_noisy * i for i, weight in enumerate(WEIGHTS)}


@pytest.mark.parametrize(
    ("name", "levels", "verdict"),
    [
        ("H1", {"S": 0.4, "R-pseudo": 0.5}, HOLDS),
        ("H1", {"S": 0.5, "R-pseudo": 0.4}, FAILS),
        ("H1", {}, UNDECIDED),
        ("H4", {"R-noisy": 0.4, "R-pseudo": 0.5}, HOLDS),
        ("H4", {"R-noisy": 0.5, "R-pseudo": 0.4}, FAILS),
        ("H5", rising(0.05, -0.05), HOLDS),
        ("H5", rising(0.05, 0.0), HOLDS),
        ("H5", rising(0.05, 0.05), FAILS),
        ("H5", rising(-0.05, -0.05), FAILS),
        ("H5", rising(0.0, 0.0), UNDECIDED),
        ("H5", rising(0.05, 0.0) | {"S-w4": 0.45}, FAILS),
        ("H6", {"S": 0.5, "S+R-noisy": 0.4}, HOLDS),
        ("H6", {"S": 0.4, "S+R-noisy": 0.5}, FAILS),
        ("H9", {}, REPORTED),
    ],
)
def test_verdicts(name: str, levels: dict[str, float], verdict: str) -> None:
    noise = 0.02 if verdict != UNDECIDED else 0.2
    finding = RULES[name](made_up(levels, noise, seed=11))
    assert finding.verdict == verdict
    assert finding.hypothesis == name


def test_one_measure_on_the_other_side_is_enough_to_fail() -> None:
    results = made_up({"S": 0.4, "R-pseudo": 0.5})
    for row in results["R-pseudo"]:
        row["scores"]["R"]["pairs"] = [value - 3000 for value in row["scores"]["R"]["pairs"]]
    assert RULES["H1"](results).verdict == FAILS


def test_trimming_is_compared_at_each_share_of_errors() -> None:
    levels = {name_with_errors(20, 0.1): 0.6, name_with_errors(20, 0.2): 0.4}
    found = {c.what: c.estimate.sign for c in RULES["H9"](made_up(levels)).beside if c.metric == "delta1"}
    assert len(found) == len(ERRORS) * (len(TRIMS) - 1)
    assert found["R-pseudo-e20-t10 better than R-pseudo-e20-t00"] == 1
    assert found["R-pseudo-e20-t20 better than R-pseudo-e20-t00"] == -1
