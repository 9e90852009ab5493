"""What every score must satisfy, whatever the image."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dabench.protocols.schema import AlignmentMethod
from dabench.scoring.dense import DenseScore, Prepared, score_dense
from dabench.scoring.metrics import HIGHER_IS_BETTER, PIXEL_METRICS
from dabench.scoring.rule import DenseRule
from dabench.types import MAP_OUTPUTS, Output, Prediction

AFFINE = ("least-squares-disparity", "least-squares-depth", "l1-depth", "lad-depth")
SCALES = (
    "median-ratio",
    "lower-median-ratio",
    "median-of-ratios",
    "least-squares-scale",
    "weiszfeld-scale",
    "l1-scale",
)


def rule_of(method: str, **changes: object) -> DenseRule:
    return DenseRule(dict.fromkeys(Output, method), **{"depth_max": 1e5, **changes})  # type: ignore[arg-type]


def scene(seed: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(1.5 + rows * 0.11 + 0.3 * np.sin(cols / 3.0) + rng.uniform(0, 0.4, shape), np.float32)


def score(values: np.ndarray, depth: np.ndarray, output: Output, rule: DenseRule) -> DenseScore:
    return score_dense(Prediction(np.asarray(values, np.float32), output), depth, np.ones(depth.shape, bool), rule)


def test_the_methods_named_here_are_all_there_are() -> None:
    assert {*AFFINE, *SCALES, "ridge-depth", "none", "refuse"} == set(get_args(AlignmentMethod))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 99),
    scale=st.floats(0.01, 100),
    shift=st.floats(0, 5),
    method=st.sampled_from(AFFINE),
    space=st.sampled_from(["depth", "disparity"]),
)
def test_affine_methods_undo_scale_and_shift(seed: int, scale: float, shift: float, method: str, space: str) -> None:
    depth = scene(seed)
    output = Output.DISPARITY if method == "least-squares-disparity" else Output.DEPTH
    clean = 1 / depth if output is Output.DISPARITY else depth
    noisy = (clean * np.exp(np.random.default_rng(seed).normal(0, 0.05, depth.shape))).astype(np.float32)
    rule = rule_of(method, space=space)
    plain, moved = (score(v, depth, output, rule).metrics for v in (noisy, noisy.astype(float) * scale + shift))
    slack = 2.0**-20 * (1 + shift / scale)
    for name in ("abs_rel", "rmse", "rmse_log", "mae", "silog"):
        assert moved[name] == pytest.approx(plain[name], rel=100 * slack, abs=10 * slack), name


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 99), scale=st.floats(0.01, 100), method=st.sampled_from([*AFFINE, *SCALES, "ridge-depth"]))
def test_every_method_undoes_a_scale(seed: int, scale: float, method: str) -> None:
    depth = scene(seed)
    found = score(depth.astype(float) * scale, depth, Output.METRIC, rule_of(method)).metrics
    if method == "least-squares-disparity":
        found = score(depth.astype(float) * scale, depth, Output.DEPTH, rule_of(method)).metrics
    assert found["abs_rel"] < 1e-6 and found["delta1"] == 1.0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    scale=st.floats(0.1, 1000),
    shift=st.floats(-3, 3),
    floor=st.sampled_from([None, 1 / 80, 1e-3]),
    far=st.sampled_from([None, 80.0, 1e5]),
    fit_on=st.sampled_from(["usable", "positive"]),
    degenerate=st.sampled_from(["constant", "farthest"]),
    space=st.sampled_from(["depth", "disparity"]),
    box=st.sampled_from(["none", "garg", (2, 20, 5, 30)]),
)
def test_perfect_disparity_is_perfect_and_mirrored_is_not(
    seed: int, scale: float, shift: float, floor: float | None, far: float | None, fit_on: str, degenerate: str,
    space: str, box: object,
) -> None:  # fmt: skip
    depth = scene(seed)
    disparity = scale * (1 / depth.astype(float) + shift)
    rule = rule_of(
        "least-squares-disparity", disparity_floor=floor, depth_max=far, fit_on=fit_on, degenerate=degenerate,
        space=space, crop_region=box,
    )  # fmt: skip
    assume(fit_on == "usable" or (disparity > 0).sum() > 20)
    assert score(disparity, depth, Output.DISPARITY, rule).metrics["abs_rel"] < 1e-5
    if abs(shift) < 0.5:
        assert score(disparity, depth, Output.DISPARITY, rule).metrics["abs_rel"] < 1e-6
    assert score(disparity[::-1], depth, Output.DISPARITY, rule).metrics["abs_rel"] > 0.02
    assert score(disparity[:, ::-1], depth, Output.DISPARITY, rule).metrics["abs_rel"] > 0.01


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 99), method=st.sampled_from([*AFFINE, *SCALES]), output=st.sampled_from(list(MAP_OUTPUTS)))
def test_ratios_do_not_depend_on_the_space(seed: int, method: str, output: Output) -> None:
    depth = scene(seed)
    clean = 1 / depth if output is Output.DISPARITY else depth
    noisy = clean * np.exp(np.random.default_rng(seed).normal(0, 0.3, depth.shape))
    prepared = Prepared(Prediction(noisy.astype(np.float32), output), depth, np.ones(depth.shape, bool))
    here, there = (prepared.score(rule_of(method, space=space)).metrics for space in ("depth", "disparity"))
    for name in ("delta1", "delta2", "delta3", "bad_pixel"):
        assert here[name] == there[name], name
    for name in ("rmse_log", "log10", "silog", "silog_half", "silog_bessel", "rmse_log10"):
        assert here[name] == pytest.approx(there[name], rel=1e-9), name
    assert here["abs_rel"] != there["abs_rel"] and here["irmse"] == pytest.approx(there["rmse"], rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), scale=st.floats(0.05, 20))
def test_silog_of_a_scaled_prediction_is_zero(seed: int, scale: float) -> None:
    depth = scene(seed)
    power_of_two = 2.0 ** np.round(np.log2(scale))  # exact in float32
    found = score(depth * power_of_two, depth, Output.METRIC, rule_of("none")).metrics
    assert found["silog"] < 1e-10 and found["silog_bessel"] < 1e-10
    assert score(depth * scale, depth, Output.METRIC, rule_of("none")).metrics["silog"] < 1e-4
    assert found["silog_half"] == pytest.approx(abs(np.log(power_of_two)) * 0.5**0.5, rel=1e-10)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(1, 8), data=st.data())
def test_empty_is_neither_zero_nor_perfect(seed: int, count: int, data: st.DataObject) -> None:
    depth = scene(seed, (3, 4))
    valid = np.zeros(depth.shape, bool)
    valid.flat[: data.draw(st.integers(0, count))] = True
    rule = rule_of(data.draw(st.sampled_from([*AFFINE, *SCALES])), min_pixels=count)
    found = score_dense(Prediction(depth, Output.DEPTH), depth, valid, rule)
    enough = valid.sum() >= count
    assert found.n_valid == (valid.sum() if enough else 0)
    for name in PIXEL_METRICS:
        one_pixel = name == "silog_bessel" and valid.sum() == 1
        assert np.isnan(found.metrics[name]) == (not enough or one_pixel), name


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 99), share=st.floats(0.01, 1.0), space=st.sampled_from(["depth", "disparity"]))
def test_withholding_metric_depth_never_pays(seed: int, share: float, space: str) -> None:
    depth = scene(seed, (8, 9))
    rng = np.random.default_rng(seed)
    values = (depth * np.exp(rng.normal(0, 0.5, depth.shape))).astype(np.float32)
    rule = rule_of("none", depth_max=20.0, space=space)
    before = score(values, depth, Output.METRIC, rule)
    values[rng.random(values.shape) < share] = np.nan
    after = score(values, depth, Output.METRIC, rule)
    assert after.n_valid == before.n_valid
    for name in PIXEL_METRICS:
        a, b = after.metrics[name], before.metrics[name]
        assert a <= b + 1e-9 if name in HIGHER_IS_BETTER else a >= b - 1e-9 * max(1, b), name


def test_infinite_is_far_and_anything_else_near_under_range_ends() -> None:
    depth = np.full((1, 4), 2.0, np.float32)
    rule = rule_of("none", unusable="range-ends", depth_min=1.0, depth_max=10.0)
    for value, depth_of in ((np.inf, 10.0), (np.nan, 1.0), (-np.inf, 1.0), (-3.0, 1.0), (0.0, 1.0)):
        found = score(np.array([[2.0, 2.0, 2.0, value]]), depth, Output.METRIC, rule)
        assert found.n_usable == 3 and found.metrics["mae"] == pytest.approx(abs(depth_of - 2) / 4)
    disparity = rule_of("median-ratio", unusable="range-ends", depth_min=1.0, depth_max=10.0)
    for value, depth_of in ((0.0, 10.0), (-1.0, 10.0), (np.inf, 1.0), (np.nan, 1.0)):
        found = score(np.array([[0.5, 0.5, 0.5, value]]), depth, Output.DISPARITY, disparity)
        assert found.metrics["mae"] == pytest.approx(abs(depth_of - 2) / 4)


def test_ground_truth_beyond_the_clip_counts_as_the_clip() -> None:
    depth = np.array([[1.0, 50.0, 1e5, np.inf]], np.float32)
    values = np.array([[1.0, 50.0, 72.0, 72.0]])
    assert score(values, depth, Output.METRIC, rule_of("none", valid_max=70.0)).n_valid == 2
    clipped = score(values, depth, Output.METRIC, rule_of("none", clip_to=72.0, valid_max=80.0))
    assert clipped.n_valid == 4 and clipped.metrics["mae"] < 1e-9


def test_bounds_of_the_valid_range() -> None:
    depth = np.array([[1.0, np.nextafter(np.float32(1), np.float32(2)), 2.0, 3.0]], np.float32)
    for inclusive, expected in (((False, False), 2), ((True, False), 3), ((False, True), 3), ((True, True), 4)):
        rule = rule_of("none", valid_min=1.0, valid_max=3.0, min_inclusive=inclusive[0], max_inclusive=inclusive[1])
        assert score(depth, depth, Output.METRIC, rule).n_valid == expected
    # 0.001 is no float32: the nearest one lies above it and counts either way.
    edge = np.full((1, 1), 1e-3, np.float32)
    assert float(edge[0, 0]) > 1e-3
    assert score(edge, edge, Output.METRIC, rule_of("none", valid_min=1e-3)).n_valid == 1


def test_quantile_limit() -> None:
    depth = np.arange(1, 102, dtype=np.float32).reshape(1, -1)
    rule = rule_of("none", quantile_share=0.01, quantile_factor=30.0)  # the quantile is 2, the limit 60 counts
    assert score(depth, depth, Output.METRIC, rule).n_valid == 60
