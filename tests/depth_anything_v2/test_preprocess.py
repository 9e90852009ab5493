"""Resizing and normalisation against an independent computation in float64, and the sizes of the official rule."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dabench.errors import ImageError, UsageError
from model_zoo.depth_anything_v2.preprocess import (
    MAX_PATCHES,
    check_image,
    check_input_size,
    network_size,
    prepare,
    restore,
)


@pytest.mark.parametrize(
    ("image", "network"),
    [  # facts of the official rule at 518, height x width
        ((480, 640), (518, 686)),
        ((640, 480), (686, 518)),
        ((518, 518), (518, 518)),
        ((375, 1242), (518, 1722)),  # KITTI
        ((436, 1024), (518, 1218)),  # Sintel
        ((425, 640), (518, 784)),  # where the Hugging Face processor gives 350x518
        ((240, 320), (518, 686)),
        ((1, 1), (518, 518)),
    ],
)
def test_network_sizes(image: tuple[int, int], network: tuple[int, int]) -> None:
    assert network_size(*image, 518) == network


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(14, 1200))
@settings(max_examples=200, deadline=None)
def test_network_size_is_the_least_bounded_multiple(height: int, width: int, input_size: int) -> None:
    rows, columns = network_size(height, width, input_size)
    assert rows % 14 == columns % 14 == 0 and min(rows, columns) >= input_size
    assert min(rows, columns) < input_size + 14
    scale = input_size / min(height, width)
    for side, length in ((rows, scale * height), (columns, scale * width)):
        assert abs(side - length) <= 14 * (1 + 1e-9)
        if side - 14 >= input_size:  # free to round to the nearest
            assert abs(side - length) <= 7 * (1 + 1e-9)


@pytest.mark.parametrize("shape", [(480, 640), (37, 91), (700, 300), (1, 1), (3, 40)])
def test_prepare_equals_an_independent_computation(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    size = network_size(*shape, 140)
    bgr = image[..., ::-1]  # the official entry takes OpenCV's order
    expected = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) / 255.0
    expected = cv2.resize(expected, size[::-1], interpolation=cv2.INTER_CUBIC)
    for channel, (mean, deviation) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        expected[..., channel] = (expected[..., channel] - mean) / deviation
    ours = prepare(image, size)
    assert ours.shape == (3, *size) and ours.dtype == np.float32 and ours.flags["C_CONTIGUOUS"]
    assert np.abs(ours - expected.transpose(2, 0, 1)).max() < 1e-5


def test_prepare_does_not_clamp() -> None:
    """Cubic overshoot beyond black and white is part of the official input."""
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 255
    values = prepare(image, (140, 140))
    assert values.max() > (1 - 0.406) / 0.225 + 0.1 and values.min() < -0.485 / 0.229 - 0.1


@pytest.mark.parametrize("size", [(480, 640), (1, 1), (5, 300), (70, 84)])
def test_restore_is_bilinear_with_aligned_corners(size: tuple[int, int]) -> None:
    values = np.random.default_rng(1).random((70, 84)).astype(np.float32)
    ours = restore(torch.from_numpy(values), size)
    assert ours.shape == size and ours.dtype == np.float32
    rows = np.linspace(0, 69, size[0]) if size[0] > 1 else np.zeros(1)
    columns = np.linspace(0, 83, size[1]) if size[1] > 1 else np.zeros(1)
    columnwise = np.stack([np.interp(columns, np.arange(84), row) for row in values])
    expected = np.stack([np.interp(rows, np.arange(70), column) for column in columnwise.T], axis=1)
    assert np.abs(ours - expected).max() < 1e-4


def test_limit_of_elongation() -> None:
    image = np.zeros((20, 10000, 3), np.uint8)
    with pytest.raises(ImageError, match=r"10000x20 becomes 259000x518.*smaller input size|259000x518"):
        check_image(image, 518)
    height, width = check_image(image, 14)
    assert (height, width) == (14, 7000) and height * width // 196 <= MAX_PATCHES
    check_image(np.zeros((100, 2300, 3), np.uint8), 518)
    assert math.prod(network_size(100, 2500, 518)) // 196 > MAX_PATCHES


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_other_arrays_are_refused(image: object) -> None:
    with pytest.raises(ImageError, match=r"an image must"):
        check_image(image, 140)  # type: ignore[arg-type]


def test_input_size_below_a_patch_is_refused() -> None:
    assert check_input_size(14) == 14
    with pytest.raises(UsageError, match="smaller than a patch"):
        check_input_size(13)
