"""Scale-invariant logarithmic loss (SiLog) on metres, in the two forms that Depth Anything has been fine-tuned with.

Both are functions of three sums over the valid pixels, so that a batch spread over processes can add its sums up first.
Source of the idea: "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network" (arXiv 1406.2283,
equation 4). Why the guards: arXiv 2311.03938 traces NaN in this loss to the root, to logarithms and to the variance.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

MIN_DEPTH = 1e-3
"""Metres. Smaller predictions are raised to it, smaller targets left out."""

ROOT_FLOOR = 1e-8
"""Added below the root, whose slope is infinite at 0; a perfect prediction costs 1e-4 instead of 0."""

SilogForm = Literal["depth-anything-v2", "zoedepth"]
SilogReduction = Literal["batch", "image"]


class LogMoments(NamedTuple):
    """Number of valid pixels, and over them the sums of g = log(target) - log(prediction) and of its square."""

    pixels: Tensor
    total: Tensor
    squares: Tensor


def log_moments(prediction: Tensor, depth: Tensor, valid: Tensor, max_depth: float | None = None) -> LogMoments:
    """Sums over each image, [B].

    prediction [B, H, W] in metres, raised to MIN_DEPTH where smaller (no gradient there); depth [B, H, W] in metres;
    valid bool [B, H, W], of which pixels with a depth outside [MIN_DEPTH, `max_depth`] are left out, sky among them.
    In float32 or wider.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        prediction, depth = (x if x.dtype == torch.float64 else x.float() for x in (prediction, depth))
        used = valid & ~(depth < MIN_DEPTH)
        if max_depth is not None:
            used = used & ~(depth > max_depth)
        target = depth.masked_fill(~used, 1.0)
        g = (target.log() - prediction.clamp_min(MIN_DEPTH).log()).masked_fill(~used, 0.0)
        return LogMoments(used.flatten(1).sum(1).to(g.dtype), g.flatten(1).sum(1), g.square().flatten(1).sum(1))


def silog(moments: LogMoments, form: SilogForm = "depth-anything-v2") -> Tensor:
    """SiLog of each element of `moments`, of their shape; an exact zero, with zero gradient, without a pixel.

    ``depth-anything-v2``: sqrt(mean g^2 - 0.5 (mean g)^2) (Depth-Anything-V2, metric_depth/util/loss.py).
    ``zoedepth``: 10 sqrt(var g + 0.15 (mean g)^2), the variance divided by the number of pixels less one (ZoeDepth,
    zoedepth/trainers/loss.py; Depth-Anything, metric_depth).
    """
    pixels, total, squares = moments
    count = pixels.clamp_min(1)
    mean = total / count
    if form == "depth-anything-v2":
        spread, factor = squares / count - 0.5 * mean.square(), 1.0
    else:
        variance = (squares - mean * total).clamp_min(0) / (pixels - 1).clamp_min(1)
        spread, factor = variance + 0.15 * mean.square(), 10.0
    value = factor * (spread + ROOT_FLOOR).sqrt()
    return torch.where(pixels > 0, value, 0.0 * total)


def silog_loss(
    prediction: Tensor,
    depth: Tensor,
    valid: Tensor,
    *,
    form: SilogForm = "depth-anything-v2",
    reduction: SilogReduction = "batch",
    max_depth: float | None = None,
) -> Tensor:
    """SiLog of a batch, a scalar >= 0; arguments as in `log_moments`.

    ``batch``: over all valid pixels of the batch together, as both sources have it. ``image``: the mean over images
    that have a valid pixel. Without any valid pixel the loss is an exact zero that still depends on the prediction.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        moments = log_moments(prediction, depth, valid, max_depth)
        if reduction == "batch":
            return silog(LogMoments(*(x.sum() for x in moments)), form)
        return silog(moments, form).sum() / (moments.pixels > 0).sum().clamp_min(1)
