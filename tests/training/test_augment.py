"""Augmentation: image and label move together, appearance changes leave labels alone, everything is repeatable."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from model_zoo.depth_anything_v2.preprocess import IMAGENET_MEAN, IMAGENET_STD
from model_zoo.depth_anything_v2.training import augment
from model_zoo.depth_anything_v2.training.augment import (
    RANKED_FLOOR,
    RANKED_PAIRS,
    RANKED_RATIO,
    Augmentation,
    draw_ranked,
    draw_transform,
    make_batch,
    warp,
)
from model_zoo.depth_anything_v2.training.rendered import RenderedSample

NEUTRAL = Augmentation(
    area=(1, 1), aspect=1, flip=0, geometry=0, colour=0, grey=0, shading=0, style=0, blur=0, noise=0, jpeg=0, erase=0
)


def sample(seed: int = 0) -> RenderedSample:
    """An image whose grey value is its label, smooth enough that interpolation hardly matters."""
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.random((5, 6)).astype(np.float32), (112, 84), interpolation=cv2.INTER_LINEAR)
    image = np.repeat((smooth * 255)[..., None], 3, 2).round().astype(np.uint8)
    return RenderedSample("images/x/a", image, (smooth * 65535).astype(np.uint16), np.zeros((0, 4), np.int64))


def test_neutral_settings_return_the_image_itself() -> None:
    given = sample()
    batch = make_batch([given], np.random.default_rng(0), (84, 112), NEUTRAL)
    image = batch.images[0].transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN
    np.testing.assert_allclose(image * 255, given.image, atol=1e-3)
    np.testing.assert_allclose(batch.target[0] * 65535, given.disparity, atol=0.01)
    assert batch.valid.all()
    assert (batch.images.dtype, batch.target.dtype, batch.valid.dtype) == (np.float32, np.float32, np.bool_)


@pytest.mark.parametrize("seed", range(8))
def test_image_and_label_move_together(seed: int) -> None:
    given = sample(seed)
    rng = np.random.default_rng(seed)
    settings = replace(NEUTRAL, area=(0.35, 1), aspect=1.2, flip=0.5, geometry=1)
    image, target, valid = warp(given, draw_transform(rng, (84, 112), (70, 98), settings), (70, 98))
    assert image.shape == (70, 98, 3) and valid.mean() > 0.6
    inner = cv2.erode(valid.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert np.abs(image[..., 0] - target)[inner].max() < 0.06


def test_flip_mirrors_both() -> None:
    given = sample()
    batch = make_batch([given], np.random.default_rng(0), (84, 112), replace(NEUTRAL, flip=1))
    np.testing.assert_allclose(batch.target[0] * 65535, given.disparity[:, ::-1], atol=0.01)


def test_pixels_from_outside_the_source_are_invalid() -> None:
    shift = np.array([[1, 0, 50], [0, 1, 0], [0, 0, 1]], np.float64)
    _, _, valid = warp(sample(), shift, (84, 112))
    assert valid[:, :61].all() and not valid[:, 63:].any()


@pytest.mark.parametrize("name", ["jitter_colour", "shade", "restyle", "blur", "add_noise", "compress", "erase"])
def test_each_appearance_change_alone(name: str) -> None:
    image = sample().image.astype(np.float32) / 255
    before = image.copy()
    changed = 0
    for seed in range(12):
        result = getattr(augment, name)(np.random.default_rng(seed), image)
        assert result.shape == image.shape and np.isfinite(result).all()
        assert result.min() >= 0 and result.max() <= 1
        changed += not np.allclose(result, image, atol=1e-3)
    assert changed >= 8  # a channel mix leaves grey as it is
    np.testing.assert_array_equal(image, before)


def test_batch_depends_on_the_generator_alone() -> None:
    samples = [sample(i) for i in range(4)]
    first, again, other = (make_batch(samples, np.random.default_rng(s), (84, 112), Augmentation()) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.images, other.images)


def test_ranked_points_are_ordered_and_half_of_them_against_the_height_in_the_image() -> None:
    rng = np.random.default_rng(0)
    target, valid = rng.random((30, 40)).astype(np.float32), rng.random((30, 40)) > 0.3
    near, far = draw_ranked(rng, target, valid)
    assert near.shape == far.shape == (RANKED_PAIRS,) and near.dtype == np.int64
    flat = target.ravel() + RANKED_FLOOR
    assert (flat[near] > RANKED_RATIO * flat[far]).all()
    assert valid.ravel()[near].all() and valid.ravel()[far].all()
    assert (near // 40 > far // 40).sum() == RANKED_PAIRS // 2 == (near // 40 < far // 40).sum()
    assert len(set(zip(near, far, strict=True))) > RANKED_PAIRS // 3


def test_ranked_points_where_only_one_order_or_none_exists() -> None:
    rng = np.random.default_rng(0)
    ramp = np.repeat(np.linspace(0, 1, 30, dtype=np.float32)[:, None], 40, 1)  # lower is always nearer
    near, far = draw_ranked(rng, ramp, np.ones_like(ramp, bool))
    real = near != far
    assert real.sum() == RANKED_PAIRS // 2 and (near[real] // 40 > far[real] // 40).all()
    for target, valid in ((np.ones_like(ramp), np.ones_like(ramp, bool)), (ramp, np.zeros_like(ramp, bool))):
        near, far = draw_ranked(rng, target, valid)
        assert near.shape == (RANKED_PAIRS,) and (near == far).all()
