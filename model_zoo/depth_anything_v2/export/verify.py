"""Whether an exported file computes what the network computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from dabench.errors import ModelError

from ..config import PATCH_SIZE
from ..model import DepthAnythingV2

Array = npt.NDArray[np.float32]

TOLERANCES = {"fp32": 1e-4, "fp16": 2e-2}
"""Largest difference allowed, relative to the range of the map."""


def sizes_to_verify(table_size: int, size: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Heights and widths in pixels to compare at: the only one; or, for a network of any size, the one trained for,
    both sides of it, odd numbers of patches, and an elongated image, in landscape and portrait."""
    if size is not None:
        return [size]
    side = table_size
    grids = [(side, side), (side // 2 + 1, side), (side, side // 2), (side + 1, side + 3), (3, 11), (13, 4)]
    return [(rows * PATCH_SIZE, columns * PATCH_SIZE) for rows, columns in grids]


def largest_difference(
    network: DepthAnythingV2, exported: Callable[[Array], Array], sizes: Sequence[tuple[int, int]]
) -> float:
    """Largest difference over all sizes, relative to the range of the network's own map at that size.

    Raises:
        ModelError: the exported network gives another shape at some size, or values that are not finite.
    """
    worst = 0.0
    for height, width in sizes:
        images = picture(height, width)
        with torch.inference_mode():
            expected = network(torch.from_numpy(images)).numpy()
        found = np.asarray(exported(images))
        if found.shape != expected.shape:
            raise ModelError(
                f"at {height}x{width} the exported network gives {list(found.shape)}, not {list(expected.shape)}"
            )
        if not np.isfinite(found).all():
            raise ModelError(f"at {height}x{width} the exported network gives values that are not finite")
        spread = float(expected.max() - expected.min()) or max(float(np.abs(expected).max()), 1.0)
        worst = max(worst, float(np.abs(found - expected).max()) / spread)
    return worst


def picture(height: int, width: int) -> Array:
    """A network input [1, 3, height, width] of smooth shapes and some noise, the same at every call."""
    generator = np.random.default_rng(height * 10007 + width)
    rows, columns = np.mgrid[0:height, 0:width] / PATCH_SIZE
    waves = [np.sin(rows * a + columns * b + c) for a, b, c in generator.uniform(-1, 1, (3, 3)) * (0.8, 0.8, 3)]
    noise = generator.normal(0, 0.2, (3, height, width))
    return np.asarray((np.stack(waves) + noise)[None], dtype=np.float32)
