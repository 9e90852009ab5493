"""What a training step minimises: a batch and the network's outputs in, one scalar out.

The scalar does not depend on how the batch is spread over processes. `DistributedDataParallel` averages gradients over
`world` processes, so each process returns `world` times its own images' share of the mean over the global batch. Images
that do not count make the denominator a global quantity; it travels, with everything that is logged, in one sum over
processes a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dabench.errors import UsageError

from .augment import draw_ranked
from .feature_alignment import feature_alignment
from .losses import (
    RelativeTerms,
    anchored_terms,
    ranking_terms,
    region_terms,
    relative_terms,
)
from .metric_losses import LogMoments, log_moments, silog
from .recipe_schema import LossSettings, loss_contradictions

RANKING_STREAM = 3
"""Third element of the seed of a position's point pairs; 1 and 2 are its augmentation and its CutMix."""


class LossBatch(Protocol):
    """What an objective reads of a batch of B images."""

    @property
    def target(self) -> Tensor:
        """[B, H, W]: disparity min-max normalised to [0, 1] (relative), or metres (metric)."""

    @property
    def valid(self) -> Tensor:
        """Bool [B, H, W]."""

    @property
    def positions(self) -> Tensor:
        """int64 [B]: positions in the run's global order of samples."""

    @property
    def cutmix(self) -> tuple[Tensor, Tensor] | None:
        """(box bool [B, H, W], True where the partner was pasted; applied bool [B]), or None."""


class ObjectiveResult(NamedTuple):
    """total: scalar to call backward on; parts: what to log; counted: number of images in the mean (float scalar).

    `parts` and `counted` are detached and equal on all processes. Of `total` only the gradient, averaged over
    processes, has a meaning; parts["total"] is the objective of the global batch. The other parts are "data",
    "gradient", "anchored", "ranking", "silog", "feature" (those in use, without weights) and "nonfinite": the number of
    images whose prediction holds a NaN or an infinity. Above 0, parts["total"] is not finite on any process, so that
    all can skip the step together.
    """

    total: Tensor
    parts: dict[str, Tensor]
    counted: Tensor


def single_process(x: Tensor) -> Tensor:
    """The sum over the processes of a run that has one."""
    return x


class Objective:
    """Computes the objective that `settings` describe. It has no parameters and no state.

    Args:
        settings: the recipe's `loss` table. "relative" is (1 - a) (L_ssi + gradient_weight L_gm) + a (the same of
            `anchored_terms`) + ranking_weight L_rank with a of `anchor_share`; "metric" is SiLog. Both take
            feature_weight L_feat on top.
        max_depth: metres; metric targets beyond are left out.
        seed: of the run; draws the point pairs of the ranking loss, by position.

    Raises:
        UsageError: settings that contradict each other.
    """

    def __init__(self, settings: LossSettings, *, max_depth: float | None = None, seed: int = 0) -> None:
        for problem in loss_contradictions(settings):
            raise UsageError(problem)
        self.settings, self.max_depth, self.seed = settings, max_depth, seed

    def anchor_share(self, progress: float) -> float:
        """Share of the anchored loss after `progress` (0 to 1) of the run: 1 at the start, linearly down to 0."""
        until = self.settings.anchor_until
        return max(0.0, 1 - progress / until) if until else 0.0

    def __call__(
        self,
        prediction: Tensor,
        batch: LossBatch,
        features: Tensor | None = None,
        frozen_features: Tensor | None = None,
        all_reduce: Callable[[Tensor], Tensor] = single_process,
        world: int = 1,
        progress: float = 1.0,
    ) -> ObjectiveResult:
        """Objective of one step.

        Args:
            prediction: [B, H, W], disparity of any scale and shift, or metres.
            batch: its labels, on the same device.
            features: [B, N, D], last output of the encoder in training; needed if `feature_weight` > 0.
            frozen_features: [B, N, D], the same of the frozen encoder.
            all_reduce: sum over all processes, in place or not. Called exactly once, with one detached vector.
            world: number of processes.
            progress: share of the run done, 0 to 1.
        """
        with torch.autocast(prediction.device.type, enabled=False):
            prediction = prediction if prediction.dtype == torch.float64 else prediction.float()
            sums = _Sums(world)
            broken = ~torch.isfinite(prediction.detach()).flatten(1).all(1)
            sums.note("nonfinite", broken)
            if self.settings.kind == "relative":
                self._relative(sums, prediction, batch, progress)
            else:
                self._metric(sums, prediction, batch)
            if self.settings.feature_weight:
                if features is None or frozen_features is None:
                    raise ValueError("feature_weight is above 0, so the features of both encoders must be given")
                alignment = feature_alignment(features, frozen_features, self.settings.feature_margin)
                sums.mean("feature", self.settings.feature_weight, alignment, torch.ones_like(broken))
            return sums.result(prediction, all_reduce)

    def _relative(self, sums: _Sums, prediction: Tensor, batch: LossBatch, progress: float) -> None:
        settings, target = self.settings, batch.target
        scales = settings.gradient_scales if settings.gradient_weight else 0
        box = None
        if batch.cutmix is not None:
            box = batch.cutmix[0] & batch.cutmix[1][:, None, None]

        def of_regions(terms: Callable[[Tensor], RelativeTerms]) -> RelativeTerms:
            return terms(batch.valid) if box is None else region_terms(terms, batch.valid, box)

        anchor = self.anchor_share(progress)
        terms = of_regions(
            lambda valid: relative_terms(
                prediction,
                target,
                valid,
                alignment=settings.alignment,
                scales=scales,
                drop_largest=settings.drop_largest,
                drop_in_gradient=settings.drop_in_gradient,
            )
        )
        sums.mean("data", 1 - anchor, terms.data, terms.counted, counts=True)
        sums.mean("gradient", (1 - anchor) * settings.gradient_weight, terms.gradient, terms.counted)
        if anchor:
            anchored = of_regions(lambda valid: anchored_terms(prediction, target, valid, scales=scales))
            value = anchored.data + settings.gradient_weight * anchored.gradient
            sums.mean("anchored", anchor, value, anchored.counted)
        if settings.ranking_weight:
            valid = batch.valid if box is None else batch.valid & ~box  # disparities of two pictures have no order
            near, far = self._pairs(batch, valid)
            pairs = ranking_terms(prediction, valid, near, far).mean(1)
            sums.mean("ranking", settings.ranking_weight, pairs, terms.counted)

    def _pairs(self, batch: LossBatch, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Flat indices (near, far) [B, K] of point pairs; a function of the run's seed and each image's position."""
        drawn = [
            draw_ranked(np.random.default_rng([self.seed, RANKING_STREAM, position]), target, mask)
            for position, target, mask in zip(
                batch.positions.tolist(), batch.target.float().cpu().numpy(), valid.cpu().numpy(), strict=True
            )
        ]
        near, far = (torch.from_numpy(np.stack(points)).to(valid.device) for points in zip(*drawn, strict=True))
        return near, far

    def _metric(self, sums: _Sums, prediction: Tensor, batch: LossBatch) -> None:
        moments = log_moments(prediction, batch.target, batch.valid, self.max_depth)
        form, counted = self.settings.silog, moments.pixels > 0
        if self.settings.silog_reduction == "image":
            sums.mean("silog", 1.0, silog(moments, form), counted, counts=True)
        else:
            sums.pooled("silog", moments, lambda pooled: silog(pooled, form), counted)


class _Sums:
    """Collects the terms of one process, sums what all must know, and puts the objective together."""

    def __init__(self, world: int) -> None:
        self.world = world
        self.notes: list[tuple[str, Tensor]] = []
        self.means: list[tuple[str, float, Tensor, Tensor]] = []
        self.pools: list[tuple[str, Tensor, Callable[[LogMoments], Tensor]]] = []
        self.counted: Tensor | None = None

    def note(self, name: str, images: Tensor) -> None:
        """Log the number of `images`, bool [B]."""
        self.notes.append((name, images.sum()))

    def mean(self, name: str, weight: float, values: Tensor, counted: Tensor, *, counts: bool = False) -> None:
        """Add `weight` times the mean of values [B] over counted images; `counts` makes these the result's count."""
        self.means.append((name, weight, torch.where(counted, values, 0.0 * values).sum(), counted.sum()))
        if counts:
            self.counted = counted.sum()

    def pooled(self, name: str, moments: LogMoments, loss: Callable[[LogMoments], Tensor], counted: Tensor) -> None:
        """Add `loss` of the moments of all images together."""
        self.pools.append((name, torch.stack([x.sum() for x in moments]), loss))
        self.counted = counted.sum()

    def result(self, prediction: Tensor, all_reduce: Callable[[Tensor], Tensor]) -> ObjectiveResult:
        assert self.counted is not None
        # zero if finite; carries a NaN that the terms did not look at (masked or uncounted) to every process
        touch = 0.0 * prediction.sum()
        scalars = [touch, self.counted, *(value for _, value in self.notes)]
        scalars += [x for _, _, total, count in self.means for x in (total, count)]
        here = torch.stack([x.detach().to(touch.dtype) for x in scalars])
        everywhere = iter(all_reduce(torch.cat([here, *(moments.detach() for _, moments, _ in self.pools)])).unbind())
        total, logged, counted = touch, next(everywhere), next(everywhere)
        parts = {name: next(everywhere) for name, _ in self.notes}
        for name, weight, local, _ in self.means:
            value, count = next(everywhere), next(everywhere).clamp_min(1)
            parts[name] = value / count
            total = total + weight * self.world * local / count
            logged = logged + weight * parts[name]
        for name, local, loss in self.pools:
            # the value of the global sum with the gradient of the local one
            shared = torch.stack([next(everywhere) for _ in range(len(local))])
            value = loss(LogMoments(*(local + (shared - local.detach())).unbind()))
            parts[name] = value.detach()
            total = total + self.world * value
            logged = logged + parts[name]
        return ObjectiveResult(total, {"total": logged, **parts}, counted)
