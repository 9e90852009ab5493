"""Scores on labelled images that are not trained on, seen whole and as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dabench.errors import SampleError

from ..preprocess import network_size, prepare, restore
from .distributed import World
from .losses import depth_loss
from .order import Place
from .rendered import DISPARITY_LEVELS, drawn_pairs
from .sample import LabelledSample

T = TypeVar("T")
R = TypeVar("R")

PAIRS = 50
"""Point pairs drawn of an image, half of them won by the upper point."""


def evaluate(
    model: nn.Module,
    read: Callable[[Place], LabelledSample],
    count: int,
    side: int,
    world: World,
    *,
    max_depth: float | None,
    threads: int = 1,
) -> dict[str, float]:
    """Means over images 0 to `count` - 1, each process taking every `world.size`-th; equal in all processes.

    Relative models: `loss` (L_ssi) and `pairs` (share of point pairs in the right order). Metric ones: `absrel` and
    `d1` over valid pixels up to `max_depth` metres. Images keep their shape; `side` is their shorter one in pixels.
    Images that cannot be read are left out. {} when none is left.
    """
    model.eval()
    names = ("loss", "pairs") if max_depth is None else ("absrel", "d1")

    def score(start: int) -> list[float | None]:
        # All processes call the network equally often: a sharded one gathers its weights together.
        index = start + world.rank
        sample = _read(read, min(index, count - 1))
        image = np.zeros((side, side, 3), np.uint8) if sample is None else sample.image
        prediction = predict(model, image, side, world.device)
        if sample is None or index >= count:
            return [None, None]
        return _relative(prediction, sample, index) if max_depth is None else _metric(prediction, sample, max_depth)

    rows = in_threads(score, range(0, count, world.size), threads)
    sums = [sum(value for value in column if value is not None) for column in zip(*rows, strict=True)]
    weights = [sum(value is not None for value in column) for column in zip(*rows, strict=True)]
    totals = world.all_reduce(torch.tensor([*sums, *weights], dtype=world.wide, device=world.device)).tolist()
    return {name: totals[i] / totals[2 + i] for i, name in enumerate(names) if totals[2 + i]}


def in_threads(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """`function` of every item in `threads` threads of one core each; on a CPU far faster for small networks."""
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(function, items))


@torch.no_grad()
def predict(model: nn.Module, image: npt.NDArray[np.uint8], side: int, device: torch.device) -> npt.NDArray[np.float32]:
    """uint8 RGB [H, W, 3] -> float32 [H, W], by the official inference: shorter side `side`, bilinear back."""
    size = network_size(image.shape[0], image.shape[1], side)
    output = model(torch.from_numpy(prepare(image, size))[None].to(device))
    values: Tensor = output[0] if isinstance(output, tuple) else output
    return restore(values[0], (image.shape[0], image.shape[1]))


def _read(read: Callable[[Place], LabelledSample], index: int) -> LabelledSample | None:
    try:
        return read(Place(0, index))
    except SampleError:
        return None


def _relative(prediction: npt.NDArray[np.float32], sample: LabelledSample, seed: int) -> list[float | None]:
    valid = sample.valid
    if not valid.any():
        return [None, None]
    low, high = float(sample.disparity[valid].min()), float(sample.disparity[valid].max())
    target = np.where(valid, (sample.disparity - low) / max(high - low, 1e-12), 0).astype(np.float32)
    found, truth, mask = (torch.from_numpy(array)[None] for array in (prediction, target, valid))
    loss = depth_loss(found, truth, mask, gradient_weight=0.0)
    pairs = drawn_pairs(np.round(target * DISPARITY_LEVELS).astype(np.uint16), seed, PAIRS)
    near, far = pairs[:, :2].T, pairs[:, 2:].T
    known = valid[tuple(near)] & valid[tuple(far)]
    right = (prediction[tuple(near)] > prediction[tuple(far)])[known]
    return [float(loss.data) if float(loss.counted) else None, float(right.mean()) if len(right) else None]


def _metric(prediction: npt.NDArray[np.float32], sample: LabelledSample, max_depth: float) -> list[float | None]:
    depth = 1 / np.maximum(sample.disparity, 1e-12)
    known = sample.valid & ~sample.sky & (sample.disparity > 0) & (depth <= max_depth)
    if not known.any():
        return [None, None]
    found, truth = np.maximum(prediction[known], 1e-3), depth[known]
    ratio = np.maximum(found / truth, truth / found)
    return [float((np.abs(found - truth) / truth).mean()), float((ratio < 1.25).mean())]
