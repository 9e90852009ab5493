"""Losses of Depth Anything V2 as pure functions of arrays [B, H, W]; always computed in float32 or wider.

Sources: Depth Anything (arXiv 2401.10891, equations 1-3), Depth Anything V2 (arXiv 2406.09414, section 7.1 and B.7),
MiDaS (arXiv 1907.01341, equations 1-7 for the data term and its variants, 11 for the gradient term).

Every statistic is taken per image and over that image's valid pixels, then averaged over the images that count,
so the objective depends neither on the invalid pixels' content nor on how a batch is spread over processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

SCALE_FLOOR = 1e-4
"""Smallest spread a map is divided by; 1e-6 gives a constant prediction a gradient norm of about 1e4."""

FLAT_TARGET = 1e-3
"""A min-max normalised target whose spread is below this (a wall, all sky) carries no order and is skipped."""

TRIM = 0.2
"""Share of the valid pixels that the trimmed form leaves out, largest residuals first (MiDaS equation 7)."""

ANCHOR_RANGE = (-3.0, 4.0)

RANKING_SHARPNESS = 2.0
"""How fast `ranking_loss` falls with the margin of a pair, in inverse mean absolute deviations of the map."""

GRADIENT_SCALES = 4
GRADIENT_WEIGHT = 2.0

Alignment = Literal["median", "least-squares", "trimmed"]


class Normalised(NamedTuple):
    """A map with its affine freedom removed.

    values: [B, H, W], (x - shift) / max(scale, SCALE_FLOOR); finite at every pixel. scale: [B] >= 0, before the floor.
    """

    values: Tensor
    scale: Tensor


class RelativeTerms(NamedTuple):
    """Terms of each image, [B]: data and gradient (>= 0, unweighted), and counted (bool).

    An image does not count if it has no valid pixel or its target has no order to learn; its terms are exact zeros that
    still depend on the prediction, so that every parameter keeps a gradient. A non-finite prediction makes them NaN.
    """

    data: Tensor
    gradient: Tensor
    counted: Tensor


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


def least_squares_fit(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """The prediction after the scale and shift that fit it best to the target, [B, H, W]; 0 at invalid pixels.

    Closed form over the valid pixels of each image (MiDaS, section 5), with gradients through scale and shift. It is
    written with centred sums, whose product with the pixel count is the determinant of the normal equations. For a
    determinant of zero, that is a constant prediction or a single pixel, the scale is 0 and the result is the target's
    mean; a spread below SCALE_FLOOR shrinks the scale towards that. The scale may be negative: unlike the median form,
    this one cannot tell an inverted map from a right one.
    """
    p, d = _widen(prediction).masked_fill(~valid, 0.0), _widen(target).masked_fill(~valid, 0.0)
    count = valid.flatten(1).sum(1).clamp_min(1)
    p_mean, d_mean = (x.flatten(1).sum(1) / count for x in (p, d))
    p = (p - p_mean[:, None, None]).masked_fill(~valid, 0.0)
    d = (d - d_mean[:, None, None]).masked_fill(~valid, 0.0)
    variance, covariance = ((p * x).flatten(1).sum(1) / count for x in (p, d))
    scale = covariance / variance.clamp_min(SCALE_FLOOR**2)
    return (scale[:, None, None] * p + d_mean[:, None, None]).masked_fill(~valid, 0.0)


def without_largest(errors: Tensor, valid: Tensor, share: float) -> Tensor:
    """`valid` without the floor(share * M) pixels of largest error of each image, M its number of valid pixels.

    errors [B, H, W] >= 0, valid bool [B, H, W], share in [0, 1) -> bool [B, H, W]. Pixels that tie with the largest
    error kept stay, so the result does not depend on the pixels' order. NaN stays too: an error is not to be hidden.
    """
    flat, mask = errors.detach().flatten(1), valid.flatten(1)
    count = mask.sum(1)
    kept = (count - (count * share).long()).clamp_min(1)
    if flat.shape[1] and bool(valid.all()):
        limit = flat.kthvalue(int(kept[0]), dim=1).values
    else:
        limit = flat.masked_fill(~mask, torch.inf).sort(dim=1).values.gather(1, (kept - 1)[:, None]).squeeze(1)
    return valid & ~(errors.detach() > limit[:, None, None])


def _counted(target_scale: Tensor, valid: Tensor) -> Tensor:
    """Images [B] (bool) whose target has an order to learn."""
    return valid.flatten(1).any(1) & ~(target_scale.detach() < FLAT_TARGET)


def _terms(data: Tensor, gradient: Tensor, counted: Tensor, prediction: Tensor) -> RelativeTerms:
    """Zero for images that do not count, and NaN wherever the prediction is not finite."""
    touch = 0.0 * prediction.flatten(1).sum(1)
    zero = torch.zeros_like(touch)
    return RelativeTerms(
        torch.where(counted, data, zero) + touch, torch.where(counted, gradient, zero) + touch, counted
    )


def _mean_of(terms: RelativeTerms, gradient_weight: float) -> DepthLoss:
    """Mean over the images that count."""
    counted = terms.counted.sum()
    data, gradient = (x.sum() / counted.clamp_min(1) for x in (terms.data, terms.gradient))
    return DepthLoss(data + gradient_weight * gradient, data, gradient, counted.to(data.dtype))


def _sum_over_count(errors: Tensor, pixels: Tensor) -> Tensor:
    """Sum of errors [B, H, W] over the number of `pixels` of each image, [B]."""
    return errors.flatten(1).sum(1) / pixels.flatten(1).sum(1).clamp_min(1)


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


def relative_terms(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    alignment: Alignment = "median",
    scales: int = GRADIENT_SCALES,
    drop_largest: float = 0.0,
    drop_in_gradient: bool = False,
) -> RelativeTerms:
    """L_ssi and L_gm of every image.

    Args:
        prediction: [B, H, W], any affine unit.
        target: [B, H, W], disparity min-max normalised to [0, 1] over the valid pixels.
        valid: bool [B, H, W]. What the maps hold elsewhere does not matter, as long as the prediction is finite.
        alignment: how the affine freedom is removed and residuals are counted.
            ``median``: both maps by median and mean absolute deviation; mean absolute residual (Depth Anything).
            ``least-squares``: the prediction is fitted to the target; mean squared residual in target units (MiDaS
            "ssimse"). See `least_squares_fit` for what happens without a solution.
            ``trimmed``: as ``median``, but the TRIM largest residuals of each image count as 0 (MiDaS "ssitrim").
            MiDaS halves all three; we halve none, which changes the meaning of a gradient weight beside them.
        scales: number of scales of L_gm; 0 leaves it out.
        drop_largest: share of each image's valid pixels left out of L_ssi, largest residuals first; the mean is over
            the others (arXiv 2406.09414, section 5.2: 0.1 for pseudo-labels). Median and deviation see all pixels.
        drop_in_gradient: leave those pixels out of L_gm as well. The paper does not say.

    Runs in float32 even under autocast (float64 stays float64): neighbour differences drown in the spacing of half
    precision.
    """
    if alignment == "trimmed" and drop_largest:
        raise ValueError(f"alignment 'trimmed' drops {TRIM:.0%} itself; it takes no drop_largest ({drop_largest})")
    with torch.autocast(prediction.device.type, enabled=False):
        prediction, target = _widen(prediction), _widen(target)
        d = normalise(target, valid)
        if alignment == "least-squares":
            residual = least_squares_fit(prediction, target, valid) - target.masked_fill(~valid, 0.0)
            errors = residual.square()
        else:
            residual = normalise(prediction, valid).values - d.values
            errors = residual.abs()
        kept = valid
        if share := TRIM if alignment == "trimmed" else drop_largest:
            kept = without_largest(errors, valid, share)
            errors = errors.masked_fill(~kept, 0.0)
        data = _sum_over_count(errors, valid if alignment == "trimmed" else kept)
        gradient = _gradient_term(residual, kept if drop_in_gradient else valid, scales)
        return _terms(data, gradient, _counted(d.scale, valid), prediction)


def region_terms(terms: Callable[[Tensor], RelativeTerms], valid: Tensor, box: Tensor) -> RelativeTerms:
    """Terms of images pasted together from two (CutMix): each region by itself, then the area-weighted mean.

    terms: maps a valid mask to the terms of the pixels in it, e.g. `relative_terms` of given maps. valid, box: bool
    [B, H, W], box True where the partner was pasted; nowhere for an unmixed image, whose terms are then the plain ones.
    The two pictures share no scale and shift, so each region is normalised (and loses its largest residuals) on its
    own, and no difference crosses the border. A region that does not count leaves all the weight to the other.
    Source: arXiv 2401.10891, section 3.2.
    """
    inside, outside = terms(valid & box), terms(valid & ~box)
    area = box.flatten(1).to(inside.data.dtype).mean(1)
    weights = area * inside.counted, (1 - area) * outside.counted
    total = (weights[0] + weights[1]).clamp_min(torch.finfo(area.dtype).tiny)
    data, gradient = ((a * weights[0] + b * weights[1]) / total for a, b in zip(inside[:2], outside[:2], strict=True))
    return RelativeTerms(data, gradient, inside.counted | outside.counted)


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

    prediction [B, H, W], target [B, H, W] in [0, 1], valid bool [B, H, W]: the mean over the images that count of
    `relative_terms`. A weight of 0 saves the gradient term, which then comes back as 0.
    """
    return _mean_of(relative_terms(prediction, target, valid, scales=scales if gradient_weight else 0), gradient_weight)


def anchored_terms(
    prediction: Tensor, target: Tensor, valid: Tensor, *, scales: int = GRADIENT_SCALES
) -> RelativeTerms:
    """L_ssi and L_gm of every image with the prediction taken as it is: it is to be the normalised target itself.

    Arguments as in `relative_terms`. Ours, for the first steps from random weights. Dividing by the prediction's own
    deviation makes an uninformed prediction cost up to 1.4, more than a constant (1.0), and amplifies its noise; here
    it costs about 1 and may shrink. Targets are clamped to ANCHOR_RANGE deviations, since nothing tells which image
    has a very near corner.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        prediction = _widen(prediction)
        d = normalise(target, valid)
        residual = (prediction - d.values.clamp(*ANCHOR_RANGE)).masked_fill(~valid, 0.0)
        data = _sum_over_count(residual.abs(), valid)
        return _terms(data, _gradient_term(residual, valid, scales), _counted(d.scale, valid), prediction)


def anchored_loss(
    prediction: Tensor, target: Tensor, valid: Tensor, gradient_weight: float = GRADIENT_WEIGHT
) -> DepthLoss:
    """`depth_loss` of `anchored_terms`."""
    return _mean_of(anchored_terms(prediction, target, valid), gradient_weight)


def ranking_terms(prediction: Tensor, valid: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """Logistic loss of every point pair, [B, K] >= 0; its mean is `ranking_loss`, which tells the arguments."""
    with torch.autocast(prediction.device.type, enabled=False):
        values = normalise(prediction, valid).values.flatten(1)
        margin = values.gather(1, near) - values.gather(1, far)
        return torch.nn.functional.softplus(-RANKING_SHARPNESS * margin)


def ranking_loss(prediction: Tensor, valid: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """Mean of log(1 + exp(-RANKING_SHARPNESS * margin)) over point pairs; a scalar >= 0, log 2 for equal values.

    prediction [B, H, W], valid bool [B, H, W]; near, far: int64 [B, K], flat pixel indices of pairs whose first point
    is nearer. The margin is taken on the normalised map, so the loss is invariant to scale and shift like L_ssi.
    Source of the logistic form: "Single-Image Depth Perception in the Wild" (arXiv 1604.03901, equation 3).
    """
    return ranking_terms(prediction, valid, near, far).mean()


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
