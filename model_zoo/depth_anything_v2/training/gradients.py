"""The gradient of one step: over pieces of a batch, over processes, and on a CPU over threads, always the same one.

Threads are processes in small. Each has a replica of the network that shares the parameters' memory and takes some of
the images; the objective, which does not depend on how images are spread, sees them as ranks of a world.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..encoder import DinoV2Encoder
from .distributed import World
from .feed import Batch
from .network import autocast
from .objectives import Objective


class StepLoss(NamedTuple):
    """Numbers of one step, equal in all processes.

    parts: the objective's, "total" first, averaged over the pieces. Of the predictions, spread: mean standard deviation
    inside an image, zeros: share of exact zeros, magnitude: mean absolute value. stop: whether a process is to end.
    """

    parts: dict[str, float]
    spread: float
    zeros: float
    magnitude: float
    stop: bool


class ThreadSum:
    """`all_reduce` between threads: call it with a thread's number and value; every thread gets the sum."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)
        self.values: list[Tensor | None] = [None] * count

    def __call__(self, number: int, value: Tensor) -> Tensor:
        self.values[number] = value
        self.barrier.wait()
        total = torch.stack([v for v in self.values if v is not None]).sum(0)
        self.barrier.wait()
        return total


class Gradients:
    """Computes the gradient of the global batch's objective into the parameters of `model`.

    Args:
        model: a `TrainedNetwork`, or what `spread` made of it.
        objective: what is minimised.
        world: the processes.
        frozen: encoder for the feature alignment, or None.
        precision: of the frozen encoder's arithmetic.
        threads: replicas on a CPU; 1 leaves threading to the operators. Only without other processes.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        world: World,
        *,
        frozen: DinoV2Encoder | None = None,
        precision: str = "fp32",
        threads: int = 1,
    ) -> None:
        if threads > 1 and world.size > 1:
            raise ValueError("replicas in threads are for a run of one process")
        self.model, self.objective, self.world = model, objective, world
        self.frozen, self.precision, self.threads = frozen, precision, threads
        self.replicas: list[nn.Module] = []
        if threads > 1:
            each = max(1, torch.get_num_threads() // threads)
            self.pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(each,))
            self.replicas = [copy.deepcopy(model) for _ in range(threads)]
            for replica in self.replicas:
                for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
                    own.data = shared.data

    def compute(self, pieces: Sequence[Batch], progress: float, *, scale: float = 1.0, stop: bool = False) -> StepLoss:
        """Set the parameters' gradients to `scale` times the mean over `pieces`, each this process's part of it.

        `progress` is the share of the run done; `stop` asks all processes to end.
        """
        self.model.train()
        self.model.zero_grad(set_to_none=True)
        device = self.world.device
        parts: dict[str, Tensor] = {}
        sums = torch.zeros(5, dtype=self.world.wide, device=device)
        sums[4] = float(stop)
        for number, batch in enumerate(pieces):
            with self._unsynchronised(last=number == len(pieces) - 1):
                found, measures = self._piece(batch, progress, scale / len(pieces))
            for name, value in found.items():
                parts[name] = parts.get(name, 0.0) + value.to(self.world.wide) / len(pieces)
            sums[:4] += measures
        if self.replicas:
            self._combine()
        sums = self.world.all_reduce(sums)
        values = torch.cat([sums, *(value.reshape(1).to(device) for value in parts.values())]).tolist()
        images = max(values[3], 1.0)
        named = dict(zip(parts, values[5:], strict=True))
        return StepLoss(named, values[0] / images, values[1] / images, values[2] / images, values[4] > 0)

    def each(self, function: Callable[[Any], object], items: Sequence[Any]) -> None:
        """`function` of every item, in the threads where there are some."""
        if self.replicas:
            list(self.pool.map(function, items))
        else:
            for item in items:
                function(item)

    def close(self) -> None:
        """End the threads."""
        if self.replicas:
            self.pool.shutdown()

    def _unsynchronised(self, *, last: bool) -> contextlib.AbstractContextManager[None]:
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return contextlib.nullcontext()

    def _piece(self, batch: Batch, progress: float, scale: float) -> tuple[dict[str, Tensor], Tensor]:
        if not self.replicas:
            return self._backward(self.model, batch, progress, scale, self.world.all_reduce, self.world.size)
        rows = [part for part in np.array_split(np.arange(len(batch)), self.threads) if len(part)]
        summed = ThreadSum(len(rows))

        def work(number: int) -> tuple[dict[str, Tensor], Tensor]:
            part = select(batch, slice(int(rows[number][0]), int(rows[number][-1]) + 1))
            try:
                reduce = lambda value: summed(number, value)  # noqa: E731
                return self._backward(self.replicas[number], part, progress, scale, reduce, len(rows))
            except BaseException:
                summed.barrier.abort()  # the others would wait for ever
                raise

        futures = [self.pool.submit(work, number) for number in range(len(rows))]
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        for error in sorted(errors, key=lambda e: isinstance(e, threading.BrokenBarrierError)):
            raise error
        results = [future.result() for future in futures]
        return results[0][0], torch.stack([measures for _, measures in results]).sum(0)

    def _backward(
        self,
        model: nn.Module,
        batch: Batch,
        progress: float,
        scale: float,
        all_reduce: Callable[[Tensor], Tensor],
        world: int,
    ) -> tuple[dict[str, Tensor], Tensor]:
        prediction, features = model(batch.images)
        frozen = None
        if self.frozen is not None:
            with torch.no_grad(), autocast(batch.images.device, self.precision):
                frozen = self.frozen(batch.images)[-1]
        result = self.objective(prediction, batch, features, frozen, all_reduce, world, progress)
        (result.total * scale).backward()
        with torch.no_grad():
            flat = prediction.detach().to(self.world.wide).flatten(1)
            measures = [flat.std(1).sum(), (flat == 0).to(flat.dtype).mean(1).sum(), flat.abs().mean(1).sum()]
            return result.parts, torch.stack([*measures, flat.new_tensor(len(flat))])

    @torch.no_grad()
    def _combine(self) -> None:
        """Average the replicas' gradients into the model's, in a fixed order, and clear them."""
        for parameter, *own in zip(self.model.parameters(), *(r.parameters() for r in self.replicas), strict=True):
            gradients = [p.grad for p in own if p.grad is not None]
            parameter.grad = torch.stack(gradients).sum(0).div_(len(gradients)) if gradients else None
            for p in own:
                p.grad = None


def select(batch: Batch, rows: slice) -> Batch:
    """Some images of a batch."""
    cutmix = batch.cutmix
    return replace(
        batch,
        images=batch.images[rows],
        target=batch.target[rows],
        valid=batch.valid[rows],
        positions=batch.positions[rows],
        ids=batch.ids[rows],
        clean_images=None if batch.clean_images is None else batch.clean_images[rows],
        cutmix=None if cutmix is None else (cutmix[0][rows], cutmix[1][rows]),
    )
