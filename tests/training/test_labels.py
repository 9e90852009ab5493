"""Depth to inverse depth, sky and holes, against sums done here pixel by pixel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dabench.errors import UsageError
from model_zoo.depth_anything_v2.training.labels import (
    LabelRule,
    labels_from_depth,
    labels_from_disparity,
    minmax_target,
    refine,
    z_from_ray_distance,
)

ODD = [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf, 1e-45, 1e-38, 1e30, 0.5, 80.0, 80.00001, 655.35, 1000.0]


def one(value: float, rule: LabelRule, **masks: bool) -> tuple[float, bool, bool]:
    """The rule as its docstring says it, for one pixel: (disparity, valid, sky)."""
    if masks.get("hole"):
        return 0.0, False, False
    value = float(np.float32(value))
    is_sky = masks.get("sky", False)
    is_sky |= rule.sky_from is not None and value >= rule.sky_from
    is_sky |= rule.zero_is_sky and value == 0
    if is_sky:
        return 0.0, True, True
    if not math.isfinite(value) or value <= max(rule.near, 1e-37) or (rule.far is not None and value > rule.far):
        return 0.0, False, False
    return 1 / value, True, False


@pytest.mark.parametrize(
    "rule",
    [
        LabelRule(),
        LabelRule(far=80.0),
        LabelRule(sky_from=655.0),
        LabelRule(far=80.0, sky_from=1000.0),
        LabelRule(near=0.7, zero_is_sky=True),
        LabelRule(sky_from=math.inf),
    ],
)
@pytest.mark.filterwarnings("error")
def test_every_kind_of_pixel(rule: LabelRule) -> None:
    for hole in (False, True):
        for sky in (False, True):
            values = np.array([ODD], np.float32)
            full = np.full(values.shape, True)
            labels = labels_from_depth(values, rule, hole=full & hole, sky=full & sky)
            expected = [one(v, rule, hole=hole, sky=sky) for v in ODD]
            np.testing.assert_allclose(labels.disparity[0], [e[0] for e in expected], rtol=1e-6)
            np.testing.assert_array_equal(labels.valid[0], [e[1] for e in expected])
            np.testing.assert_array_equal(labels.sky[0], [e[2] for e in expected])
            assert np.isfinite(labels.disparity).all()


def test_the_input_is_left_as_it_was() -> None:
    depth, sky = np.array([[1.0, 2000.0]], np.float32), np.array([[False, False]])
    labels_from_depth(depth, LabelRule(sky_from=1000.0, zero_is_sky=True), sky=sky)
    assert depth.tolist() == [[1.0, 2000.0]] and not sky.any()


@given(st.lists(st.floats(width=16), min_size=1, max_size=30), st.floats(0.1, 500), st.booleans())
def test_labels_are_always_well_formed(values: list[float], limit: float, far: bool) -> None:
    rule = LabelRule(far=limit) if far else LabelRule(sky_from=limit)
    labels = labels_from_depth(np.array([values], np.float16), rule)
    assert not (labels.sky & ~labels.valid).any()
    surface = labels.valid & ~labels.sky
    assert (labels.disparity[~surface] == 0).all()
    assert (labels.disparity[surface] >= 1 / limit * (1 - 1e-6)).all()
    assert np.isfinite(labels.disparity).all()


@pytest.mark.filterwarnings("error")
def test_stereo_disparity() -> None:
    pixels = np.array([[48.0, 4.8, 0.48, 0.0479, 0.0, -3.0, np.nan, np.inf]])
    labels = labels_from_disparity(pixels, LabelRule(far=200.0, sky_from=1000.0), 48.0)
    np.testing.assert_allclose(labels.disparity[0], [1, 0.1, 0.01, 0, 0, 0, 0, 0], rtol=1e-6)
    assert labels.valid[0].tolist() == [True, True, True, True, False, False, False, False]
    assert labels.sky[0].tolist() == [False, False, False, True, False, False, False, False]
    beyond = labels_from_disparity(pixels, LabelRule(far=200.0), 48.0)
    assert beyond.valid[0].tolist() == [True, True, True, False, False, False, False, False]
    zero = labels_from_disparity(pixels, LabelRule(zero_is_sky=True), 48.0)
    assert zero.sky[0].tolist() == [False, False, False, False, True, False, False, False]
    # a scale in the camera does not change the ratios that a relative loss sees
    other = labels_from_disparity(pixels, LabelRule(), 7.0).disparity[0, :3]
    np.testing.assert_allclose(other / other[0], pixels[0, :3] / 48, rtol=1e-6)


def test_ray_distance_of_a_wall() -> None:
    """A wall square to the view has one z everywhere; its rays grow longer towards the corners."""
    focal, z = 500.0, 3.0
    distance = np.empty((7, 10))
    for row in range(7):
        for column in range(10):
            x, y = (column - 4.5) / focal * z, (row - 3) / focal * z
            distance[row, column] = math.sqrt(x * x + y * y + z * z)
    result = z_from_ray_distance(distance, focal)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, z, rtol=1e-6)


def test_ray_distance_of_a_real_frame(shared_data: Path) -> None:
    with h5py.File(shared_data / "hypersim/frame.0000.depth_meters.hdf5") as file:
        distance = file["dataset"][()].astype(np.float64)
    z = z_from_ray_distance(distance, 886.81)
    found = [distance.min(), np.median(distance), distance.max(), z.min(), np.median(z), z.max()]
    np.testing.assert_allclose(found, [2.961, 5.504, 13.234, 2.663, 5.193, 12.965], atol=5e-4)


class TestTarget:
    def test_range(self) -> None:
        disparity = np.array([[0.0, 0.2, 0.5, 0.3]], np.float32)
        valid = np.array([[False, True, True, True]])
        np.testing.assert_allclose(minmax_target(disparity, valid), [[0, 0, 1, 1 / 3]], rtol=1e-6)
        everywhere = np.full((1, 4), True)  # the first is sky now
        np.testing.assert_allclose(minmax_target(disparity, everywhere), [[0, 0.4, 1, 0.6]], rtol=1e-6)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("valid", [False, True])
    def test_nothing_to_tell(self, valid: bool) -> None:
        target = minmax_target(np.full((3, 4), 0.7, np.float32), np.full((3, 4), valid))
        assert target.dtype == np.float32 and (target == 0).all()

    def test_scale_and_shift_do_not_matter(self) -> None:
        rng = np.random.default_rng(0)
        disparity, valid = rng.uniform(0, 1, (9, 9)).astype(np.float32), rng.random((9, 9)) > 0.3
        np.testing.assert_allclose(minmax_target(disparity, valid), minmax_target(3 * disparity + 2, valid), atol=1e-5)


class TestRule:
    @pytest.mark.parametrize(
        "fields",
        [{"near": -1.0}, {"near": math.nan}, {"min_valid": 1.5}, {"far": 0.0}, {"near": 5.0, "sky_from": 4.0}],
    )
    def test_senseless_rules(self, fields: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="label rule"):
            LabelRule(**fields)

    def test_refine(self) -> None:
        rule = LabelRule(sky_from=655.0)
        assert refine(rule, None) == rule
        assert refine(rule, {"far": 80, "sky_from": None}) == LabelRule(far=80)
        assert refine(rule, LabelRule(near=1.0)) == LabelRule(near=1.0)
        wrong: list[dict[str, Any]] = [{"far": "80"}, {"zero_is_sky": 1}, {"near": True}, {"near": None}]
        for changes in wrong:
            with pytest.raises(UsageError, match="cannot be"):
                refine(rule, changes)
