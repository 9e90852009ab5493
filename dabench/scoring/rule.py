"""What a protocol says about scoring dense depth, as plain numbers and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dabench.scoring.metrics import PIXEL_METRICS
from dabench.types import Output


@dataclass(frozen=True)
class DenseRule:
    """Everything that changes the score of one prediction against one image's ground truth.

    Attributes:
        method: the alignment method for each kind of output (``dabench.protocols.schema.AlignmentMethod``).
        valid_min, valid_max: ground truth counts where ``valid_min < g < valid_max``; metres.
        min_inclusive, max_inclusive: whether the bound itself counts.
        clip_to: ground truth beyond this many metres, infinity included, is set to it before anything else.
        quantile_share, quantile_factor: ground truth counts up to ``factor`` times its quantile of order ``share``.
        min_pixels: an image with fewer valid pixels is empty.
        crop_frame: ``full`` or ``kb``, what ``crop_region`` is measured in.
        crop_region: ``none``, ``garg``, ``garg-rounded``, ``eigen`` or ``(top, bottom, left, right)`` in pixels of the
            frame.
        resampling, align_corners: how a prediction of another size is brought to the size of the ground truth.
        disparity_floor: smallest aligned disparity in 1/m; None is 1 / max(g) of the image.
        depth_min, depth_max: range of the compared depth in metres; ``depth_max`` None is max(g) of the image.
        fit_on: ``usable`` predictions, or of those the ``positive`` ones.
        fit_floor: predictions are raised to this before the fit.
        fit_max_side: the fit uses nearest-neighbour samples of the maps with at most this longer side.
        degenerate: a fit without a solution predicts the mean (``constant``) or the far end (``farthest``).
        negative_scale: ``keep`` it, or fall back to ``median-ratio``.
        unusable: ``worst`` or ``range-ends``.
        space: errors are measured on ``depth`` or on ``disparity``.
        metrics: the names to compute.
    """

    method: Mapping[Output, str]
    valid_min: float = 0.0
    valid_max: float | None = None
    disparity_floor: float | None = None
    depth_min: float = 1e-3
    depth_max: float | None = None
    min_inclusive: bool = False
    max_inclusive: bool = False
    clip_to: float | None = None
    quantile_share: float | None = None
    quantile_factor: float | None = None
    min_pixels: int = 1
    crop_frame: str = "full"
    crop_region: str | tuple[int, int, int, int] = "none"
    resampling: str = "bilinear"
    align_corners: bool = False
    fit_on: str = "usable"
    fit_floor: float | None = None
    fit_max_side: int | None = None
    degenerate: str = "constant"
    negative_scale: str = "keep"
    unusable: str = "worst"
    space: str = "depth"
    metrics: tuple[str, ...] = PIXEL_METRICS
