"""From what a data set stores to what a loss needs: inverse depth, and which pixels are sky or holes.

The target of relative training is inverse depth, `1 / z` (arXiv 2401.10891, section 3.1). Sky has inverse depth 0 and
takes part in the loss; a hole (nothing stored, or nothing to be believed) does not. What counts as sky or hole in
Depth Anything V2's synthetic sets is not published, so every reader states a `LabelRule` with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dabench.errors import UsageError

FloatMap = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelRule:
    """Which stored depths are surface, sky or hole. Depths are in the unit of the set, metres for most.

    Attributes:
        near: a depth at or below this is a hole; NaN and negative values always are.
        far: a depth beyond this is a hole, unless it is sky; None (or infinity) has no such limit.
        sky_from: a depth from here on, infinity included, is sky; None knows no sky by depth, and infinity only that.
        zero_is_sky: whether the stored value 0, "nothing was hit", is sky rather than a hole.
        min_valid: share of the image, from 0 to 1, that must be surface; an image below it, or without any surface,
            is refused when it is read.
    """

    near: float = 0.0
    far: float | None = None
    sky_from: float | None = None
    zero_is_sky: bool = False
    min_valid: float = 0.0

    def __post_init__(self) -> None:
        for name in ("near", "min_valid"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"label rule: {name} must not be negative, got {getattr(self, name)}")
        if self.min_valid > 1:
            raise UsageError(f"label rule: min_valid is a share from 0 to 1, got {self.min_valid}")
        for name in ("far", "sky_from"):
            limit = getattr(self, name)
            if limit is not None and not limit > self.near:
                raise UsageError(f"label rule: {name} must be above near ({self.near}), got {limit}")


class DenseLabels(NamedTuple):
    """Labels of one image, each `[H, W]`, as in `LabelledSample`.

    disparity: float32, `1 / depth`, exactly 0 in sky and holes. valid: bool, surface and sky. sky: bool, within valid.
    """

    disparity: FloatMap
    valid: Mask
    sky: Mask


def refine(rule: LabelRule, changes: LabelRule | Mapping[str, Any] | None) -> LabelRule:
    """`rule` with some fields changed, as a recipe's `rule = { sky_from = 500 }` does; another rule replaces it.

    Raises:
        UsageError: a field that rules do not have, or a value that is no number.
    """
    if changes is None or isinstance(changes, LabelRule):
        return changes or rule
    known = {field.name for field in fields(LabelRule)}
    for name, value in changes.items():
        if name not in known:
            raise UsageError(f"label rule has no field '{name}'", hint=f"it has {', '.join(sorted(known))}")
        if value is None and name in ("far", "sky_from"):
            continue
        wanted = bool if name == "zero_is_sky" else (int, float)
        if (isinstance(value, bool) and wanted is not bool) or not isinstance(value, wanted):
            raise UsageError(f"label rule: {name} cannot be {value!r}")
    return replace(rule, **changes)


def labels_from_depth(
    depth: npt.NDArray[Any], rule: LabelRule, *, hole: Mask | None = None, sky: Mask | None = None
) -> DenseLabels:
    """Depth along the optical axis `[H, W]` -> labels, disparity per unit of depth.

    Args:
        depth: any type of number; NaN where nothing is stored, or 0.
        rule: what is sky, hole and too far.
        hole: bool `[H, W]`, pixels that are holes whatever their depth.
        sky: bool `[H, W]`, pixels that are sky whatever their depth, unless they are holes.
    """
    values = np.asarray(depth, np.float32)
    nowhere = np.zeros(values.shape, np.bool_)
    hole = nowhere if hole is None else hole
    with np.errstate(invalid="ignore", over="ignore"):
        is_sky = nowhere.copy() if sky is None else np.asarray(sky, np.bool_).copy()
        if rule.sky_from is not None:
            is_sky |= values >= rule.sky_from
        if rule.zero_is_sky:
            is_sky |= values == 0
        is_sky &= ~hole
        # the smallest positive numbers have no float32 inverse
        surface = (values > max(rule.near, 1e-37)) & np.isfinite(values) & ~is_sky & ~hole
        if rule.far is not None:
            surface &= values <= rule.far
    disparity = np.zeros(values.shape, np.float32)
    np.divide(np.float32(1), values, out=disparity, where=surface)
    return DenseLabels(disparity, surface | is_sky, is_sky)


def labels_from_disparity(disparity: npt.NDArray[Any], rule: LabelRule, depth_times_disparity: float) -> DenseLabels:
    """Stereo disparity `[H, W]` in pixels -> labels, disparity per unit of depth.

    Args:
        disparity: pixels, above 0; what is not finite or below 0 is a hole, and so is 0 unless `rule.zero_is_sky`.
        rule: limits in depth.
        depth_times_disparity: baseline times focal length in pixels, so that depth is this divided by disparity.
    """
    values = np.asarray(disparity, np.float32)
    positive = np.isfinite(values) & (values > 0)
    depth = np.full(values.shape, np.nan, np.float32)
    with np.errstate(over="ignore"):
        np.divide(np.float32(depth_times_disparity), values, out=depth, where=positive)
    labels = labels_from_depth(depth, rule, sky=(values == 0) & rule.zero_is_sky)
    surface = labels.valid & ~labels.sky
    inverse = np.where(surface, values, np.float32(0)) / np.float32(depth_times_disparity)
    return DenseLabels(inverse.astype(np.float32), labels.valid, labels.sky)


def z_from_ray_distance(distance: npt.NDArray[Any], focal: float) -> FloatMap:
    """Distance to the camera centre `[H, W]` -> depth along the optical axis, in the same unit.

    For a pinhole camera with square pixels and its principal point in the middle of the image; `focal` in pixels.
    Pixel centres lie at whole columns and rows, so of 1024 columns at -511.5 ... 511.5 from the middle.
    """
    return np.asarray(distance, np.float32) * _z_of_unit_ray(*distance.shape, focal)


@lru_cache(maxsize=4)
def _z_of_unit_ray(height: int, width: int, focal: float) -> FloatMap:
    """Depth of a point at distance 1, for every pixel; the same for all images of a camera."""
    columns = np.arange(width, dtype=np.float64) - (width - 1) / 2
    rows = np.arange(height, dtype=np.float64) - (height - 1) / 2
    length = np.sqrt((columns[None, :] ** 2 + rows[:, None] ** 2) / focal**2 + 1)
    z = (1 / length).astype(np.float32)
    z.setflags(write=False)
    return z


def minmax_target(disparity: FloatMap, valid: Mask) -> FloatMap:
    """Disparity `[H, W]` -> the target of relative training in [0, 1], 0 where not valid.

    Each image has its own range, over its valid pixels (arXiv 2401.10891, section 3.1). Sky has disparity 0, so it
    stays 0 and all else lies above; without sky the farthest valid pixel becomes 0. Of one value only, or of no valid
    pixel, the target is 0 everywhere.
    """
    target = np.zeros(disparity.shape, np.float32)
    inside = disparity[valid]
    if inside.size:
        low, high = inside.min(), inside.max()
        if high > low:
            target[valid] = (inside - low) / (high - low)
    return target
