"""Bringing a prediction to the size of the ground truth, as ``torch.nn.functional.interpolate`` does (no antialias)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dabench.types import DepthMap

_CUBIC = -0.75
"""Slope of the cubic kernel at a distance of one pixel; PIL has -0.5."""


def resample(
    values: DepthMap, height: int, width: int, mode: str = "bilinear", align_corners: bool = False
) -> DepthMap:
    """Resize a map.

    A value that is not finite spreads to every pixel whose interpolation touches it. ``bicubic`` is Keys' convolution
    with a = -0.75, as OpenCV's INTER_CUBIC has it too; it may overshoot the values around it.

    Args:
        values: ``float32 [h, w]``.
        height, width: the size to come out.
        mode: ``bilinear``, ``bicubic`` or ``nearest``.
        align_corners: whether the centres of the corner pixels coincide (not for ``nearest``); otherwise the corners of
            the image do.

    Returns:
        ``float32 [height, width]``; ``values`` itself when it has that size.
    """
    if values.shape == (height, width):
        return values
    if mode == "nearest":
        return np.ascontiguousarray(values[_nearest(values.shape[0], height)][:, _nearest(values.shape[1], width)])
    if mode == "bicubic":
        return _bicubic(values, height, width, align_corners)
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
    at = np.maximum(_positions(size, target, align_corners), 0.0)
    first = np.minimum(at.astype(np.intp), size - 1)
    return first, np.minimum(first + 1, size - 1), (at - first).astype(np.float32)


def _positions(size: int, target: int, align_corners: bool) -> npt.NDArray[np.float64]:
    """Where each target pixel lies among the source pixels, counted from the centre of the first."""
    if align_corners:
        return np.arange(target, dtype=np.float64) * ((size - 1) / (target - 1) if target > 1 else 0.0)
    return (np.arange(target, dtype=np.float64) + 0.5) * (size / target) - 0.5


def _bicubic(values: DepthMap, height: int, width: int, align_corners: bool) -> DepthMap:
    columns = _cubic_taps(values.shape[1], width, align_corners)
    rows = _cubic_taps(values.shape[0], height, align_corners)
    out = np.empty((height, width), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        wide = np.zeros((values.shape[0], width))
        for at, weight in columns:
            wide += values[:, at] * weight
        for r in range(height):
            out[r] = np.sum([weight[r] * wide[at[r]] for at, weight in rows], axis=0)
    return out


def _cubic_taps(
    size: int, target: int, align_corners: bool
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]]:
    """The four source pixels around each target pixel, cut at the border, and their weights, which add up to 1."""
    at = _positions(size, target, align_corners)
    first = np.floor(at).astype(np.intp)
    taps = []
    for offset in (-1, 0, 1, 2):
        x = np.abs(at - (first + offset))
        near = 1.0 + x * x * ((_CUBIC + 2.0) * x - (_CUBIC + 3.0))
        far = _CUBIC * (x - 1.0) * (x - 2.0) ** 2
        taps.append((np.clip(first + offset, 0, size - 1), np.where(x <= 1.0, near, far)))
    return taps
