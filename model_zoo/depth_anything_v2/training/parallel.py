"""Gradients of one batch on several cores: data parallelism between threads of one process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..model import DepthAnythingV2
from .augment import Batch
from .losses import anchored_loss, depth_loss, ranking_loss


class StepLoss(NamedTuple):
    """Batch means of the loss and its parts."""

    total: float
    data: float
    gradient: float
    ranking: float


class LossWeights(NamedTuple):
    """Weight of L_gm and of the ranking loss beside L_ssi, and the share of `anchored_loss` in L_ssi + L_gm."""

    gradient: float
    ranking: float = 0.0
    anchor: float = 0.0


class Workers:
    """Computes a batch's gradient in parallel pieces, one thread and one core each.

    Replicas share the parameters' memory but have gradients of their own. On a busy machine this is several times
    faster than letting every operator split itself over the cores, where each waits for the slower half.
    """

    def __init__(self, model: DepthAnythingV2, count: int) -> None:
        self.model, self.count = model, count
        torch.set_num_threads(1)
        self.threads = ThreadPoolExecutor(self.count, initializer=torch.set_num_threads, initargs=(1,))
        self.replicas = [copy.deepcopy(model) for _ in range(self.count)]
        for replica in self.replicas:
            for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
                own.data = shared.data

    def each(self, function: Callable[[Any], object], items: Sequence[Any]) -> list[Any]:
        """`function` of every item, in parallel; raises what any of them raised."""
        return list(self.threads.map(function, items))

    def gradients(self, batch: Batch, weights: LossWeights) -> tuple[StepLoss, Tensor]:
        """Set the model's gradients to the batch mean's; return the unanchored loss and the predictions [B, H, W]."""
        pieces = np.array_split(np.arange(len(batch.images)), self.count)
        work = list(zip(self.replicas, pieces, strict=True))
        results = self.each(lambda item: self._piece(item[0], batch, item[1], weights), work)
        shares = [len(piece) / len(batch.images) for piece in pieces]
        for parameter, *own in zip(self.model.parameters(), *(r.parameters() for r in self.replicas), strict=True):
            parameter.grad = sum(p.grad * share for p, share in zip(own, shares, strict=True))
        loss = StepLoss(*(sum(s * r[0][i] for s, r in zip(shares, results, strict=True)) for i in range(4)))
        return loss, torch.cat([prediction for _, prediction in results])

    def _piece(
        self, model: DepthAnythingV2, batch: Batch, rows: npt.NDArray[np.int64], weights: LossWeights
    ) -> tuple[StepLoss, Tensor]:
        model.train()
        model.zero_grad(set_to_none=True)
        images, target, valid = (torch.from_numpy(a[rows]) for a in (batch.images, batch.target, batch.valid))
        prediction = model(images)
        loss = depth_loss(prediction, target, valid, weights.gradient)
        near, far = (torch.from_numpy(points[rows]) for points in (batch.near, batch.far))
        ranking = ranking_loss(prediction, valid, near, far)
        objective = loss.total
        if weights.anchor > 0:
            anchored = anchored_loss(prediction, target, valid, weights.gradient).total
            objective = (1 - weights.anchor) * objective + weights.anchor * anchored
        (objective + weights.ranking * ranking).backward()
        parts = (loss.total + weights.ranking * ranking, loss.data, loss.gradient, ranking)
        return StepLoss(*(float(part.detach()) for part in parts)), prediction.detach()
