"""One aligned prediction as a map, with the fit that the record holds, so that pictures show what was scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import SampleError
from dabench.scoring.crops import KB_SIZE, crop_box, kb_window
from dabench.scoring.resample import resample
from dabench.scoring.rule import DenseRule
from dabench.types import GroundTruth, Mask, Output, Prediction

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Aligned:
    """A prediction in metres beside its ground truth.

    Attributes:
        depth: ``float64 [H, W]`` compared depth in metres; NaN where the prediction cannot be used.
        truth: ``float64 [H, W]`` in metres, clipped where the protocol does; meaningless where not ``valid``.
        valid: ``bool [H, W]``, ground truth that counts.
    """

    depth: Floats
    truth: Floats
    valid: Mask

    @property
    def counted(self) -> Mask:
        """Where both can be compared."""
        found: Mask = self.valid & np.isfinite(self.depth)
        return found

    @property
    def relative_error(self) -> Floats:
        """``float64 [H, W]`` (prediction - truth) / truth: positive is too far. NaN where not counted."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.counted, (self.depth - self.truth) / self.truth, np.nan)


def align(
    prediction: Prediction, truth: GroundTruth, rule: DenseRule, fit: Mapping[str, Any] | None, *, kb: bool
) -> Aligned:
    """Bring a prediction to metres as the protocol does, with the scale and shift of the record.

    Args:
        prediction: of the whole image, or with ``kb`` of its 352 x 1216 crop.
        truth: at its own size; the prediction is brought to it.
        rule: of the protocol.
        fit: ``scale`` and ``shift`` in the space of the fit, or None where nothing was fitted.
        kb: the model saw KITTI's crop only.

    Raises:
        SampleError: no pixel of ground truth counts.
    """
    depth, valid = _counted(truth, rule)
    if not valid.any():
        raise SampleError("no pixel of its ground truth counts")
    values = _sized(prediction, depth.shape, rule, kb=kb)
    disparity = prediction.output is Output.DISPARITY
    method = rule.method[prediction.output]
    in_disparity = disparity if method == "none" else method == "least-squares-disparity"
    invert = disparity != in_disparity
    usable = np.isfinite(values)
    if rule.fit_floor is not None:
        values = np.where(usable, np.maximum(values, rule.fit_floor), values)
    if invert or not in_disparity:
        usable &= values > 0
    scale, shift = (1.0, 0.0) if fit is None else (float(fit["scale"]), float(fit["shift"]))
    farthest = float(depth[valid].max())
    near, far = rule.depth_min, farthest if rule.depth_max is None else rule.depth_max
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        aligned = scale * (1.0 / values if invert else values) + shift
        if in_disparity:
            floor = 1.0 / farthest if rule.disparity_floor is None else rule.disparity_floor
            aligned = 1.0 / np.clip(aligned, max(floor, 1.0 / far), 1.0 / near)
        else:
            aligned = np.clip(aligned, near, far)
    return Aligned(np.where(usable, aligned, np.nan), depth, valid)


def _counted(truth: GroundTruth, rule: DenseRule) -> tuple[Floats, Mask]:
    """Ground truth after clipping, and which of its pixels count: crop, range, quantile."""
    depth = np.asarray(truth.depth, dtype=np.float64)
    if rule.clip_to is not None:
        depth = np.minimum(depth, rule.clip_to)
    box = crop_box(depth.shape[0], depth.shape[1], rule.crop_frame, rule.crop_region)
    inside = np.zeros(depth.shape, dtype=np.bool_)
    inside[box.top : box.bottom, box.left : box.right] = True
    with np.errstate(invalid="ignore"):
        known = truth.valid & (depth > 0) & np.isfinite(depth)
        valid = known & inside & (depth >= rule.valid_min if rule.min_inclusive else depth > rule.valid_min)
        if rule.valid_max is not None:
            valid &= depth <= rule.valid_max if rule.max_inclusive else depth < rule.valid_max
        if rule.quantile_share is not None and rule.quantile_factor is not None and known.any():
            valid &= depth <= rule.quantile_factor * np.quantile(depth[known], rule.quantile_share)
    return depth, valid


def _sized(prediction: Prediction, shape: tuple[int, ...], rule: DenseRule, *, kb: bool) -> Floats:
    """The prediction at the size of the ground truth; NaN outside the crop that the model saw."""
    values = np.ascontiguousarray(prediction.values, dtype=np.float32)
    if not kb:
        resized = resample(values, shape[0], shape[1], rule.resampling, rule.align_corners)
        return resized.astype(np.float64)
    top, left = kb_window(shape[0], shape[1])
    canvas = np.full(shape, np.nan)
    resized = resample(values, *KB_SIZE, rule.resampling, rule.align_corners)
    canvas[top : top + KB_SIZE[0], left : left + KB_SIZE[1]] = resized
    return canvas
