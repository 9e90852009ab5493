"""The exact minimisers of absolute deviations against a linear programme, and on awkward data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from dabench.scoring import absolute_deviation
from dabench.scoring.absolute_deviation import least_absolute_line, least_absolute_scale, weighted_median
from dabench.scoring.dense import Prepared, score_dense
from dabench.scoring.rule import DenseRule
from dabench.scoring.sampling import grid_samples, nearest_samples
from dabench.types import Output, Prediction


def value(x: np.ndarray, y: np.ndarray, w: np.ndarray, scale: float, shift: float = 0.0) -> float:
    return float((w * np.abs(scale * x + shift - y)).sum())


def minimum(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    n = x.size
    a = np.concatenate([np.stack([x, np.ones(n)], axis=1), -np.eye(n), np.eye(n)], axis=1)
    done = linprog(np.concatenate([[0, 0], w, w]), A_eq=a, b_eq=y, bounds=[(None, None)] * 2 + [(0, None)] * (2 * n))
    assert done.status == 0
    return float(done.fun)


def data(seed: int, n: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, w = rng.uniform(0.5, 5, n), rng.uniform(0.1, 2, n)
    y = 1.7 * x - 0.4 + rng.standard_t(1.5, n)
    if kind == "integers":  # many points on many lines
        x, y, w = rng.integers(0, 4, n).astype(float), rng.integers(0, 4, n).astype(float), np.ones(n)
    if kind == "perfect":
        y = 2.0 * x + 1.0
    if kind == "clumps":
        x = np.round(x)
    return x, y, w


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from(["noisy", "integers", "perfect", "clumps"]))
def test_line_reaches_the_minimum_of_the_linear_programme(seed: int, n: int, kind: str) -> None:
    x, y, w = data(seed, n, kind)
    found = value(x, y, w, *least_absolute_line(x, y, w))
    assert found <= minimum(x, y, w) + 1e-7 * (1 + np.abs(y).sum())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_scale_beats_every_ratio(seed: int, n: int) -> None:
    x, y, w = data(seed, n, "noisy")
    best = value(x, y, w, least_absolute_scale(x, y, w))
    assert best <= min(value(x, y, w, ratio) for ratio in y / x) + 1e-9


def test_many_points_reach_the_minimum_of_the_direct_search(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, w = data(1, 60_000, "noisy")
    line = least_absolute_line(x, y, w)
    monkeypatch.setattr(absolute_deviation, "_DIRECT", 10**9)
    assert line == pytest.approx(least_absolute_line(x, y, w), rel=1e-12)
    for nudge in ((1e-6, 0), (-1e-6, 0), (0, 1e-6), (0, -1e-6), (1e-6, -3e-6)):
        assert value(x, y, w, *line) <= value(x, y, w, line[0] + nudge[0], line[1] + nudge[1])


@pytest.mark.parametrize("kind", ["perfect", "sorted"])
def test_many_points_of_an_unkind_order(kind: str) -> None:
    x, y, w = data(2, 60_000, kind)
    if kind == "sorted":
        x, y = np.sort(x), np.where(np.arange(60_000) < 29_000, 1.0, 50.0)
    line = least_absolute_line(x, y, w)
    for nudge in ((1e-4, 0), (-1e-4, 0), (0, 1e-4), (0, -1e-4), (1e-4, -3e-4), (-1e-4, 3e-4)):
        assert value(x, y, w, *line) <= value(x, y, w, line[0] + nudge[0], line[1] + nudge[1]) * (1 + 1e-12) + 1e-6


def test_weighted_median() -> None:
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.ones(3)) == 2.0
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([5.0, 1.0, 1.0])) == 3.0
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.ones(3), pull=-2.0) == 3.0
    assert least_absolute_line(np.ones(3), np.array([1.0, 2.0, 9.0]), np.ones(3)) == (0.0, 2.0)


@pytest.mark.parametrize("shape", [(100, 150), (64, 64), (30, 200), (352, 1216)])
@pytest.mark.parametrize("share", [1.0, 0.2, 0.002])
def test_grid_takes_the_valid_pixel_nearest_to_the_middle_of_each_cell(shape: tuple[int, int], share: float) -> None:
    height, width = shape
    mask = np.random.default_rng(0).random(shape) < share
    rows, columns = np.nonzero(mask)
    chosen = grid_samples(rows, columns, height, width)
    expected = {}
    for index, (r, c) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        # A cell holds the centres in (k f, (k + 1) f], f pixels to a cell; the comparison is exact in integers.
        cell = (-(-(2 * r + 1) * 64 // (2 * height)) - 1, -(-(2 * c + 1) * 64 // (2 * width)) - 1)
        middle = (cell[0] + 0.5) * height / 64, (cell[1] + 0.5) * width / 64
        distance = (r + 0.5 - middle[0]) ** 2 + (c + 0.5 - middle[1]) ** 2
        if cell not in expected or distance < expected[cell][0] - 1e-9:
            expected[cell] = (distance, index)
    assert chosen.tolist() == [index for _, (_, index) in sorted(expected.items())]


def test_l1_fits_on_the_grid_alone() -> None:
    rng = np.random.default_rng(3)
    depth = rng.uniform(1, 9, (128, 192)).astype(np.float32)
    values = (0.5 * depth + 1 + rng.normal(0, 0.3, depth.shape)).astype(np.float32)
    valid = rng.random(depth.shape) < 0.5
    for method in ("l1-depth", "l1-scale"):
        rule = DenseRule(dict.fromkeys(Output, method), crop_region=(10, 40, 0, 60), depth_max=80.0)
        mask = valid.copy()
        mask[:10] = mask[40:] = False
        mask[:, 60:] = False
        rows, columns = np.nonzero(mask)
        at = grid_samples(rows, columns, *depth.shape)
        assert 250 < at.size <= 300 < rows.size
        x, y = (a[rows[at], columns[at]].astype(np.float64) for a in (values, depth))
        fit = score_dense(Prediction(values, Output.DEPTH), depth, valid, rule).fit
        assert fit is not None
        if method == "l1-depth":
            assert value(x, y, 1 / y, fit.scale, fit.shift) == pytest.approx(minimum(x, y, 1 / y), rel=1e-9)
        else:
            assert (
                fit.shift == 0.0 and value(x, y, 1 / y, fit.scale) <= min(value(x, y, 1 / y, s) for s in y / x) + 1e-9
            )


def test_nearest_samples_are_those_of_upsample() -> None:
    import torch

    for height, width, side in ((4032 // 8, 6048 // 8, 128), (100, 333, 100), (37, 21, 20), (10, 12, 50)):
        rows, columns = nearest_samples(height, width, side)
        index = torch.arange(height * width, dtype=torch.float64).reshape(1, 1, height, width)
        factor = min(side / height, side / width)
        expected = torch.nn.Upsample(scale_factor=factor, mode="nearest")(index) if factor < 1 else index
        assert (rows[:, None] * width + columns).tolist() == expected[0, 0].tolist()


def test_a_fit_on_samples_is_measured_on_everything() -> None:
    rng = np.random.default_rng(4)
    depth = rng.uniform(1, 9, (60, 90)).astype(np.float32)
    valid = rng.random(depth.shape) < 0.7
    values = (depth * 2 + rng.normal(0, 0.2, depth.shape)).astype(np.float32)
    prepared = Prepared(Prediction(values, Output.DEPTH), depth, valid)
    rule = DenseRule(dict.fromkeys(Output, "least-squares-depth"), fit_max_side=30, depth_max=80.0)
    rows, columns = nearest_samples(60, 90, 30)
    at = np.ix_(rows, columns)
    slope, intercept = np.polyfit(values[at][valid[at]].astype(float), depth[at][valid[at]].astype(float), 1)
    found = prepared.score(rule)
    assert found.fit is not None and (found.fit.scale, found.fit.shift) == pytest.approx((slope, intercept), rel=1e-6)
    assert found.n_valid == valid.sum()
    assert prepared.score(DenseRule(rule.method, depth_max=80.0)).fit != found.fit
