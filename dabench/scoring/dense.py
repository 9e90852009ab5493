"""One prediction against one image's dense ground truth, under a protocol's alignment rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dabench.errors import ModelError
from dabench.scoring.alignment import Fit, least_squares
from dabench.scoring.metrics import DENSE_METRICS, HIGHER_IS_BETTER, dense_metrics
from dabench.scoring.rule import DenseRule
from dabench.types import DepthMap, Mask, Output, Prediction


@dataclass(frozen=True)
class DenseScore:
    """Result of one image.

    Attributes:
        n_valid: pixels of valid ground truth, the denominator.
        n_usable: of those, pixels with a finite (for depth and metric output also positive) prediction.
        fit: scale and shift, or None where nothing was fitted.
        metrics: every dense metric; NaN when ``n_valid`` is 0.
    """

    n_valid: int
    n_usable: int
    fit: Fit | None
    metrics: dict[str, float]


def score_dense(prediction: Prediction, depth: DepthMap, valid: Mask, rule: DenseRule) -> DenseScore:
    """Align a prediction to the ground truth of its image and measure it.

    Every valid pixel is counted. A value that cannot be used (not finite; not positive, for depth and metric output)
    takes no part in the fit and is scored, for each metric, as the end of the depth range that this metric finds worse.

    Args:
        prediction: values ``[H, W]``.
        depth: ground truth ``[H, W]`` in metres.
        valid: where the dataset has ground truth, ``bool [H, W]``.
        rule: the protocol's alignment.

    Raises:
        ModelError: the protocol refuses this kind of output.
    """
    method = rule.method[prediction.output]
    if method == "refuse":
        raise ModelError(f"this protocol does not score {prediction.output} output")
    mask = valid & np.isfinite(depth) & (depth > max(rule.valid_min, 0.0))
    if rule.valid_max is not None:
        mask &= depth < rule.valid_max
    truth = depth[mask].astype(np.float64)
    values = np.asarray(prediction.values)[mask].astype(np.float64)
    usable = np.isfinite(values)
    if prediction.output is not Output.DISPARITY:
        usable &= values > 0
    n_valid, n_usable = int(truth.size), int(usable.sum())
    if n_valid == 0:
        return DenseScore(0, 0, None, dense_metrics(truth, truth))
    farthest = float(truth.max())
    depth_max = farthest if rule.depth_max is None else rule.depth_max
    fit: Fit | None = None
    aligned: npt.NDArray[np.float64] = np.full(n_valid, np.nan)
    if n_usable:
        if method == "least-squares-disparity":
            fit = least_squares(values[usable], 1.0 / truth[usable])
            floor = 1.0 / farthest if rule.disparity_floor is None else rule.disparity_floor
            aligned[usable] = 1.0 / np.maximum(fit.scale * values[usable] + fit.shift, floor)
        elif method == "least-squares-depth":
            fit = least_squares(values[usable], truth[usable])
            aligned[usable] = fit.scale * values[usable] + fit.shift
        else:
            aligned[usable] = values[usable]
    aligned = np.clip(aligned, rule.depth_min, depth_max)
    metrics = (
        dense_metrics(aligned, truth)
        if n_usable == n_valid
        else _worst(aligned, usable, truth, rule.depth_min, depth_max)
    )
    return DenseScore(n_valid, n_usable, fit, metrics)


def _worst(
    aligned: npt.NDArray[np.float64],
    usable: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.float64],
    near: float,
    far: float,
) -> dict[str, float]:
    """Metrics with every unusable pixel at the end of the range that is worse for it, metric by metric.

    "Farther from the truth" depends on the space: at 1 m in a range of 1 mm to 10 m the far end is worse in metres
    (9 m off instead of 1) and the near end in ratio (1000 instead of 10). With one rule for all, leaving a pixel out
    would pay under the other metrics. Metrics that are means over pixels get their exact worst from these fills;
    silog is not one, and gets the worst of them.
    """
    far_is_worse = (
        far - truth > truth - near,
        far / truth > truth / near,
        1.0 / truth - 1.0 / far > 1.0 / near - 1.0 / truth,
        np.ones_like(usable),
        np.zeros_like(usable),
    )
    scores = [dense_metrics(np.where(usable, aligned, np.where(worse, far, near)), truth) for worse in far_is_worse]
    return {n: (min if n in HIGHER_IS_BETTER else max)(score[n] for score in scores) for n in DENSE_METRICS}
