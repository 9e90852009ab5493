"""One prediction against one image's dense ground truth, under any number of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dabench.errors import ModelError, SampleError
from dabench.scoring.alignment import (
    LEAST_SQUARES,
    ON_GRID,
    Fit,
    FitPixels,
    Moments,
    fit_pixels_of_many,
    solve,
    without_solution,
)
from dabench.scoring.boundary import boundary_f1_depth_pro, boundary_f1_moge
from dabench.scoring.crops import KB_SIZE, Box, crop_box, frame_box
from dabench.scoring.metrics import PIXEL_METRICS, Column, Sums, merged, metrics_of
from dabench.scoring.pixels import FitSpace, Floats, Gathered, Pixels, Recent, Workers
from dabench.scoring.resample import resample
from dabench.scoring.rule import DenseRule
from dabench.scoring.sampling import grid_samples, nearest_samples
from dabench.scoring.unusable import metrics_with, range_ends, worst_ends
from dabench.types import DepthMap, Mask, Output, Prediction

__all__ = ["DenseRule", "DenseScore", "Fit", "FitPixels", "Prepared", "Workers", "fit_pixels_of_many", "score_dense"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DenseScore:
    """Result of one image.

    Attributes:
        n_valid: pixels of valid ground truth, the denominator.
        n_usable: of those, pixels with a finite prediction (and a positive one, where it is a depth or is inverted).
        fit: scale and shift, or None where nothing was fitted.
        metrics: the metrics of the rule; NaN when ``n_valid`` is 0.
    """

    n_valid: int
    n_usable: int
    fit: Fit | None
    metrics: dict[str, float]


class _Plan(NamedTuple):
    """How one kind of output is aligned under a rule."""

    method: str
    invert: bool  # the prediction is inverted before the fit
    in_disparity: bool  # the aligned values are disparities

    @property
    def positive(self) -> bool:
        """Whether only positive predictions are usable."""
        return self.invert or not self.in_disparity

    @property
    def space(self) -> FitSpace:
        """What a fit compares."""
        return FitSpace(self.invert, self.in_disparity)


class Prepared:
    """One prediction and its ground truth, ready to be scored under several rules that share the work.

    Args:
        prediction: values of the whole image, or with ``window`` of the 352 x 1216 pixels that start there. Another
            size is brought to that of the ground truth (of the window) by the rule.
        depth: ground truth ``[H, W]`` in metres.
        valid: where the dataset has ground truth, ``bool [H, W]``.
        window: ``(top, left)`` of the KB crop that the model saw. Pixels outside have no usable prediction.
        workers: who runs the loops, and in which memory; the score does not depend on it.
    """

    def __init__(
        self,
        prediction: Prediction,
        depth: DepthMap,
        valid: Mask,
        window: tuple[int, int] | None = None,
        workers: Workers | None = None,
    ) -> None:
        if depth.ndim != 2 or depth.shape != valid.shape:
            raise SampleError(f"ground truth of shape {list(depth.shape)} has a mask of shape {list(valid.shape)}")
        if prediction.values.ndim != 2 or not prediction.values.size:
            raise ModelError(f"a prediction of shape {list(prediction.values.shape)} is not a map")
        self._output = prediction.output
        self._predicted = np.ascontiguousarray(prediction.values, dtype=np.float32)
        self._depth = np.ascontiguousarray(depth, dtype=np.float32)
        self._valid = np.ascontiguousarray(valid, dtype=np.bool_)
        self._shape: tuple[int, int] = (depth.shape[0], depth.shape[1])
        self._window = window
        self._workers = workers or Workers()
        self._maps: dict[object, DepthMap] = Recent(2)
        self._gathered: dict[object, Gathered] = Recent(2)
        self._pixels: dict[object, Pixels] = Recent(4)
        self._parts: dict[object, tuple[Pixels, Floats, Floats]] = Recent(4)
        self._moments: dict[object, Moments] = {}
        self._sums: dict[object, Sums] = {}
        self._quantiles: dict[object, float] = {}

    def score(self, rule: DenseRule, fit: Fit | None = None) -> DenseScore:
        """Align the prediction and measure it.

        Every valid pixel is counted. A value that cannot be used takes no part in the fit and is scored by the rule:
        with ``worst``, for each metric, as the end of the depth range that this metric finds worse.

        Args:
            rule: the protocol's rule.
            fit: use this fit instead of the image's own (one fit for a sequence).

        Raises:
            ModelError: the rule refuses this kind of output.
            SampleError: the image is smaller than a crop needs.
        """
        plan = self._plan(rule)
        key, pixels = self._selected(plan, rule)
        if pixels.n < max(rule.min_pixels, 1):
            return DenseScore(0, 0, None, dict.fromkeys(rule.metrics, float("nan")))
        usable, lost_p, lost_g = self._split(key, pixels, plan, rule)
        if usable.n == 0 or plan.method == "none":
            fit = None
        elif fit is None:
            fit = self._fit(key, usable, plan, rule)
        near, far = rule.depth_min, pixels.farthest if rule.depth_max is None else rule.depth_max
        low, high = near, far
        if plan.in_disparity:
            floor = 1.0 / pixels.farthest if rule.disparity_floor is None else rule.disparity_floor
            low, high = max(floor, 1.0 / far), 1.0 / near
        applied = fit or Fit(1.0, 0.0)
        sums = self._sums_of(key, usable, plan, rule, applied, low, high)
        metrics = metrics_of(sums, rule.metrics)
        if lost_p.size:
            if rule.unusable == "range-ends":
                fills = [range_ends(lost_p, plan.in_disparity != plan.invert, plan.positive)]
            else:
                fills = worst_ends(lost_g, near, far, sums, rule.space)
            metrics = metrics_with(fills, lost_g, near, far, sums, rule.space, rule.metrics)
        if any(name not in PIXEL_METRICS for name in rule.metrics):
            metrics |= self._boundary(rule, plan, applied, (low, high), (near, far))
        return DenseScore(pixels.n, usable.n, fit, {name: metrics[name] for name in rule.metrics})

    def fit_pixels(self, rule: DenseRule) -> FitPixels:
        """This image's part of a fit over a sequence.

        Raises:
            ModelError: the rule refuses this kind of output.
        """
        plan = self._plan(rule)
        key, pixels = self._selected(plan, rule)
        if pixels.n < max(rule.min_pixels, 1) or plan.method == "none":
            nothing = np.zeros(0)
            return FitPixels(plan.method, Moments.of(nothing, nothing), nothing, nothing, 0.0)
        usable, _, _ = self._split(key, pixels, plan, rule)
        far = pixels.farthest if rule.depth_max is None else rule.depth_max
        if plan.method in LEAST_SQUARES and rule.negative_scale == "keep":
            return FitPixels(plan.method, self._moments_of(key, usable, plan, rule), None, None, far)
        x, y = self._fitted_pixels(usable, plan, rule)
        return FitPixels(plan.method, Moments.of(x, y), x, y, far)

    def release(self) -> None:
        """Let go of the gathered pixels, which are made again when needed, and keep the maps and the sums."""
        for held in (self._gathered, self._pixels, self._parts):
            held.clear()

    def _plan(self, rule: DenseRule) -> _Plan:
        method = rule.method[self._output]
        if method == "refuse":
            raise ModelError(f"this protocol does not score {self._output} output")
        is_disparity = self._output is Output.DISPARITY
        in_disparity = is_disparity if method == "none" else method == "least-squares-disparity"
        return _Plan(method, is_disparity != in_disparity, in_disparity)

    def _map(self, rule: DenseRule) -> tuple[object, DepthMap]:
        """The prediction at the size of the ground truth, NaN outside the window."""
        shape = self._shape if self._window is None else KB_SIZE
        key = None if self._predicted.shape == shape else (rule.resampling, rule.align_corners)
        if key not in self._maps:
            values = resample(self._predicted, *shape, rule.resampling, rule.align_corners)
            if self._window is not None:
                top, left = self._window
                if not (0 <= top <= self._shape[0] - shape[0] and 0 <= left <= self._shape[1] - shape[1]):
                    raise SampleError(f"a window at {[top, left]} leaves ground truth of {list(self._shape)}")
                canvas = np.full(self._shape, np.nan, np.float32)
                canvas[top : top + shape[0], left : left + shape[1]] = values
                values = canvas
            self._maps[key] = np.ascontiguousarray(values)
        return key, self._maps[key]

    def _limits(self, rule: DenseRule) -> tuple[Box, float, float]:
        """The box and the range of the ground truth that count; both ends are float32 values that count."""
        low = _float32_from(max(rule.valid_min, 0.0), up=True, inclusive=rule.min_inclusive and rule.valid_min > 0.0)
        high = float(np.finfo(np.float32).max)
        if rule.valid_max is not None:
            high = _float32_from(rule.valid_max, up=False, inclusive=rule.max_inclusive)
        if rule.quantile_share is not None and rule.quantile_factor is not None:
            limit = rule.quantile_factor * self._quantile(rule.quantile_share, rule.clip_to)
            high = min(high, _float32_from(limit, up=False, inclusive=True))
        return crop_box(*self._shape, rule.crop_frame, rule.crop_region), low, high

    def _quantile(self, share: float, clip_to: float | None) -> float:
        key = share, clip_to
        if key not in self._quantiles:
            truth = self._depth[self._valid & (self._depth > 0)]
            if clip_to is not None:
                truth = np.minimum(truth, np.float32(clip_to))
            truth = truth[np.isfinite(truth)].astype(np.float64)
            self._quantiles[key] = float(np.quantile(truth, share)) if truth.size else 0.0
        return self._quantiles[key]

    def _selected(self, plan: _Plan, rule: DenseRule) -> tuple[object, Pixels]:
        map_key, values = self._map(rule)
        limits = self._limits(rule)
        key = map_key, limits, rule.clip_to
        if key not in self._pixels:
            if map_key not in self._gathered:
                self._gathered[map_key] = Gathered(values, self._depth, self._valid, self._workers)
            fit = plan.space if plan.method in LEAST_SQUARES else None
            self._pixels[key] = self._gathered[map_key].select(*limits, rule.clip_to, fit)
        return key, self._pixels[key]

    def _split(self, key: object, pixels: Pixels, plan: _Plan, rule: DenseRule) -> tuple[Pixels, Floats, Floats]:
        """The usable pixels, and predictions and ground truth of the others."""
        floor = rule.fit_floor
        if floor is None and not pixels.non_finite and not (plan.positive and pixels.non_positive):
            none = np.zeros(0, np.float32)
            return pixels, none, none
        part_key = key, plan.positive, floor
        if part_key not in self._parts:
            p, g = pixels.contiguous()
            usable = np.isfinite(p)
            if floor is not None:
                p = np.where(usable, np.maximum(p, np.float32(floor)), p)
            if plan.positive:
                usable &= p > 0
            self._parts[part_key] = Pixels.of(p[usable], g[usable], self._workers), p[~usable], g[~usable]
        return self._parts[part_key]

    def _fit(self, key: object, usable: Pixels, plan: _Plan, rule: DenseRule) -> Fit:
        if plan.method in LEAST_SQUARES and rule.negative_scale == "keep":
            moments = self._moments_of(key, usable, plan, rule)
            part = FitPixels(plan.method, moments, None, None, 0.0)
        else:
            x, y = self._fitted_pixels(usable, plan, rule)
            part = FitPixels(plan.method, Moments.of(x, y), x, y, 0.0)
        fit = solve(part, rule.negative_scale)
        if fit is not None:
            return fit
        truth = usable.contiguous()[1].astype(np.float64)
        far = usable.farthest if rule.depth_max is None else rule.depth_max
        return without_solution(plan.method, rule.degenerate, 1.0 / truth if plan.in_disparity else truth, far)

    def _moments_of(self, key: object, usable: Pixels, plan: _Plan, rule: DenseRule) -> Moments:
        subset = rule.fit_max_side is not None or (rule.fit_on == "positive" and usable.non_positive > 0)
        sampled = rule.fit_max_side, rule.crop_frame if rule.fit_max_side else None
        moments_key = key, plan[1:], rule.fit_floor, rule.fit_on if subset else None, sampled
        if moments_key not in self._moments:
            if subset:
                self._moments[moments_key] = Moments.of(*self._fitted_pixels(usable, plan, rule))
            else:
                self._moments[moments_key] = usable.moments(plan.space)
        return self._moments[moments_key]

    def _fitted_pixels(self, usable: Pixels, plan: _Plan, rule: DenseRule) -> tuple[Array, Array]:
        """Predictions and targets of the pixels of the fit, in its space."""
        if plan.method in ON_GRID or rule.fit_max_side is not None:
            p, g = self._samples(plan, rule)
        else:
            p, g = usable.contiguous()
        x, y = p.astype(np.float64), g.astype(np.float64)
        if rule.fit_on == "positive" and not plan.positive:
            x, y = x[p > 0], y[p > 0]
        return 1.0 / x if plan.invert else x, 1.0 / y if plan.in_disparity else y

    def _mask(self, rule: DenseRule) -> tuple[DepthMap, Mask]:
        """The ground truth after clipping, and which of its pixels count."""
        box, low, high = self._limits(rule)
        truth = self._depth if rule.clip_to is None else np.minimum(self._depth, np.float32(rule.clip_to))
        mask = np.zeros(truth.shape, dtype=np.bool_)
        inside = slice(box.top, box.bottom), slice(box.left, box.right)
        with np.errstate(invalid="ignore"):
            mask[inside] = self._valid[inside] & (truth[inside] >= low) & (truth[inside] <= high)
        return truth, mask

    def _usable_map(self, plan: _Plan, rule: DenseRule) -> tuple[DepthMap, Mask]:
        """The prediction raised to the floor of the fit, and where it is usable."""
        values = self._map(rule)[1]
        usable = np.isfinite(values)
        if rule.fit_floor is not None:
            values = np.where(usable, np.maximum(values, np.float32(rule.fit_floor)), values)
        return values, usable & (values > 0) if plan.positive else usable

    def _samples(self, plan: _Plan, rule: DenseRule) -> tuple[Floats, Floats]:
        """The usable pixels at the sampling points of the fit, which are spread over the frame."""
        frame = frame_box(*self._shape, rule.crop_frame)
        inside = slice(frame.top, frame.bottom), slice(frame.left, frame.right)
        truth, mask = self._mask(rule)
        values, usable = self._usable_map(plan, rule)
        truth, values, mask = truth[inside], values[inside], (mask & usable)[inside]
        if rule.fit_max_side is not None:
            at = np.ix_(*nearest_samples(frame.height, frame.width, rule.fit_max_side))
            truth, values, mask = truth[at], values[at], mask[at]
        if plan.method not in ON_GRID:
            return values[mask], truth[mask]
        rows, columns = np.nonzero(mask)
        chosen = grid_samples(rows, columns, *mask.shape)
        return values[rows[chosen], columns[chosen]], truth[rows[chosen], columns[chosen]]

    def _sums_of(
        self, key: object, usable: Pixels, plan: _Plan, rule: DenseRule, fit: Fit, low: float, high: float
    ) -> Sums:
        if usable.n == 0:
            return merged(np.zeros((0, Column.COUNT)))
        # A bound that no aligned value reaches makes no difference, and rules that differ in it share the sums.
        ends = [1.0 / v if plan.invert else v for v in (usable.lowest, usable.highest)]
        ends = sorted(fit.scale * v + fit.shift for v in ends)
        bounds = low if ends[0] < low else None, high if ends[1] > high or high < low else None
        sums_key = key, plan[1:], rule.fit_floor, rule.space, fit, bounds
        if sums_key not in self._sums:
            self._sums[sums_key] = usable.sums(
                invert=plan.invert,
                in_disparity=plan.in_disparity,
                on_disparity=rule.space == "disparity",
                scale=fit.scale,
                shift=fit.shift,
                low=low,
                high=high,
            )
        return self._sums[sums_key]

    def _boundary(
        self, rule: DenseRule, plan: _Plan, fit: Fit, clip: tuple[float, float], ends: tuple[float, float]
    ) -> dict[str, float]:
        """Boundary metrics of the aligned map inside the crop.

        Depth Pro's looks at the compared depth; MoGe's at the aligned depth without the rule's floor and range, an
        aligned disparity being raised to 1e-6. A value that cannot be used counts as either end of the range, whichever
        gives the lower F1.
        """
        box = crop_box(*self._shape, rule.crop_frame, rule.crop_region)
        inside = slice(box.top, box.bottom), slice(box.left, box.right)
        truth, mask = self._mask(rule)
        values, usable = self._usable_map(plan, rule)
        truth, mask, values, usable = truth[inside], mask[inside], values[inside], usable[inside]
        with np.errstate(divide="ignore", invalid="ignore"):
            aligned = values.astype(np.float64)
            aligned = fit.scale * (1.0 / aligned if plan.invert else aligned) + fit.shift
            compared = np.minimum(np.maximum(aligned, clip[0]), clip[1])
            if plan.in_disparity:
                compared, aligned = 1.0 / compared, 1.0 / np.maximum(aligned, 1e-6)
        maps = {"boundary_f1_depth_pro": (boundary_f1_depth_pro, compared)}
        maps["boundary_f1_moge"] = (boundary_f1_moge, aligned)
        fills = ends if (mask & ~usable).any() else ends[:1]
        return {
            name: min(measure(np.where(usable, depth, fill), truth, mask) for fill in fills)
            for name, (measure, depth) in maps.items()
            if name in rule.metrics
        }


def score_dense(prediction: Prediction, depth: DepthMap, valid: Mask, rule: DenseRule) -> DenseScore:
    """Score one prediction under one rule; see :class:`Prepared`."""
    return Prepared(prediction, depth, valid).score(rule)


def _float32_from(bound: float, *, up: bool, inclusive: bool) -> float:
    """The first float32 from a bound on, upwards or downwards."""
    value = np.float32(bound)
    apart = float(value) - bound if up else bound - float(value)
    if apart < 0.0 or (apart == 0.0 and not inclusive):
        value = np.nextafter(value, np.float32(np.inf if up else -np.inf))
    return float(value)
