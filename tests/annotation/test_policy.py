"""Policies against brute force, against the published arithmetic of repeated labels, and against simulation."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.policy import POLICIES, Policy, named
from dabench.errors import UnknownNameError, UsageError

UNANIMOUS_5 = Policy("unanimous-5", "", ask=5, most=5, needed=5)
ERRORS = (0.02, 0.05, 0.10, 0.15, 0.20)


@pytest.mark.parametrize(
    ("policy", "figures"),
    [
        ("majority-3", [(100, 0.12), (100, 0.73), (100, 2.8), (100, 6.1), (100, 10.4)]),
        ("majority-5", [(100, 0.008), (100, 0.12), (100, 0.86), (100, 2.7), (100, 5.8)]),
        ("unanimous-3", [(94.1, 0.0009), (85.7, 0.015), (73.0, 0.14), (61.7, 0.55), (52.0, 1.5)]),
        ("first-two-checkers", [(94.1, 0.0009), (85.7, 0.015), (73.0, 0.14), (61.7, 0.55), (52.0, 1.5)]),
        ("unanimous-2", [(96.1, 0.04), (90.5, 0.28), (82.0, 1.2), (74.5, 3.0), (68.0, 5.9)]),
    ],
)
def test_share_kept_and_wrong_by_error(policy, figures):
    for error, (kept, wrong) in zip(ERRORS, figures, strict=True):
        expected = POLICIES[policy].expected(error)
        assert 100 * expected.kept == pytest.approx(kept, abs=0.05001)
        digits = len(str(wrong).partition(".")[2])
        assert 100 * expected.wrong == pytest.approx(wrong, abs=0.501 * 10**-digits)


def test_a_third_person_only_where_two_differ():
    two_then_third, majority = POLICIES["two-then-third"], POLICIES["majority-3"]
    for error, answers in zip(ERRORS, (2.04, 2.10, 2.18, 2.26, 2.32), strict=True):
        expected = two_then_third.expected(error)
        assert expected.answers == pytest.approx(answers, abs=0.0051)
        assert expected.wrong == pytest.approx(majority.expected(error).wrong, rel=1e-12)
        assert expected.wrong == pytest.approx(3 * error**2 - 2 * error**3, rel=1e-12)


@pytest.mark.parametrize(
    ("policy", "figures"),
    [
        (POLICIES["majority-3"], (0.26, 1.3, 2.8, 5.2, 10.2)),
        (POLICIES["unanimous-2"], (0.10, 0.63, 1.5, 2.9, 5.9)),
        (POLICIES["unanimous-3"], (0.003, 0.28, 0.71, 1.5, 3.2)),
        (UNANIMOUS_5, (0.0, 0.07, 0.19, 0.40, 0.89)),
    ],
)
def test_ambiguous_pairs_dominate(policy, figures):
    for share, wrong in zip((0, 0.02, 0.05, 0.10, 0.20), figures, strict=True):
        digits = len(str(wrong).partition(".")[2])
        assert 100 * policy.expected(0.03, share).wrong == pytest.approx(wrong, abs=0.501 * 10**-digits)


@pytest.mark.parametrize("people", [3, 5])
def test_majority_is_the_binomial_sum(people):
    for error in (0.0, 0.07, 0.31, 1.0):
        wrong = sum(
            comb(people, k) * error**k * (1 - error) ** (people - k) for k in range(people // 2 + 1, people + 1)
        )
        expected = POLICIES[f"majority-{people}"].expected(error)
        assert expected.wrong == pytest.approx(wrong, abs=1e-12)
        assert (expected.kept, expected.answers) == pytest.approx((1, people))


def by_definition(name: str, answers: tuple[str, ...]) -> str:
    """The rule in words, on complete answers without skips: its label or ``disputed``."""
    if name == "single":
        return answers[0]
    if name.startswith(("unanimous", "first")):
        size = 2 if name == "unanimous-2" else 3
        return answers[0] if len(set(answers[:size])) == 1 else "disputed"
    if name == "two-then-third" and answers[0] == answers[1]:
        return answers[0]
    size = 5 if name == "majority-5" else 3
    for label in ("a", "b", "equal"):
        if answers[:size].count(label) > size // 2:
            return label
    return "disputed"


@pytest.mark.parametrize("name", POLICIES)
def test_every_vector_of_five_votes(name):
    for answers in product(("a", "b", "equal"), repeat=5):
        verdict = POLICIES[name].judge(answers)
        assert (verdict.label or verdict.outcome) == by_definition(name, answers)
        assert (verdict.outcome == "dropped") == (verdict.label == "equal")


@given(st.sampled_from(sorted(POLICIES)), st.lists(st.sampled_from(["a", "b", "equal", "skip"]), max_size=8))
def test_what_is_settled_stays_and_names_do_not_matter(name, answers):
    judge = POLICIES[name].judge
    whole = judge(answers)
    for length in range(len(answers) + 1):
        verdict = judge(answers[:length])
        if verdict.outcome != "more":
            assert verdict == whole
            break
        assert verdict.more >= 1
        assert judge([*answers[:length], "skip", "skip"]).outcome == "disputed"
    other = {"a": "b", "b": "a"}
    mirrored = judge([other.get(answer, answer) for answer in answers])
    assert (mirrored.outcome, mirrored.more) == (whole.outcome, whole.more)
    assert mirrored.label == other.get(whole.label, whole.label)


@pytest.mark.parametrize("name", POLICIES)
def test_the_first_more_is_enough_when_all_agree(name):
    policy = POLICIES[name]
    more = policy.judge([]).more
    assert policy.judge(["b"] * more).label == "b"
    assert policy.judge(["b"] * (more - 1)).outcome == "more"


def test_a_skip_is_replaced_and_a_second_one_disputes():
    policy = POLICIES["first-two-checkers"]
    assert policy.judge(["skip"]).more == 3
    assert policy.judge(["a", "skip", "a", "a"]).label == "a"
    assert policy.judge(["a", "skip", "a", "skip"]).outcome == "disputed"
    assert policy.judge(["a", "b"]).outcome == "disputed"
    assert POLICIES["unanimous-3"].judge(["a", "b"]).more == 1, "three answers whatever the first two say"


def test_simulation_agrees_with_the_enumeration():
    draw = np.random.default_rng(3)
    wrong = draw.random((20_000, 3)) < 0.2
    policy, kept, mistakes, answers = POLICIES["first-two-checkers"], 0, 0, 0
    for row in wrong:
        verdict = policy.judge(["ab"[int(w)] for w in row])
        kept += verdict.outcome == "agreed"
        mistakes += verdict.label == "b"
        answers += verdict.used
    expected = policy.expected(0.2)
    assert kept / len(wrong) == pytest.approx(expected.kept, abs=0.012)
    assert mistakes / kept == pytest.approx(expected.wrong, abs=0.004)
    assert answers / len(wrong) == pytest.approx(expected.answers, abs=0.02)


def test_wrong_calls_are_named():
    with pytest.raises(UnknownNameError, match="majority-3"):
        named("majority3")
    with pytest.raises(UsageError, match="error is 3"):
        POLICIES["single"].expected(3)
    assert POLICIES["unanimous-3"].expected(0.0).wrong == 0
