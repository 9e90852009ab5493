"""Strong augmentation of rendered images, so that a network that never saw a photograph copes with one.

Geometry moves image and label together; everything else touches the image alone and leaves its geometry readable.
Images are float32 [H, W, 3] RGB in [0, 1]; labels float32 [H, W] disparity in [0, 1]; masks bool [H, W].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..preprocess import IMAGENET_MEAN, IMAGENET_STD
from .rendered import DISPARITY_LEVELS, RenderedSample

Image = npt.NDArray[np.float32]


RANKED_PAIRS = 128
"""Point pairs drawn from every image, for `ranking_loss`."""

RANKED_RATIO = 1.2
"""Smallest disparity ratio of such a pair; both disparities are raised by RANKED_FLOOR first, since sky has none."""

RANKED_FLOOR = 0.02


@dataclass(frozen=True)
class Augmentation:
    """Strengths; probabilities are per image."""

    area: tuple[float, float] = (0.5, 1.0)
    """Share of the image that a crop covers."""
    aspect: float = 1.2
    """A crop is stretched by up to this factor either way."""
    rotation: float = 6.0
    """Degrees either way; cameras are held roughly level, and gravity is a cue worth keeping."""
    perspective: float = 0.06
    """Corners move by up to this share of the sides."""
    flip: float = 0.5
    geometry: float = 0.5
    """How often rotation and perspective happen at all."""
    colour: float = 0.8
    grey: float = 0.1
    shading: float = 0.3
    style: float = 0.12
    blur: float = 0.25
    noise: float = 0.3
    jpeg: float = 0.2
    erase: float = 0.1


@dataclass(frozen=True)
class Batch:
    """images: float32 [B, 3, H, W], ImageNet-normalised; target: float32 [B, H, W] in [0, 1]; valid: bool [B, H, W].

    near, far: int64 [B, RANKED_PAIRS], flat pixel indices of point pairs (`draw_ranked`).
    """

    images: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    near: npt.NDArray[np.int64]
    far: npt.NDArray[np.int64]


def draw_transform(
    rng: np.random.Generator, source: tuple[int, int], size: tuple[int, int], settings: Augmentation
) -> npt.NDArray[np.float64]:
    """Homography [3, 3] from output pixels (x, y, 1) to source pixels: crop, stretch, flip, and sometimes tilt.

    `source` and `size` are (height, width). Crop, rotation and perspective are one warp, so pixels are sampled once.
    """
    (height, width), (rows, columns) = source, size
    stretch = np.exp(rng.uniform(-1, 1) * np.log(settings.aspect))
    side = np.sqrt(rng.uniform(*settings.area))
    crop_h, crop_w = min(1.0, side * stretch) * height, min(1.0, side / stretch) * width
    top, left = rng.uniform(0, height - crop_h), rng.uniform(0, width - crop_w)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    if rng.random() < settings.geometry:
        corners += rng.uniform(-1, 1, (4, 2)) * settings.perspective
        angle = np.deg2rad(rng.uniform(-1, 1) * settings.rotation)
        ratio = crop_w / crop_h
        turn = np.array([[np.cos(angle), -np.sin(angle) / ratio], [np.sin(angle) * ratio, np.cos(angle)]])
        corners = (corners - 0.5) @ turn.T + 0.5
    if rng.random() < settings.flip:
        corners = corners[[1, 0, 3, 2]]
    quad = corners * [crop_w, crop_h] + [left, top] - 0.5
    frame = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64) - 0.5
    return np.asarray(cv2.getPerspectiveTransform(frame.astype(np.float32), quad.astype(np.float32)), np.float64)


def warp(
    sample: RenderedSample, transform: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[Image, npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Image (bilinear, mirrored past the edge), disparity (nearest) and mask (inside the source), at `size`."""
    flags = cv2.WARP_INVERSE_MAP
    shape = (size[1], size[0])
    image = cv2.warpPerspective(
        sample.image, transform, shape, flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    # shifted by one so that the border value 0 says "outside": int32 is not supported, float32 holds 65536 exactly
    label = cv2.warpPerspective(
        sample.disparity.astype(np.float32) + 1, transform, shape, flags=flags | cv2.INTER_NEAREST, borderValue=0
    )
    valid = label > 0
    target = (np.maximum(label, 1) - 1) / np.float32(DISPARITY_LEVELS)
    return image.astype(np.float32) / np.float32(255), target.astype(np.float32), valid


def _uniform_log(rng: np.random.Generator, factor: float, size: int | None = None) -> npt.NDArray[np.float32]:
    return np.exp(rng.uniform(-np.log(factor), np.log(factor), size)).astype(np.float32)


def jitter_colour(rng: np.random.Generator, image: Image) -> Image:
    """Exposure, white balance, saturation, hue, gamma and contrast, in that order, as a camera would apply them."""
    image = image * (_uniform_log(rng, 1.4) * _uniform_log(rng, 1.2, 3))
    grey = image.mean(2, keepdims=True)
    image = grey + (image - grey) * np.float32(rng.uniform(0.2, 1.7))
    if rng.random() < 0.4:
        image = image @ _hue_rotation(rng.uniform(-np.pi, np.pi) * rng.choice([0.15, 1.0]))
    image = np.clip(image, 0, 1) ** _uniform_log(rng, 1.7)
    pivot = image.mean()
    return np.clip((image - pivot) * _uniform_log(rng, 1.4) + pivot + np.float32(rng.normal(0, 0.06)), 0, 1)


def _hue_rotation(angle: float) -> npt.NDArray[np.float32]:
    """Rotation [3, 3] about the grey axis."""
    axis = np.full((3, 1), 1 / np.sqrt(3)) * angle
    return np.asarray(cv2.Rodrigues(axis)[0], np.float32)


def smooth_field(rng: np.random.Generator, size: tuple[int, int], cells: int) -> npt.NDArray[np.float32]:
    """Unit-variance noise [H, W] with about `cells` bumps along the short side."""
    coarse = rng.standard_normal((cells + 2, cells + 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def shade(rng: np.random.Generator, image: Image) -> Image:
    """Multiply by a smooth light field, or darken one side of a line as a cast shadow does."""
    size = image.shape[:2]
    if rng.random() < 0.5:
        gain = np.exp(0.35 * smooth_field(rng, size, int(rng.integers(1, 6))))
    else:
        direction = rng.uniform(0, 2 * np.pi)
        rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32) / max(size) - 0.5
        side = rows * np.sin(direction) + columns * np.cos(direction) - rng.uniform(-0.4, 0.4)
        edge = 1 / (1 + np.exp(-np.clip(side * rng.choice([10, 40, 200]), -30, 30)))
        gain = 1 - rng.uniform(0.2, 0.7) * edge
    return np.clip(image * gain[..., None].astype(np.float32), 0, 1)


def restyle(rng: np.random.Generator, image: Image) -> Image:
    """New texture on old geometry: a random convolution, a channel mix, or a texture on some of the grey levels."""
    kind = rng.integers(3)
    if kind == 0:  # random convolution (arXiv 2007.13003): changes local texture statistics, keeps shapes
        kernel = rng.standard_normal((3, 3, 3)).astype(np.float32) / 3
        styled = sum(cv2.filter2D(image, -1, kernel[c]) for c in range(3))
        styled = styled @ (rng.standard_normal((3, 3)).astype(np.float32) / np.sqrt(3))
    elif kind == 1:
        styled = image @ rng.dirichlet(np.ones(3), 3).astype(np.float32).T
        if rng.random() < 0.3:
            styled = 1 - styled
    else:
        fine = smooth_field(rng, image.shape[:2], int(rng.integers(8, 60)))[..., None]
        level = np.floor(image.mean(2, keepdims=True) * 5) * 2.4
        styled = image + 0.12 * fine * (np.sin(level + rng.uniform(0, 6)) > 0)
    low, high = np.percentile(styled[::4, ::4], [1, 99])
    if kind == 0:
        styled = (styled - low) / max(float(high - low), 1e-3)
    share = np.float32(rng.uniform(0.3, 1.0))
    return np.clip(styled * share + image * (1 - share), 0, 1).astype(np.float32)


def blur(rng: np.random.Generator, image: Image) -> Image:
    """Gaussian defocus or a short straight motion."""
    if rng.random() < 0.7:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.8))), np.float32)
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
    blurred = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32)


def add_noise(rng: np.random.Generator, image: Image) -> Image:
    """Sensor noise, per pixel and sometimes in blotches, in one or three channels."""
    channels = 3 if rng.random() < 0.6 else 1
    noise = rng.standard_normal((*image.shape[:2], channels), np.float32)
    if rng.random() < 0.3:
        noise = np.asarray(2 * cv2.GaussianBlur(noise, (0, 0), 1.0), np.float32).reshape(noise.shape)
    return np.clip(image + np.float32(rng.uniform(0.005, 0.07)) * noise, 0, 1)


def compress(rng: np.random.Generator, image: Image) -> Image:
    """A round trip through JPEG of quality 25 to 85."""
    encoded = cv2.imencode(
        ".jpg", (image * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 86))]
    )
    return np.asarray(cv2.imdecode(encoded[1], cv2.IMREAD_UNCHANGED), np.float32) / np.float32(255)


def erase(rng: np.random.Generator, image: Image) -> Image:
    """Flatten up to four boxes to a colour or to their own mean: what is inside must be told from around it."""
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 5)):
        h, w = (rng.uniform(0.06, 0.3, 2) * (height, width)).astype(int) + 1
        row, column = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        box = image[row : row + h, column : column + w]
        colour = box.mean((0, 1)) if rng.random() < 0.5 else rng.random(3, np.float32)
        share = np.float32(rng.uniform(0.5, 1.0))
        box[:] = box * (1 - share) + colour * share
    return image


def change_appearance(rng: np.random.Generator, image: Image, settings: Augmentation) -> Image:
    """The chain of appearance changes, in the order light, scene, lens, sensor and file would make them."""
    if rng.random() < settings.style:
        image = restyle(rng, image)
    if rng.random() < settings.shading:
        image = shade(rng, image)
    if rng.random() < settings.erase:
        image = erase(rng, image)
    if rng.random() < settings.colour:
        image = jitter_colour(rng, image)
    if rng.random() < settings.grey:
        image = np.repeat(image.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < settings.blur:
        image = blur(rng, image)
    if rng.random() < settings.noise:
        image = add_noise(rng, image)
    if rng.random() < settings.jpeg:
        image = compress(rng, image)
    return image.astype(np.float32)


def draw_ranked(
    rng: np.random.Generator, target: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(near, far): flat pixel indices int64 [RANKED_PAIRS] of clearly ordered points of a disparity map [H, W].

    In half of the pairs the nearer point is the lower one, in half the upper one, so that knowing that the ground is
    below earns nothing. Where a kind does not occur (or nothing is ordered) a point is paired with itself.
    """
    columns = target.shape[1]
    first, second = rng.integers(0, target.size, (2, 12 * RANKED_PAIRS))
    d1, d2 = (target.reshape(-1)[points] + np.float32(RANKED_FLOOR) for points in (first, second))
    near, far = np.where(d1 > d2, first, second), np.where(d1 > d2, second, first)
    known = valid.reshape(-1)
    clear = (np.maximum(d1, d2) > RANKED_RATIO * np.minimum(d1, d2)) & known[first] & known[second]
    chosen = []
    for kind in (near // columns > far // columns, near // columns < far // columns):
        found = np.nonzero(clear & kind)[0]
        if len(found):
            chosen.append(np.resize(found, RANKED_PAIRS // 2))
    index = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    padding = np.zeros(RANKED_PAIRS - len(index), np.int64)
    return np.concatenate([near[index], padding]), np.concatenate([far[index], padding])


def make_batch(
    samples: list[RenderedSample], rng: np.random.Generator, size: tuple[int, int], settings: Augmentation
) -> Batch:
    """Augment `samples` to one batch of `size` (rows, columns); the result depends on `rng`'s state alone."""
    images, targets, masks, ranked = [], [], [], []
    for sample in samples:
        transform = draw_transform(rng, sample.disparity.shape, size, settings)
        image, target, valid = warp(sample, transform, size)
        image = (change_appearance(rng, image, settings) - IMAGENET_MEAN) / IMAGENET_STD
        images.append(image.transpose(2, 0, 1).astype(np.float32))
        targets.append(target)
        masks.append(valid)
        ranked.append(draw_ranked(rng, target, valid))
    near, far = (np.stack(points) for points in zip(*ranked, strict=True))
    return Batch(np.ascontiguousarray(np.stack(images)), np.stack(targets), np.stack(masks), near, far)
