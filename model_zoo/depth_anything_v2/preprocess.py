"""Image -> network input, and network output -> map of the image's size, by the official rule.

Source: Depth Anything V2 repository, `dpt.py` (`image2tensor`, `infer_image`) and `util/transform.py` (`Resize` with
`resize_method="lower_bound"`, `NormalizeImage`). The Hugging Face processor differs: another size rule below 518 px and
an antialiased, clamped resize.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dabench.errors import ImageError, UsageError

from .config import PATCH_SIZE
from .head import enlarge

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

MAX_PATCHES = 32768
"""Largest network input in patches (an aspect ratio of 24 at short side 518). Attention grows with its square; beyond
this one image takes many minutes and gigabytes, which is an error to report rather than a job to start."""


def network_size(height: int, width: int, input_size: int) -> tuple[int, int]:
    """Height and width in pixels of the network input for an image of `height` x `width` ("lower bound" rule).

    The short side becomes `input_size`, the aspect ratio is kept, and both sides are rounded to multiples of 14, up
    where rounding would fall below `input_size`.
    """
    scale = max(input_size / height, input_size / width)

    def multiple(length: float) -> int:
        nearest = int(np.round(length / PATCH_SIZE)) * PATCH_SIZE
        return nearest if nearest >= input_size else int(np.ceil(length / PATCH_SIZE)) * PATCH_SIZE

    return multiple(scale * height), multiple(scale * width)


def check_input_size(input_size: int) -> int:
    """`input_size` itself, or an error when no network input can have it as its short side."""
    if input_size < PATCH_SIZE:
        raise UsageError(
            f"input size {input_size} is smaller than a patch of {PATCH_SIZE} px",
            hint="give the short side of the network input in pixels, for example 518",
        )
    return input_size


def check_image(image: npt.NDArray[np.uint8], input_size: int) -> tuple[int, int]:
    """Network size for `image`, or an error when it is not uint8 [H, W, 3] or too elongated to be computed."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"an image must be uint8 [H, W, 3] in RGB order, got {got}")
    if image.size == 0:
        raise ImageError(f"an image must have at least one pixel, got {list(image.shape)}")
    height, width = network_size(image.shape[0], image.shape[1], input_size)
    patches = (height // PATCH_SIZE) * (width // PATCH_SIZE)
    if patches > MAX_PATCHES:
        raise ImageError(
            f"an image of {image.shape[1]}x{image.shape[0]} becomes {width}x{height} at input size {input_size}: "
            f"{patches} patches, above the limit of {MAX_PATCHES}",
            hint="give a smaller input size, or crop the image",
        )
    return height, width


def prepare(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """uint8 RGB [H, W, 3] -> float32 [3, h, w] of `size`, ImageNet-normalised.

    Cubic resampling works on floats in [0, 1] and is not clamped, so values may leave the range of the image. They are
    float64 as in the official code: on float32 OpenCV also places the samples in float32, off by 1e-4 in the result.
    """
    height, width = size
    resized = cv2.resize(image / 255.0, (width, height), interpolation=cv2.INTER_CUBIC)
    normalised = (resized - np.asarray(IMAGENET_MEAN)) / np.asarray(IMAGENET_STD)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1), dtype=np.float32)


def restore(values: Tensor, size: tuple[int, int], *, align_corners: bool = True) -> npt.NDArray[np.float32]:
    """[h, w] network output -> float32 [H, W] of `size`, bilinear, with aligned corners (V2) or without (V1)."""
    values = values.float()
    if tuple(values.shape) != size:
        resized = enlarge if align_corners else functools.partial(F.interpolate, mode="bilinear", align_corners=False)
        values = resized(values[None, None], size)[0, 0]
    array: npt.NDArray[np.float32] = values.to("cpu", torch.float32).numpy()
    return array
