"""What is measured while a model trains: pair accuracy and loss on held-out rendered scenes, not augmented."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..model import DepthAnythingV2
from ..preprocess import prepare
from .losses import depth_loss
from .rendered import DISPARITY_LEVELS, RenderedSample


@torch.inference_mode()
def predict(
    model: DepthAnythingV2, samples: Sequence[RenderedSample], size: tuple[int, int], batch: int = 16
) -> torch.Tensor:
    """Disparity [N, H, W] at the samples' own size (bilinear, corners aligned, as the official inference)."""
    maps = []
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        images = torch.from_numpy(np.stack([prepare(sample.image, size) for sample in part]))
        values = model(images)[:, None]
        maps.append(F.interpolate(values, part[0].disparity.shape, mode="bilinear", align_corners=True)[:, 0])
    return torch.cat(maps)


def evaluate(model: DepthAnythingV2, samples: Sequence[RenderedSample], size: tuple[int, int]) -> dict[str, float]:
    """`loss` (L_ssi), `accuracy` (pairs whose nearer point has strictly larger disparity), and that per scene."""
    if not samples:
        return {}
    model.eval()
    maps = predict(model, samples, size)
    labels = torch.from_numpy(np.stack([sample.disparity for sample in samples]).astype(np.float32) / DISPARITY_LEVELS)
    hits: dict[str, list[float]] = defaultdict(list)
    for sample, values in zip(samples, maps.numpy(), strict=True):
        near, far = sample.pairs[:, :2], sample.pairs[:, 2:]
        right = values[near[:, 0], near[:, 1]] > values[far[:, 0], far[:, 1]]
        hits[sample.id.split("/")[1]].extend(right.astype(float))
    every = [hit for scene in hits.values() for hit in scene]
    scores = {"loss": float(depth_loss(maps, labels, torch.ones_like(labels, dtype=torch.bool)).data)}
    if every:
        scores["accuracy"] = float(np.mean(every))
    return scores | {f"accuracy/{scene}": float(np.mean(h)) for scene, h in sorted(hits.items()) if h}
