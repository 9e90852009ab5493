"""Bringing a prediction to the size of the ground truth, as ``torch.nn.functional.interpolate`` does (no antialias)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dabench.types import DepthMap


def resample(
    values: DepthMap, height: int, width: int, mode: str = "bilinear", align_corners: bool = False
) -> DepthMap:
    """Resize a map.

    A value that is not finite spreads to every pixel whose interpolation touches it.

    Args:
        values: ``float32 [h, w]``.
        height, width: the size to come out.
        mode: ``bilinear`` or ``nearest``.
        align_corners: whether the centres of the corner pixels coincide (bilinear only); otherwise the corners of the
            image do.

    Returns:
        ``float32 [height, width]``; ``values`` itself when it has that size.
    """
    if values.shape == (height, width):
        return values
    if mode == "nearest":
        return np.ascontiguousarray(values[_nearest(values.shape[0], height)][:, _nearest(values.shape[1], width)])
    rows = _neighbours(values.shape[0], height, align_corners)
    left, right, towards_right = _neighbours(values.shape[1], width, align_corners)
    with np.errstate(invalid="ignore", over="ignore"):
        # Columns first, on the few source rows: the many target rows are then one blend of two rows each.
        wide = values[:, left] * (np.float32(1.0) - towards_right) + values[:, right] * towards_right
        out = np.empty((height, width), np.float32)
        for r, (above, below, down) in enumerate(zip(*rows, strict=True)):
            np.multiply(wide[above], np.float32(1.0) - down, out=out[r])
            out[r] += wide[below] * down
    return out


def _nearest(size: int, target: int) -> npt.NDArray[np.intp]:
    return np.minimum((np.arange(target) * (size / target)).astype(np.intp), size - 1)


def _neighbours(
    size: int, target: int, align_corners: bool
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The two source pixels beside each target pixel and the weight of the second."""
    if align_corners:
        at = np.arange(target) * ((size - 1) / (target - 1) if target > 1 else 0.0)
    else:
        at = np.maximum((np.arange(target) + 0.5) * (size / target) - 0.5, 0.0)
    first = np.minimum(at.astype(np.intp), size - 1)
    return first, np.minimum(first + 1, size - 1), (at - first).astype(np.float32)
