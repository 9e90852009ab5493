"""Geometry: image and label stay together, labels are never mixed, sizes are the released code's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dabench.errors import SampleError, UsageError
from model_zoo.depth_anything_v2.preprocess import network_size
from model_zoo.depth_anything_v2.training.augment import Augmentation
from model_zoo.depth_anything_v2.training.sample import LabelledSample
from model_zoo.depth_anything_v2.training.transforms import (
    View,
    ViewSettings,
    covering_size,
    draw_view,
    view_image,
    view_labels,
)

STRONG = Augmentation(area=(0.4, 1), aspect=1.3, rotation=12, perspective=0.08, geometry=1, flip=0.5)


def ramp(height: int, width: int, slope: tuple[float, float] = (0.7, 0.3)) -> LabelledSample:
    """An image whose grey value is 250 times its disparity, which rises smoothly over rows and columns."""
    rows, columns = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    disparity = (slope[0] * rows + slope[1] * columns).astype(np.float32)
    valid = np.ones((height, width), bool)
    image = np.repeat(np.rint(disparity * 250).astype(np.uint8)[..., None], 3, 2)
    return LabelledSample("ramp", image, disparity, valid, np.zeros_like(valid), False)


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([14, 112, 518]))
def test_a_square_goal_is_the_size_at_inference(height: int, width: int, side: int) -> None:
    assert covering_size(height, width, (side, side)) == network_size(height, width, side)


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([(392, 518), (378, 770), (14, 28)]))
def test_the_crop_always_fits(height: int, width: int, least: tuple[int, int]) -> None:
    rows, columns = covering_size(height, width, least)
    assert rows >= least[0] and columns >= least[1] and rows % 14 == columns % 14 == 0
    scale = max(least[0] / height, least[1] / width)
    assert abs(rows - scale * height) < 14 and abs(columns - scale * width) < 14


@pytest.mark.parametrize(
    ("source", "settings", "resized"),
    [
        ((480, 640), ViewSettings(), (518, 686)),
        ((375, 1242), ViewSettings(), (518, 1722)),
        ((768, 1024), ViewSettings(), (518, 686)),
        ((480, 640), ViewSettings(size=(392, 518)), (392, 518)),
        ((480, 640), ViewSettings(size=(112, 112), short_side=168), (168, 224)),
    ],
)
def test_known_sizes(source: tuple[int, int], settings: ViewSettings, resized: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    views = [draw_view(rng, source, settings) for _ in range(200)]
    assert {view.resized for view in views} == {resized}
    assert min(view.top for view in views) >= 0 and max(view.top for view in views) <= resized[0] - settings.size[0]
    assert max(view.left for view in views) <= resized[1] - settings.size[1]
    if resized[1] - settings.size[1] > 100:
        assert len({view.left for view in views}) > 50
    assert 60 < sum(view.flip for view in views) < 140


@pytest.mark.parametrize("source", [(90, 120), (300, 170), (61, 333), (84, 84)])
@pytest.mark.parametrize(
    "settings",
    [
        ViewSettings(size=(70, 84)),
        ViewSettings(size=(84, 70), short_side=126),
        ViewSettings(size=(56, 56), antialias=True),
        ViewSettings(size=(70, 84), rotation=8),
        ViewSettings(size=(70, 84), strong=STRONG),
    ],
    ids=["crop", "short side", "antialias", "rotation", "strong"],
)
def test_image_and_label_move_together(source: tuple[int, int], settings: ViewSettings) -> None:
    sample = ramp(*source)
    flips = set()
    for seed in range(12):
        view = draw_view(np.random.default_rng(seed), source, settings)
        image, labels = view_image(sample.image, view), view_labels(sample, view)
        assert image.shape == (*settings.size, 3) and image.dtype == np.uint8
        assert labels.disparity.shape == labels.valid.shape == labels.sky.shape == settings.size
        assert labels.valid.mean() > 0.7
        # half a source pixel either way, cubic rounding, and (rotated) OpenCV's 1/32 px
        step = 250 * max(0.7 / source[0], 0.3 / source[1]) * 1.2 + 1.6
        inner = cv2.erode(labels.valid.astype(np.uint8), np.ones((5, 5)), borderValue=1) > 0
        error = image[..., 0].astype(np.float64) - 250 * labels.disparity
        assert np.abs(error)[inner].max() < step
        assert abs(error[inner].mean()) < 0.6, "the label is shifted against the image"
        flips.add(bool(np.median(np.diff(image[..., 0].astype(float).mean(0))) < 0) or view.flip)
    assert flips == {True, False}


def test_an_upright_view_is_a_slice_of_the_resized_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    view = View((14, 28), (56, 84), 5, 9, True, False, None)
    whole = cv2.resize(image, (84, 56), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(view_image(image, view), whole[5:19, 9:37][:, ::-1])


def test_labels_are_what_scipy_calls_nearest() -> None:
    from scipy.ndimage import map_coordinates

    rng = np.random.default_rng(1)
    disparity = rng.random((37, 53)).astype(np.float32)
    sample = replace(ramp(37, 53), disparity=disparity)
    labels = view_labels(sample, View((56, 70), (70, 98), 7, 13, False, False, None))
    rows, columns = np.mgrid[7:63, 13:83]
    at = [(rows + 0.5) * 37 / 70 - 0.5, (columns + 0.5) * 53 / 98 - 0.5]
    expected = map_coordinates(disparity, at, order=0, mode="nearest")
    assert (labels.disparity == expected).mean() > 0.97  # where two centres are equally near, either will do


@settings(deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_invalid_pixels_never_bleed(seed: int, strong: bool, turned: bool) -> None:
    """Every disparity in a view is exactly one of the source's valid values, or 0 and invalid; masks likewise."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(20, 60, 2)
    valid = rng.random((height, width)) < 0.6
    sky = valid & (rng.random((height, width)) < 0.3)
    known = rng.choice(np.array([0.25, 0.5, 1, 3], np.float32), (height, width))
    disparity = np.where(valid & ~sky, known, 0).astype(np.float32)
    poisoned = np.where(valid, disparity, np.float32(np.nan))  # a reader that breaks the rule must not spoil the crop
    image = np.zeros((height, width, 3), np.uint8)
    view_settings = ViewSettings(size=(28, 42), rotation=10 * turned, strong=STRONG if strong else None)
    view = draw_view(rng, (height, width), view_settings)
    for given_disparity in (disparity, poisoned):
        labels = view_labels(LabelledSample("x", image, given_disparity, valid, sky, True), view)
        assert set(np.unique(labels.disparity[labels.valid & ~labels.sky])) <= {0.25, 0.5, 1, 3}
        assert not labels.disparity[~labels.valid].any() and not labels.disparity[labels.sky].any()
        assert not (labels.sky & ~labels.valid).any()


def test_pixels_from_outside_a_turned_image_are_invalid() -> None:
    settings = ViewSettings(size=(84, 84), rotation=20, hflip=0)
    seen = 0
    for seed in range(6):
        view = draw_view(np.random.default_rng(seed), (84, 84), settings)
        labels = view_labels(ramp(84, 84), view)
        assert labels.valid[20:64, 20:64].all()
        seen += not labels.valid[0, 0] and not labels.valid[-1, -1]
    assert seen >= 4


def test_a_rotation_turns_about_the_centre_by_its_angle() -> None:
    sample = ramp(84, 84, slope=(0, 0.9))
    settings = ViewSettings(size=(84, 84), rotation=15, hflip=0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        view = draw_view(rng, (84, 84), settings)
        twin = np.random.default_rng(seed)
        twin.integers(0, 1), twin.integers(0, 1), twin.random()
        angle = np.deg2rad(twin.uniform(-15, 15))
        disparity = view_labels(sample, view).disparity
        down, right = (np.gradient(cv2.GaussianBlur(disparity, (0, 0), 4), axis=a)[30:54, 30:54].mean() for a in (0, 1))
        assert abs(abs(np.arctan2(down, right)) - abs(angle)) < np.deg2rad(1)
        assert abs(disparity[41:43, 41:43].mean() - 0.45) < 0.02


def test_shrinking_with_antialias_averages() -> None:
    image = np.zeros((280, 280, 3), np.uint8)
    image[::10] = 250
    view = draw_view(np.random.default_rng(0), (280, 280), ViewSettings(size=(28, 28), antialias=True))
    assert np.abs(view_image(image, view).astype(int) - 25).max() <= 1
    assert not view_image(image, replace(view, antialias=False)).any()  # the released code's cubic misses the lines


@pytest.mark.parametrize("source", [(2, 9000), (9000, 2), (0, 5)])
def test_images_that_cannot_be_resized(source: tuple[int, int]) -> None:
    with pytest.raises(SampleError, match=r"elongated|no pixels"):
        draw_view(np.random.default_rng(0), source, ViewSettings())


def test_a_single_pixel_is_an_image() -> None:
    view = draw_view(np.random.default_rng(0), (1, 1), ViewSettings(size=(28, 28)))
    sample = LabelledSample(
        "x",
        np.full((1, 1, 3), 9, np.uint8),
        np.full((1, 1), 2, np.float32),
        np.ones((1, 1), bool),
        np.zeros((1, 1), bool),
        True,
    )
    assert (view_image(sample.image, view) == 9).all() and (view_labels(sample, view).disparity == 2).all()


@pytest.mark.parametrize(
    "wrong", [{"size": (518, 500)}, {"size": (0, 14)}, {"hflip": 1.5}, {"rotation": 90}, {"short_side": 0}]
)
def test_settings_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ViewSettings(**wrong)  # type: ignore[arg-type]
