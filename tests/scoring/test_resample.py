"""Resizing of predictions against torch's interpolate and OpenCV's resize."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dabench.scoring.dense import Prepared, score_dense
from dabench.scoring.resample import resample
from dabench.scoring.rule import DenseRule
from dabench.types import Output, Prediction

SIZES = [
    ((5, 7), (13, 20)),
    ((13, 20), (5, 7)),
    ((37, 51), (48, 64)),
    ((1, 1), (3, 4)),
    ((3, 4), (1, 1)),
    ((1, 9), (9, 1)),
]


def a_map(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 9, shape).astype(np.float32)


@pytest.mark.parametrize(("size", "target"), SIZES)
@pytest.mark.parametrize(
    ("mode", "align_corners"),
    [("bilinear", False), ("bilinear", True), ("bicubic", False), ("bicubic", True), ("nearest", None)],
)
def test_equals_torch(size: tuple[int, int], target: tuple[int, int], mode: str, align_corners: bool | None) -> None:
    import torch

    values = a_map(size)
    expected = torch.nn.functional.interpolate(
        # in float64, because torch places the samples in the precision of the values
        torch.from_numpy(values).double()[None, None],
        size=target,
        mode=mode,
        align_corners=align_corners,
    )[0, 0].numpy()
    found = resample(values, *target, mode, bool(align_corners))
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6)


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 40)] * 4), st.integers(0, 9))
def test_equals_opencv(sizes: tuple[int, int, int, int], seed: int) -> None:
    values = a_map(sizes[:2], seed)
    expected = cv2.resize(values, (sizes[3], sizes[2]), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resample(values, *sizes[2:]), expected, rtol=1e-5, atol=1e-5)
    cubic = cv2.resize(values, (sizes[3], sizes[2]), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(resample(values, *sizes[2:], "bicubic"), cubic, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_linear_ramp_stays_one(align_corners: bool) -> None:
    ramp = np.linspace(1, 2, 16, dtype=np.float32)[None].repeat(3, axis=0)
    row = resample(ramp, 5, 61, "bilinear", align_corners)[2].astype(np.float64)
    inner = row if align_corners else row[4:-4]
    assert np.ptp(np.diff(inner)) < 1e-6 and (not align_corners or (row[0], row[-1]) == (1.0, 2.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spreads_to_what_it_touches(value: float) -> None:
    values = a_map((6, 6))
    values[2, 3] = value
    found = ~np.isfinite(resample(values, 12, 12))
    assert found[3:7, 5:9].all() and found.sum() >= 16
    assert not found[:2].any() and not found[8:].any()
    assert (~np.isfinite(resample(values, 12, 12, "nearest"))).sum() == 4
    touched = ~np.isfinite(resample(values, 12, 12, "bicubic"))
    assert touched[1:9, 3:11].all() and touched.sum() == 64


def test_the_same_size_is_left_alone() -> None:
    values = a_map((6, 6))
    values[1, 1] = np.nan
    assert resample(values, 6, 6) is values


def test_a_prediction_of_another_size_is_resized_as_the_rule_says() -> None:
    depth = a_map((40, 60)) + 1
    small = a_map((20, 31), 1) + 1
    prepared = Prepared(Prediction(small, Output.METRIC), depth, np.ones(depth.shape, bool))
    results = []
    for mode, corners in (("bilinear", False), ("bilinear", True), ("bicubic", False), ("nearest", False)):
        rule = DenseRule(dict.fromkeys(Output, "none"), resampling=mode, align_corners=corners)
        resized = Prediction(resample(small, 40, 60, mode, corners), Output.METRIC)
        expected = score_dense(resized, depth, np.ones(depth.shape, bool), rule)
        assert prepared.score(rule) == expected and expected.n_usable == depth.size
        results.append(expected.metrics["abs_rel"])
    assert len(set(results)) == 4
