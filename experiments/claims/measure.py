"""Scores of a network, image by image: depth after a least-squares fit in disparity, order of points, and edges.

Only surfaces count, up to `FARTHEST` metres: arms differ in whether their labels had a sky.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dabench.scoring.dense import score_dense
from dabench.scoring.pairs import score_pairs
from dabench.scoring.rule import DenseRule
from dabench.types import Output, Pair, Prediction
from model_zoo.depth_anything_v2.training.validation import predict

VERSION = 1
"""Raise it when a score changes."""

FARTHEST = 80.0
PAIRS = 60
APART = 1.15
"""Smallest ratio of the depths of two points that are compared."""

TRIES = 2000
UNIT = 1e-4
"""Results are stored as whole numbers of these."""

HIGHER_IS_BETTER = {"abs_rel": False, "delta1": True, "pairs": True, "boundary_f1": True}
TITLES = {"abs_rel": "AbsRel", "delta1": "δ1", "pairs": "pairs", "boundary_f1": "boundary F1"}

RULE = DenseRule(
    {Output.DISPARITY: "least-squares-disparity"},
    valid_max=FARTHEST,
    depth_max=FARTHEST,
    disparity_floor=1 / FARTHEST,
    metrics=("abs_rel", "delta1", "boundary_f1_depth_pro"),
)
"""Fit and range as MiDaS and Depth Anything use them for KITTI; the boundary F1 is Depth Pro's (arXiv 2410.02073)."""

Truth = Sequence[tuple[str, npt.NDArray[np.uint8], npt.NDArray[np.float32]]]


def draw_pairs(depth: npt.NDArray[np.float32], seed: int) -> list[Pair]:
    """Up to `PAIRS` point pairs on surfaces whose depths differ; the upper point is the closer one in half of them.

    So a prediction that only knows that the bottom of an image is near gets half of them right.
    """
    rng = np.random.default_rng(seed)
    surface = np.argwhere((depth > 0) & (depth < FARTHEST))
    first, second = surface[rng.integers(0, len(surface), (2, TRIES))]
    ratio = depth[tuple(first.T)] / depth[tuple(second.T)]
    near = np.where((ratio < 1)[:, None], first, second)
    far = np.where((ratio < 1)[:, None], second, first)
    clear = np.maximum(ratio, 1 / ratio) > APART
    upper = near[:, 0] < far[:, 0]
    groups = [np.flatnonzero(clear & upper), np.flatnonzero(clear & (near[:, 0] > far[:, 0]))]
    count = min(PAIRS // 2, *(len(group) for group in groups))
    kept = np.concatenate([group[:count] for group in groups])
    return [Pair((int(a), int(b)), (int(c), int(d)), 1) for (a, b), (c, d) in zip(near[kept], far[kept], strict=True)]


def score(prediction: npt.NDArray[np.float32], depth: npt.NDArray[np.float32], pairs: list[Pair]) -> dict[str, float]:
    """Scores of a disparity map [H, W] against depth [H, W] in metres, 0 where there is none. NaN where undefined."""
    found = Prediction(prediction, Output.DISPARITY)
    metrics = score_dense(found, depth, depth > 0, RULE).metrics
    right = score_pairs(found, pairs).correct
    return {
        "abs_rel": metrics["abs_rel"],
        "delta1": metrics["delta1"],
        "pairs": float(right.mean()) if len(right) else float("nan"),
        "boundary_f1": metrics["boundary_f1_depth_pro"],
    }


def measure(network: nn.Module, truth: Truth, device: torch.device) -> dict[str, list[int | None]]:
    """Metric -> score of every image of `truth`, in its order and in units of `UNIT`; None where undefined."""
    columns: dict[str, list[int | None]] = {name: [] for name in HIGHER_IS_BETTER}
    for name, image, depth in truth:
        prediction = predict(network, image, min(image.shape[:2]), device)
        scores = score(prediction, depth, draw_pairs(depth, zlib.crc32(name.encode())))
        for metric, value in scores.items():
            columns[metric].append(round(value / UNIT) if np.isfinite(value) else None)
    return columns
