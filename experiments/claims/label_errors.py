"""Errors of known extent in a teacher's labels, for the question whether leaving out the largest losses helps."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

RADIUS = (0.04, 0.15)
"""Half axes of a wrong patch, in heights of the image."""


def wrong_patches(shape: tuple[int, int], share: float, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Number [H, W] of the patch that a pixel belongs to, from 1 on, 0 for none.

    Ellipses are added until they cover `share` (0 to 1) of the pixels; of the last one only as many as are missing.
    Of two shares under one generator state, the larger one's patches hold the smaller one's.
    """
    wanted = round(share * shape[0] * shape[1])
    patches = np.zeros(shape, np.intp)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    number = 0
    while (missing := wanted - int((patches > 0).sum())) > 0:
        number += 1
        middle, turn = rng.uniform(0, shape), rng.uniform(0, np.pi)
        half = rng.uniform(*RADIUS, 2) * shape[0]
        y, x = rows - middle[0], columns - middle[1]
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        new = np.flatnonzero(((along / half[0]) ** 2 + (across / half[1]) ** 2 < 1) & (patches == 0))
        patches.flat[new[:missing]] = number
    return patches


def spoil(disparity: npt.NDArray[np.float32], share: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A map [H, W] in which `share` of the pixels have the disparity of somewhere else in the map, patch by patch."""
    patches = wrong_patches((disparity.shape[0], disparity.shape[1]), share, np.random.default_rng(rng.integers(2**63)))
    values = rng.choice(disparity.ravel(), int(patches.max()) + 1).astype(np.float32)
    return np.where(patches > 0, values[patches], disparity).astype(np.float32)


def erring(forward: Callable[[Tensor], Tensor], share: float) -> Callable[[Tensor], Tensor]:
    """`forward` (images [B, 3, h, w] -> disparity [B, h, w]) with errors, always the same ones for an image."""
    if share == 0:
        return forward

    def wrong(images: Tensor) -> Tensor:
        maps = forward(images).float().cpu().numpy()
        keys = [zlib.crc32(image.float().cpu().numpy().tobytes()) for image in images]
        spoilt = [spoil(m, share, np.random.default_rng(key)) for m, key in zip(maps, keys, strict=True)]
        return torch.from_numpy(np.stack(spoilt)).to(images.device)

    return wrong
