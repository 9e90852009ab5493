"""Coefficients of agreement against independent implementations, published examples and hand counts."""

from __future__ import annotations

import math
import time

import krippendorff as independent
import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from annotation import agreement as agree
from annotation.agreement.coefficients import counts
from annotation.agreement.presentation import UNDECIDED

# Table of four raters with missing ratings in Gwet, Handbook of Inter-Rater Reliability (cac.raw4raters in irrCAC).
GWET = np.array(
    [
        [1, 1, 0, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4], [1, 1, 2, 1],
        [2, 2, 2, 2], [0, 5, 5, 5], [0, 0, 1, 1], [0, 0, 3, 0],
    ]
) - 1  # fmt: skip
PERFECT = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1]])


def simulated(
    items: int, raters: int, error: float, seed: int = 0, *, classes: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, items)
    wrong = generator.random((items, raters)) < error
    shift = generator.integers(1, classes, (items, raters))
    return truth, np.where(wrong, (truth[:, None] + shift) % classes, truth[:, None])


def with_gaps(ratings: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(ratings.shape) < share, -1, ratings)


@pytest.mark.parametrize(("raters", "classes"), [(2, 2), (3, 2), (3, 3), (6, 3)])
def test_fleiss_agrees_with_statsmodels(raters: int, classes: int) -> None:
    _, ratings = simulated(200, raters, 0.2, classes=classes)
    assert agree.fleiss(ratings, classes) == pytest.approx(fleiss_kappa(counts(ratings, classes)), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_cohen_agrees_with_statsmodels_on_what_both_rated(classes: int) -> None:
    _, ratings = simulated(300, 2, 0.2, classes=classes)
    first, second = with_gaps(ratings, 0.3).T
    table = np.zeros((classes, classes))
    for a, b in zip(first, second, strict=True):
        if a >= 0 and b >= 0:
            table[a, b] += 1
    assert agree.cohen(first, second, classes) == pytest.approx(cohens_kappa(table).kappa, abs=1e-12)


@pytest.mark.parametrize("missing", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("classes", [2, 3])
def test_alpha_agrees_with_the_krippendorff_package(missing: float, classes: int) -> None:
    _, ratings = simulated(200, 4, 0.1, classes=classes)
    ratings = with_gaps(ratings, missing)
    theirs = independent.alpha(np.where(ratings < 0, np.nan, ratings).T, level_of_measurement="nominal")
    assert agree.krippendorff(ratings, classes) == pytest.approx(theirs, abs=1e-12)


def test_the_published_example_with_missing_ratings() -> None:
    assert agree.ac1(GWET, 5) == pytest.approx(0.77544, abs=5e-6)
    assert agree.fleiss(GWET, 5) == pytest.approx(0.76117, abs=5e-6)
    assert agree.krippendorff(GWET, 5) == pytest.approx(0.74342, abs=5e-6)


def test_two_raters_by_hand() -> None:
    # 45 both yes, 15 and 25 mixed, 15 both no: Po = 0.6, Cohen's Pe = 0.6 * 0.7 + 0.4 * 0.3 = 0.54.
    first = np.repeat([0, 0, 1, 1], [45, 15, 25, 15])
    second = np.repeat([0, 1, 0, 1], [45, 15, 25, 15])
    both = np.stack([first, second], axis=1)
    assert agree.raw(both, 2) == pytest.approx(0.6)
    assert agree.cohen(first, second, 2) == pytest.approx(0.06 / 0.46)
    assert agree.fleiss(both, 2) == pytest.approx((0.6 - 0.545) / (1 - 0.545))  # pi = 0.65
    assert agree.ac1(both, 2) == pytest.approx((0.6 - 0.455) / (1 - 0.455))


def test_raw_agreement_counts_each_item_once() -> None:
    assert agree.raw([[0, 0, -1], [0, 1, 1], [1, -1, -1]], 2) == pytest.approx((1 + 1 / 3) / 2)


def test_nothing_is_said_of_nothing() -> None:
    for coefficient in (agree.raw, agree.fleiss, agree.krippendorff, agree.ac1):
        assert math.isnan(coefficient(np.empty((0, 3), dtype=int), 2))
        assert math.isnan(coefficient([[0, -1, -1], [-1, 1, -1]], 2))
        assert math.isnan(coefficient([[-1, -1]], 2))
    assert math.isnan(agree.cohen([], [], 2))


def test_where_only_one_answer_was_ever_given_chance_explains_it() -> None:
    same = np.zeros((5, 3), dtype=int)
    assert math.isnan(agree.fleiss(same, 2)) and math.isnan(agree.krippendorff(same, 2))
    assert math.isnan(agree.cohen(same[:, 0], same[:, 1], 2))
    assert agree.raw(same, 2) == 1.0 and agree.ac1(same, 2) == 1.0


def test_one_item() -> None:
    found = agree.agreement([[0, 1]], ["image"], 2)
    assert found.raw.value == 0.0 and found.fleiss.value == -1.0 and found.alpha.value == 0.0
    assert math.isnan(found.raw.interval[0])


def test_everybody_always_agrees() -> None:
    found = agree.agreement(PERFECT, list("abcd"), 2)
    assert found.raw.value == found.fleiss.value == found.alpha.value == found.ac1.value == 1.0
    assert found.raw.interval == pytest.approx((0.025 ** (1 / 4), 1.0))
    assert math.isnan(found.fleiss.interval[0])
    assert [couple.kappa.value for couple in found.cohen] == [1.0] * 3


def test_kappa_of_balanced_labels_is_the_square_of_one_less_two_errors() -> None:
    for error in (0.02, 0.05, 0.10):
        _, ratings = simulated(40_000, 2, error)
        assert agree.fleiss(ratings, 2) == pytest.approx((1 - 2 * error) ** 2, abs=0.012)


def test_the_reference_order_saves_kappa_from_the_order_of_the_export() -> None:
    # Point a is always the closer one, as in the order of DA-2K; two people err in 3 %.
    truth, ratings = simulated(4000, 2, 0.03)
    answers = np.where(ratings == truth[:, None], "a", "b")
    exported = np.where(answers == "a", 0, 1)
    shown = np.array([[agree.in_reference_order(f"pair {i}", str(x)) for x in row] for i, row in enumerate(answers)])
    assert abs(agree.fleiss(exported, 2)) < 0.08
    assert agree.fleiss(shown, 2) == pytest.approx(0.94**2, abs=0.03)
    assert agree.raw(shown, 2) == agree.raw(exported, 2)
    assert np.mean(shown) == pytest.approx(0.5, abs=0.03)


def test_codes_of_the_reference_order() -> None:
    orders = {agree.reference_first(f"{i}") for i in range(50)}
    assert orders == {"a", "b"}
    for pair in ("one", "two", "three"):
        codes = {answer: agree.in_reference_order(pair, answer) for answer in ("a", "b", "equal", "skip")}
        assert codes["equal"] == codes["skip"] == UNDECIDED
        assert {codes["a"], codes["b"]} == {0, 1}
        assert codes[agree.reference_first(pair)] == 0


def test_intervals_are_clustered_by_image() -> None:
    _, ratings = simulated(50, 3, 0.2, seed=3)
    alone = agree.agreement(ratings, np.arange(50), 2).fleiss.interval
    tenfold = agree.agreement(np.repeat(ratings, 10, axis=0), np.repeat(np.arange(50), 10), 2).fleiss.interval
    believed = agree.agreement(np.repeat(ratings, 10, axis=0), np.arange(500), 2).fleiss.interval
    width = alone[1] - alone[0]
    assert tenfold[1] - tenfold[0] == pytest.approx(width, rel=0.2)
    assert believed[1] - believed[0] < 0.5 * width


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(100):
        _, ratings = simulated(150, 3, 0.1, seed=seed)
        low, high = agree.agreement(ratings, np.arange(150) // 2, 2, draws=200, seed=seed).fleiss.interval
        covered += low <= 0.8**2 <= high
    assert 86 <= covered <= 100


def test_the_same_seed_gives_the_same_interval() -> None:
    _, ratings = simulated(60, 3, 0.1)
    first, again, other = (agree.agreement(ratings, np.arange(60), 2, seed=seed).raw.interval for seed in (1, 1, 2))
    assert first == again != other


def test_couples_without_a_common_item_are_absent() -> None:
    found = agree.agreement([[0, 0, -1], [1, 1, -1], [-1, -1, 0]], list("xyz"), 2)
    assert [(couple.first, couple.second) for couple in found.cohen] == [(0, 1)]
    assert found.items == 2 and found.ratings == 4
    with pytest.raises(ValueError, match="clusters"):
        agree.agreement([[0, 0]], list("xy"), 2)


def test_five_hundred_draws_on_two_thousand_pairs_take_no_time() -> None:
    _, ratings = simulated(2000, 6, 0.05)
    ratings, images = with_gaps(ratings, 0.5), np.arange(2000) // 2
    agree.agreement(ratings[:50], images[:50], 2)
    started = time.process_time()
    found = agree.agreement(ratings, images, 2, draws=500)
    assert time.process_time() - started < 1.0
    assert len(found.cohen) == 15


def test_dawid_skene_finds_who_errs_and_what_is_true() -> None:
    truth, ratings = simulated(1500, 5, 0.05, seed=5)
    noise = np.random.default_rng(9).random(1500) < 0.35
    ratings[:, 4] = np.where(noise, 1 - truth, truth)
    filled = with_gaps(ratings, 0.2)
    fit = agree.dawid_skene(filled, 2)
    assert fit.accuracy[:4] == pytest.approx((ratings[:, :4] == truth[:, None]).mean(axis=0), abs=0.02)
    assert fit.accuracy[4] == pytest.approx(0.65, abs=0.04)
    wrong = np.mean(fit.posterior.argmax(axis=1) != truth)
    votes = (filled == 1).sum(axis=1) - (filled == 0).sum(axis=1)
    by_majority = np.mean(np.where(votes == 0, 0.5, (votes > 0) != truth))
    assert wrong < by_majority


def test_dawid_skene_climbs_and_bears_no_ratings() -> None:
    _, ratings = simulated(200, 3, 0.2)
    likelihoods = [agree.dawid_skene(ratings, 2, rounds=n, tolerance=-1.0).log_likelihood for n in (1, 2, 5, 20)]
    assert likelihoods == sorted(likelihoods)
    nothing = agree.dawid_skene(np.full((4, 2), -1), 3)
    assert nothing.posterior == pytest.approx(np.full((4, 3), 1 / 3))
    assert agree.dawid_skene(np.empty((0, 2), dtype=int), 2).posterior.shape == (0, 2)
