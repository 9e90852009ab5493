"""Figures with intervals: shares, shares over clusters, and what JSON can hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from annotation.reporting.estimates import clustered_share, clustered_shares, plain, share
from dabench.scoring.statistics import clopper_pearson, cluster_bootstrap_interval, wilson_interval


def test_shares_have_the_intervals_of_the_harness() -> None:
    low, high = wilson_interval(17, 20)
    assert share(17, 20, 0.95) == {"value": 0.85, "low": low, "high": high, "n": 20}
    assert share(20, 20, 0.95, exact=True)["low"] == clopper_pearson(20, 20)[0]
    assert math.isnan(share(0, 0, 0.95)["value"])


def test_a_share_without_spread_gets_the_exact_interval_over_images() -> None:
    found = clustered_share([True] * 6, list("aabbcc"), level=0.95, draws=200, seed=0)
    assert (found["value"], found["n"]) == (1.0, 6)
    assert (found["low"], found["high"]) == clopper_pearson(3, 3)


def test_nothing_that_json_cannot_hold_remains() -> None:
    shown = plain({"x": (np.float64("nan"), np.int64(3), float("inf"), 0.12345678), 4: True})
    assert shown == {"x": [None, 3, None, 0.123457], "4": True}


def test_intervals_over_clusters_are_those_of_the_harness() -> None:
    draw = np.random.default_rng(0)
    images = [str(n) for n in draw.integers(0, 40, 200)]
    hits = (draw.random((200, 2)) < 0.7).astype(float)
    hits[draw.random(200) < 0.3, 1] = np.nan
    found = clustered_shares(hits, images, 0.95, 4000, 0)
    for column, shown in enumerate(found):
        told = np.isfinite(hits[:, column])
        _, member = np.unique(np.array(images)[told], return_inverse=True)
        sums = np.bincount(member, hits[told, column]), np.bincount(member)
        low, high = cluster_bootstrap_interval(*sums, draws=4000, seed=1)
        assert shown["n"] == told.sum() and shown["value"] == pytest.approx(hits[told, column].mean())
        assert (shown["low"], shown["high"]) == pytest.approx((low, high), abs=0.012)


def test_one_cluster_has_no_interval() -> None:
    found = clustered_share([True, False, True], ["x"] * 3, 0.95, 200, 0)
    assert found["value"] == pytest.approx(2 / 3) and math.isnan(found["low"])
    assert clustered_share([], [], 0.95, 200, 0)["n"] == 0
