"""Sizes and resampling that the diffusion models share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dabench.errors import ImageError
from dabench.types import Image

SCALE = 8
"""Pixels a latent: the VAE of Stable Diffusion halves three times. No network input may be smaller."""


class ProcessingSize(NamedTuple):
    """What the networks see of an image.

    Attributes:
        network: height and width in pixels.
        by_the_rule: whether that is the upstream rule's own result; not so where a side had to be lifted to 8 px.
    """

    network: tuple[int, int]
    by_the_rule: bool


def processing_size(height: int, width: int, resolution: int) -> ProcessingSize:
    """Scale the long side to ``resolution`` (0: keep it), round the short one down, lift either to 8 px at least.

    As diffusers has it. The repositories compute in floats, which for one size in a hundred is one pixel less.
    """
    if resolution:
        longest = max(height, width)
        size = (height * resolution // longest, width * resolution // longest)
    else:
        size = (height, width)
    return ProcessingSize((max(size[0], SCALE), max(size[1], SCALE)), min(size) >= SCALE)


def check_image(image: object) -> Image:
    """``image`` as it is, or an ImageError when it is not a uint8 [H, W, 3] array with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"an image must be uint8 [H, W, 3] in RGB order, got {got}")
    if image.size == 0:
        raise ImageError(f"an image must have at least one pixel, got {list(image.shape)}")
    return image


def as_tensor(image: Image) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)) / 255


def scaled(values: Tensor, size: tuple[int, int]) -> Tensor:
    """[1, C, h, w] -> [1, C, *size], bilinear with antialiasing; the same values where the size is the same."""
    if tuple(values.shape[-2:]) == size:
        return values
    return functional.interpolate(values, size, mode="bilinear", antialias=True)
