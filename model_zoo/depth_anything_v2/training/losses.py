"""Losses of Depth Anything V2 as pure functions of arrays [B, H, W]; always computed in float32 or wider.

Sources: Depth Anything (arXiv 2401.10891, equations 1-3), Depth Anything V2 (arXiv 2406.09414, section 7.1 and B.7),
MiDaS (arXiv 1907.01341, equations 5-7 for the data term, 11 for the gradient term).

Every statistic is taken per image and over that image's valid pixels, then averaged over the images that count,
so the objective depends neither on the invalid pixels' content nor on how a batch is spread over processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

SCALE_FLOOR = 1e-4
"""Smallest spread a map is divided by; 1e-6 gives a constant prediction a gradient norm of about 1e4."""

FLAT_TARGET = 1e-3
"""A min-max normalised target whose spread is below this (a wall, all sky) carries no order and is skipped."""

ANCHOR_RANGE = (-3.0, 4.0)

RANKING_SHARPNESS = 2.0
"""How fast `ranking_loss` falls with the margin of a pair, in inverse mean absolute deviations of the map."""

GRADIENT_SCALES = 4
GRADIENT_WEIGHT = 2.0


class Normalised(NamedTuple):
    """A map with its affine freedom removed.

    values: [B, H, W], (x - shift) / max(scale, SCALE_FLOOR); finite at every pixel. scale: [B] >= 0, before the floor.
    """

    values: Tensor
    scale: Tensor


class DepthLoss(NamedTuple):
    """Scalars: total = data + GRADIENT_WEIGHT * gradient; counted: number of images (float) that contributed."""

    total: Tensor
    data: Tensor
    gradient: Tensor
    counted: Tensor


def _widen(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def masked_median(values: Tensor, valid: Tensor) -> Tensor:
    """Median over the valid pixels of each image; the lower middle for even counts, as `torch.median`.

    values [B, H, W], valid bool [B, H, W] -> [B]; 0 for an image without a valid pixel.
    Invalid pixels are sorted to the end instead of being multiplied to zero, where they would enter the median.
    """
    if bool(valid.all()) and values[0].numel():
        return values.flatten(1).median(dim=1).values  # a selection, several times faster than the sort below
    flat = values.flatten(1).masked_fill(~valid.flatten(1), torch.inf)
    count = valid.flatten(1).sum(1)
    middle = ((count - 1).clamp_min(0) // 2).unsqueeze(1)
    position = flat.detach().argsort(dim=1).gather(1, middle)
    median = flat.gather(1, position).squeeze(1)
    return torch.where(count > 0, median, torch.zeros_like(median))


def normalise(values: Tensor, valid: Tensor) -> Normalised:
    """Subtract the median and divide by the mean absolute deviation, both over valid pixels (MiDaS equation 5).

    values [B, H, W] (any unit), valid bool [B, H, W]. Invalid pixels come back as 0. Gradients flow
    through both statistics.
    """
    values = _widen(values).masked_fill(~valid, 0.0)
    count = valid.flatten(1).sum(1).clamp_min(1)
    shift = masked_median(values, valid)
    centred = (values - shift[:, None, None]).masked_fill(~valid, 0.0)
    scale = centred.abs().flatten(1).sum(1) / count
    return Normalised(centred / scale.clamp_min(SCALE_FLOOR)[:, None, None], scale)


def _counted(target_scale: Tensor, valid: Tensor) -> Tensor:
    """Images [B] (bool) whose target has an order to learn."""
    return valid.flatten(1).any(1) & (target_scale.detach() >= FLAT_TARGET)


def _mean_over(per_image: Tensor, counted: Tensor, graph: Tensor) -> Tensor:
    """Mean of [B] over counted images; an exact zero that still touches `graph` when there are none."""
    kept = torch.where(counted, per_image, torch.zeros_like(per_image))
    return kept.sum() / counted.sum().clamp_min(1) + 0.0 * graph.sum()


def _data_term(residual: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute residual over valid pixels, [B]. MiDaS prints a factor 1/2 here; Depth Anything does not."""
    return residual.abs().flatten(1).sum(1) / valid.flatten(1).sum(1).clamp_min(1)


def _gradient_term(residual: Tensor, valid: Tensor, scales: int) -> Tensor:
    """Sum over scales of the absolute neighbour differences per valid pixel of that scale, [B] (MiDaS equation 11).

    residual [B, H, W] is 0 at invalid pixels. Scale k keeps every 2^k-th pixel, without smoothing. A difference counts
    only where both neighbours are valid, so that the rim of a hole is not an edge; the divisor is the number of pixels.
    """
    total = residual.new_zeros(residual.shape[0])
    for level in range(scales):
        r, m = residual[:, :: 2**level, :: 2**level], valid[:, :: 2**level, :: 2**level]
        across = ((r[:, :, 1:] - r[:, :, :-1]).abs() * (m[:, :, 1:] & m[:, :, :-1])).flatten(1).sum(1)
        down = ((r[:, 1:] - r[:, :-1]).abs() * (m[:, 1:] & m[:, :-1])).flatten(1).sum(1)
        total = total + (across + down) / m.flatten(1).sum(1).clamp_min(1)
    return total


def scale_and_shift_invariant(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """L_ssi (arXiv 2401.10891, equation 1): mean |p_hat - d_hat| over valid pixels, averaged over images.

    prediction [B, H, W] (any affine unit), target [B, H, W] disparity min-max normalised to [0, 1], valid bool.
    Returns a scalar >= 0: exactly 1 for a constant prediction, 0 (with zero gradient) when no image counts.
    """
    return depth_loss(prediction, target, valid, gradient_weight=0.0).data


def gradient_matching(prediction: Tensor, target: Tensor, valid: Tensor, scales: int = GRADIENT_SCALES) -> Tensor:
    """L_gm (arXiv 2406.09414, section 7.1; form of MiDaS equation 11) on the normalised maps; a scalar >= 0.

    Arguments as in `scale_and_shift_invariant`. Averaged per image first ("image-based" reduction).
    """
    return depth_loss(prediction, target, valid, scales=scales).gradient


def depth_loss(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor,
    gradient_weight: float = GRADIENT_WEIGHT,
    scales: int = GRADIENT_SCALES,
) -> DepthLoss:
    """L_ssi + gradient_weight * L_gm (1 : 2 in arXiv 2406.09414, section 7.1) from one normalisation of each map.

    prediction [B, H, W], target [B, H, W] in [0, 1], valid bool [B, H, W]. Runs in float32 even under autocast
    (float64 stays float64): neighbour differences drown in the spacing of half precision.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        prediction = _widen(prediction)
        p, d = normalise(prediction, valid), normalise(target, valid)
        counted = _counted(d.scale, valid)
        residual = p.values - d.values
        data = _mean_over(_data_term(residual, valid), counted, prediction)
        if gradient_weight:
            gradient = _mean_over(_gradient_term(residual, valid, scales), counted, prediction)
        else:
            gradient = torch.zeros_like(data)
        return DepthLoss(data + gradient_weight * gradient, data, gradient, counted.sum().to(data.dtype))


def anchored_loss(
    prediction: Tensor, target: Tensor, valid: Tensor, gradient_weight: float = GRADIENT_WEIGHT
) -> DepthLoss:
    """`depth_loss` with the prediction taken as it is: the network is to output the normalised target itself.

    Ours, for the first steps from random weights. Dividing by the prediction's own deviation makes an uninformed
    prediction cost up to 1.4, more than a constant (1.0), and amplifies its noise; here it costs about 1 and may
    shrink. Targets are clamped to ANCHOR_RANGE deviations, since nothing tells which image has a very near corner.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        prediction = _widen(prediction)
        d = normalise(target, valid)
        counted = _counted(d.scale, valid)
        residual = (prediction - d.values.clamp(*ANCHOR_RANGE)).masked_fill(~valid, 0.0)
        data = _mean_over(_data_term(residual, valid), counted, prediction)
        gradient = _mean_over(_gradient_term(residual, valid, GRADIENT_SCALES), counted, prediction)
        return DepthLoss(data + gradient_weight * gradient, data, gradient, counted.sum().to(data.dtype))


def ranking_loss(prediction: Tensor, valid: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """Mean of log(1 + exp(-RANKING_SHARPNESS * margin)) over point pairs; a scalar >= 0, log 2 for equal values.

    prediction [B, H, W], valid bool [B, H, W]; near, far: int64 [B, K], flat pixel indices of pairs whose first point
    is nearer. The margin is taken on the normalised map, so the loss is invariant to scale and shift like L_ssi.
    Source of the logistic form: "Single-Image Depth Perception in the Wild" (arXiv 1604.03901, equation 3).
    """
    with torch.autocast(prediction.device.type, enabled=False):
        values = normalise(prediction, valid).values.flatten(1)
        margin = values.gather(1, near) - values.gather(1, far)
        return torch.nn.functional.softplus(-RANKING_SHARPNESS * margin).mean()


class CollapseError(RuntimeError):
    """The network has stopped producing depth; the message says what was seen and what to change."""


@dataclass
class CollapseDetector:
    """Watches for the two ways training of a depth network dies silently.

    A constant output has L_ssi = 1.0 exactly and a dead last ReLU is all zeros with zero gradient, from which no step
    leads back. `update` raises `CollapseError` after `patience` bad steps in a row, not before step `grace`.
    """

    patience: int = 50
    grace: int = 100
    loss_band: float = 0.005
    zero_limit: float = 0.95
    spread_floor: float = 1e-5
    bad: int = 0
    seen: int = 0

    @staticmethod
    def measure(prediction: Tensor) -> tuple[float, float]:
        """Mean standard deviation inside an image, and fraction of exact zeros, of predictions [B, H, W]."""
        values = prediction.detach().float()
        return float(values.flatten(1).std(1).mean()), float((values == 0).float().mean())

    def update(self, data_loss: float, spread: float, zero_fraction: float) -> None:
        """Take one step's L_ssi, output spread and zero fraction (`measure`)."""
        self.seen += 1
        constant = abs(data_loss - 1.0) < self.loss_band or spread < self.spread_floor
        dead = zero_fraction > self.zero_limit
        self.bad = self.bad + 1 if (constant or dead) and self.seen > self.grace else 0
        if self.bad >= self.patience:
            what = "all outputs are zero (dead last ReLU)" if dead else "the output is constant"
            raise CollapseError(
                f"training collapsed: {what} for {self.bad} steps "
                f"(L_ssi {data_loss:.4f}, spread {spread:.2e}, zeros {zero_fraction:.1%}). "
                "Restart from an earlier checkpoint with a lower learning rate; initialise the last bias above zero."
            )
