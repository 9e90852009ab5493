"""Geometry that image and label share: resize by the shorter side, crop, flip, small rotation.

Follows the released code of Depth Anything V2 (`metric_depth/dataset/transform.py`, `Resize` with "lower_bound", then a
random crop; arXiv 2406.09414, section 7.1: shorter side to 518, random 518x518 crop), except for two points. Labels are
looked up at pixel centres, where cv2.INTER_NEAREST is off by up to half a pixel from the image. Images stay uint8, so
cubic overshoot is clipped. Like the released code the default resize does not antialias; with `antialias` it does.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dabench.errors import SampleError, UsageError

from ..config import PATCH_SIZE
from ..preprocess import MAX_PATCHES
from .augment import Augmentation, draw_transform
from .sample import LabelledSample

Matrix = npt.NDArray[np.float64]

_VALID, _SKY = 1, 2


@dataclass(frozen=True)
class ViewSettings:
    """What part of an image training sees.

    Attributes:
        size: (height, width) of the crop, multiples of 14.
        short_side: shorter side of the image before the crop; None is the smallest that holds the crop.
        antialias: shrink by area averaging rather than cubic.
        hflip: chance of a mirror image, drawn per image.
        rotation: largest angle in degrees, either way (ZoeDepth: 1). Pixels from outside the image become invalid.
        strong: crop, stretch and tilt of `augment.py` in place of the random crop and the rotation.
    """

    size: tuple[int, int] = (518, 518)
    short_side: int | None = None
    antialias: bool = False
    hflip: float = 0.5
    rotation: float = 0.0
    strong: Augmentation | None = None

    def __post_init__(self) -> None:
        if any(side < PATCH_SIZE or side % PATCH_SIZE for side in self.size):
            raise UsageError(f"the crop must be a multiple of {PATCH_SIZE} on both sides, got {list(self.size)}")
        if self.short_side is not None and self.short_side < 1:
            raise UsageError(f"the short side must be positive, got {self.short_side}")
        if not 0 <= self.hflip <= 1:
            raise UsageError(f"hflip is a probability, got {self.hflip}")
        if not 0 <= self.rotation < 90:
            raise UsageError(f"rotation is an angle below 90 degrees, got {self.rotation}")


@dataclass(frozen=True)
class View:
    """One draw: the image is resized to `resized`, and the crop starts at (`top`, `left`) or follows `matrix`.

    matrix: homography [3, 3] from (x, y, 1) of the crop to the resized image, or None for an upright crop.
    """

    size: tuple[int, int]
    resized: tuple[int, int]
    top: int
    left: int
    flip: bool
    antialias: bool
    matrix: Matrix | None


@dataclass(frozen=True)
class Labels:
    """disparity: float32 [H, W], 0 where not valid; valid, sky: bool [H, W]. As in `LabelledSample`."""

    disparity: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    sky: npt.NDArray[np.bool_]


def covering_size(height: int, width: int, at_least: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image of `height` x `width` resized to cover `at_least`, its aspect ratio kept.

    Both sides are rounded to multiples of 14, up where rounding would fall short. For a square `at_least` this is the
    size that the network sees at inference (`preprocess.network_size`).
    """
    scale = max(at_least[0] / height, at_least[1] / width)

    def multiple(length: float, least: int) -> int:
        nearest = int(np.round(length / PATCH_SIZE)) * PATCH_SIZE
        return nearest if nearest >= least else int(np.ceil(length / PATCH_SIZE)) * PATCH_SIZE

    return multiple(scale * height, at_least[0]), multiple(scale * width, at_least[1])


def draw_view(rng: np.random.Generator, source: tuple[int, int], settings: ViewSettings) -> View:
    """A random view of an image of `source` (height, width).

    Raises:
        SampleError: the image is empty, or so elongated that resizing it would take gigabytes.
    """
    height, width = source
    if height < 1 or width < 1:
        raise SampleError(f"an image of {width}x{height} has no pixels")
    short = settings.short_side or 0
    rows, columns = covering_size(height, width, (max(short, settings.size[0]), max(short, settings.size[1])))
    if (rows // PATCH_SIZE) * (columns // PATCH_SIZE) > MAX_PATCHES:
        raise SampleError(f"an image of {width}x{height} would be resized to {columns}x{rows}, which is too elongated")
    top = int(rng.integers(0, rows - settings.size[0] + 1))
    left = int(rng.integers(0, columns - settings.size[1] + 1))
    flip = bool(rng.random() < settings.hflip)
    angle = float(rng.uniform(-settings.rotation, settings.rotation))
    matrix = None
    if settings.strong is not None:
        matrix, flip = draw_transform(rng, (rows, columns), settings.size, settings.strong), False
    elif angle:
        matrix = _rotated_crop((rows, columns), settings.size, (top, left), angle, flip)
    return View(settings.size, (rows, columns), top, left, flip, settings.antialias, matrix)


def _rotated_crop(
    resized: tuple[int, int], size: tuple[int, int], corner: tuple[int, int], angle: float, flip: bool
) -> Matrix:
    """The image turns about its centre; then the upright crop, and the mirror inside it."""
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D(((resized[1] - 1) / 2, (resized[0] - 1) / 2), angle, 1.0)
    crop = np.array([[1, 0, corner[1]], [0, 1, corner[0]], [0, 0, 1]], np.float64)
    mirror = np.array([[-1, 0, size[1] - 1], [0, 1, 0], [0, 0, 1]], np.float64) if flip else np.eye(3)
    return np.asarray(turn @ crop @ mirror, np.float64)


def view_image(image: npt.NDArray[np.uint8], view: View) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, 3] -> the view of it, uint8 [h, w, 3]. Beyond the image's edge it is mirrored."""
    rows, columns = view.resized
    if image.shape[:2] != view.resized:
        shrinks = image.shape[0] > rows
        kind = cv2.INTER_AREA if view.antialias and shrinks else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=kind), np.uint8)
    if view.matrix is None:
        crop = image[view.top : view.top + view.size[0], view.left : view.left + view.size[1]]
        return np.asarray(cv2.flip(crop, 1), np.uint8) if view.flip else np.ascontiguousarray(crop)
    warped = cv2.warpPerspective(
        image,
        view.matrix,
        (view.size[1], view.size[0]),
        flags=cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, np.uint8)


def view_labels(sample: LabelledSample, view: View) -> Labels:
    """Labels of the view: each pixel takes the value and the masks of the nearest source pixel, so none are mixed."""
    height, width = sample.disparity.shape
    rows, columns = view.resized
    if view.matrix is None:
        row = _nearest(height, rows, view.top, view.size[0])
        column = _nearest(width, columns, view.left, view.size[1])
        column = column[::-1] if view.flip else column
        # rows, then columns: several times faster than both at once
        return _labels(sample.disparity[row][:, column], sample.valid[row][:, column], sample.sky[row][:, column])
    scale_y, scale_x = height / rows, width / columns
    to_source = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]])
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
    shape = (view.size[1], view.size[0])
    codes = sample.valid.astype(np.uint8) * _VALID + sample.sky.astype(np.uint8) * _SKY
    moved = np.asarray(cv2.warpPerspective(codes, to_source @ view.matrix, shape, flags=flags, borderValue=0), np.uint8)
    disparity = cv2.warpPerspective(sample.disparity, to_source @ view.matrix, shape, flags=flags, borderValue=0)
    return _labels(np.asarray(disparity, np.float32), (moved & _VALID) > 0, (moved & _SKY) > 0)


def _nearest(source: int, resized: int, start: int, count: int) -> npt.NDArray[np.int64]:
    """Source index under the centre of pixels start..start+count-1 of the resized axis; exact, in integers."""
    return (2 * np.arange(start, start + count, dtype=np.int64) + 1) * source // (2 * resized)


def _labels(disparity: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], sky: npt.NDArray[np.bool_]) -> Labels:
    return Labels(np.where(valid, disparity, np.float32(0)), valid, sky & valid)
