"""Batches for one training process, assembled ahead of time by worker processes or threads."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Self

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dabench.errors import DatasetError, UsageError

from ..preprocess import IMAGENET_MEAN, IMAGENET_STD
from .assembly import Assembled, Assembler, BadSample, Failure, FeedSettings, Span, feed_settings
from .concatenated import ConcatenatedDataset, Part
from .order import Order
from .sample import TrainingDataset

__all__ = ["BadSample", "Batch", "ConcatenatedDataset", "Feed", "FeedSettings", "Part", "feed_settings"]

COUNTED_FROM = 100
"""Images seen before the share of bad ones means anything."""

NAMED = 10
"""Bad images named in the error that there are too many."""


@dataclass(frozen=True)
class Batch:
    """One process's images of one step.

    Attributes:
        images: float32 [B, 3, H, W], ImageNet-normalised.
        target: float32 [B, H, W]. Relative: disparity in [0, 1], min-max normalised over the crop's valid pixels before
            any CutMix, sky 0. Metric: metres. 0 where not valid.
        valid: bool [B, H, W], pixels that count in the loss.
        positions: int64 [B], places in the global sequence; on the CPU.
        ids: `set/id` of each image.
        clean_images: as `images`, before perturbation and CutMix; None unless asked for.
        cutmix: None without CutMix, else (bool [B, H, W]: pixels that show the partner; bool [B]: images with a box).
    """

    images: Tensor
    target: Tensor
    valid: Tensor
    positions: Tensor
    ids: tuple[str, ...]
    clean_images: Tensor | None = None
    cutmix: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class _Spans:
    """Positions of one process: its contiguous share of every global batch, cut into `accumulate` pieces."""

    rank: int
    world: int
    batch: int
    accumulate: int
    start_step: int
    stop_step: int | None

    @property
    def piece(self) -> int:
        return self.batch // (self.world * self.accumulate)

    def __iter__(self) -> Iterator[Span]:
        step = self.start_step
        while self.stop_step is None or step < self.stop_step:
            first = step * self.batch + self.rank * self.accumulate * self.piece
            for number in range(self.accumulate):
                yield Span(first + number * self.piece, self.piece)
            step += 1


class Feed:
    """Iterator over the batches of one process; `accumulate` batches make one step. Close it, or use it in `with`.

    Concatenating what the ranks of any world size get in one step gives the batch that a single process gets, bit for
    bit, whatever `workers` and `kind` are. Images that cannot be used are replaced and reported by `events`.

    Args:
        dataset: one set, or several concatenated.
        batch: images a step over all processes and pieces; a multiple of world x accumulate (x the CutMix group).
        start_step, stop_step: first step, and the one before which to end (None: go on for ever).
        workers: loading processes or threads; 0 assembles each batch when it is asked for.
        kind: "processes", or "threads" for data that is in memory already and small images.
        prefetch: batches that each worker is ahead.
        device: where batches are put; memory is page-locked for a GPU.
        start_method: "fork", "spawn" or "forkserver"; None is the platform's.

    Attributes:
        waited_seconds: how long `next` has taken since the first batch.
        wait_share: the same as a share of all time since then; what is not waiting is training.
        seen, bad: images delivered, and images that could not be used.
    """

    def __init__(
        self,
        dataset: ConcatenatedDataset | TrainingDataset,
        settings: FeedSettings,
        *,
        batch: int,
        order: Order | None = None,
        rank: int = 0,
        world: int = 1,
        start_step: int = 0,
        stop_step: int | None = None,
        accumulate: int = 1,
        workers: int = 0,
        kind: Literal["processes", "threads"] = "processes",
        prefetch: int = 2,
        device: torch.device | str = "cpu",
        start_method: str | None = None,
    ) -> None:
        if isinstance(dataset, TrainingDataset):
            dataset = ConcatenatedDataset([dataset])
        _check(dataset, settings, batch, rank, world, start_step, accumulate, workers)
        if order is None:
            order = Order(len(dataset), settings.seed, dataset.blocks, settings.shard_window)
        elif order.length != len(dataset):
            raise UsageError(f"the order is of {order.length} images, the data has {len(dataset)}")
        self.order, self.settings, self.device = order, settings, torch.device(device)
        self.waited_seconds, self.seen, self.bad = 0.0, 0, 0
        self._since: float | None = None
        self._events: list[BadSample] = []
        self._bad_files: dict[str, str] = {}
        self._spans = _Spans(rank, world, batch, accumulate, start_step, stop_step)
        assembler = Assembler(dataset, order, settings)
        self._source: Iterator[Assembled | Failure] | None
        if workers == 0:
            self._source = (assembler[span] for span in self._spans)
        elif kind == "threads":
            self._source = _in_threads(assembler, self._spans, workers, workers * prefetch)
        else:
            self._source = _in_processes(
                assembler, self._spans, workers, prefetch, self.device.type == "cuda", start_method
            )
        self._mean = torch.tensor(IMAGENET_MEAN, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(IMAGENET_STD, device=self.device).view(3, 1, 1)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            DatasetError: too many images cannot be used, a reader failed, or a worker process died.
        """
        if self._source is None:
            raise StopIteration
        started = time.perf_counter()
        assembled = self._take(self._source)
        if isinstance(assembled, Failure):
            self.close()
            raise DatasetError(assembled.message, hint=assembled.hint)
        self._count(assembled)
        batch = self._finish(assembled)
        now = time.perf_counter()
        if self._since is None:
            self._since = now
        else:
            self.waited_seconds += now - started
        return batch

    def _take(self, source: Iterator[Assembled | Failure]) -> Assembled | Failure:
        try:
            return next(source)
        except StopIteration:
            self.close()
            raise
        except (RuntimeError, OSError, EOFError) as error:  # a worker died, perhaps while it handed a batch over
            reason = str(error) or type(error).__name__
        self.close()
        return Failure(
            f"loading data stopped: {reason}",
            "a killed worker usually means that memory or /dev/shm is full; use fewer workers",
        )

    @property
    def wait_share(self) -> float:
        elapsed = 0.0 if self._since is None else time.perf_counter() - self._since
        return self.waited_seconds / elapsed if elapsed > 0 else 0.0

    def events(self) -> list[BadSample]:
        """Images that turned out unusable since the last call."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop the workers. The feed has no more batches afterwards."""
        source, self._source = self._source, None
        if isinstance(source, Iterator) and hasattr(source, "close"):
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _count(self, assembled: Assembled) -> None:
        self.seen += len(assembled.ids)
        self.bad += len(assembled.bad)
        self._events.extend(assembled.bad)
        self._bad_files.update((bad.id, bad.reason) for bad in assembled.bad)
        if self.seen >= COUNTED_FROM and self.bad > self.settings.max_bad_share * self.seen:
            self.close()
            named = [f"  {name}: {reason}" for name, reason in list(self._bad_files.items())[:NAMED]]
            if len(self._bad_files) > NAMED:
                named.append(f"  and {len(self._bad_files) - NAMED} more")
            raise DatasetError(
                f"{self.bad} of {self.seen} images could not be used, more than data.max_bad_share "
                f"{self.settings.max_bad_share:g} allows:\n" + "\n".join(named),
                hint="mend or remove these files, or raise data.max_bad_share",
            )

    def _finish(self, assembled: Assembled) -> Batch:
        clean, cutmix = assembled.clean_images, assembled.cutmix
        return Batch(
            images=self._normalised(assembled.images),
            target=self._moved(assembled.target),
            valid=self._moved(assembled.valid),
            positions=assembled.positions,
            ids=assembled.ids,
            clean_images=None if clean is None else self._normalised(clean),
            cutmix=None if cutmix is None else (self._moved(cutmix[0]), self._moved(cutmix[1])),
        )

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)

    def _normalised(self, images: Tensor) -> Tensor:
        # 8 bits until here: a quarter of the traffic between processes and to the GPU
        return self._moved(images).float().div_(255).sub_(self._mean).div_(self._std)


def _check(
    dataset: ConcatenatedDataset,
    settings: FeedSettings,
    batch: int,
    rank: int,
    world: int,
    start_step: int,
    accumulate: int,
    workers: int,
) -> None:
    if batch < 1 or world < 1 or accumulate < 1 or not 0 <= rank < world or start_step < 0 or workers < 0:
        raise UsageError(
            f"batch {batch}, rank {rank} of {world}, {accumulate} pieces, start step {start_step} and {workers} "
            "workers do not go together"
        )
    group = settings.cutmix.group if settings.cutmix is not None else 1
    pieces = world * accumulate * group
    if batch % pieces:
        parts = f"{world} processes x {accumulate} pieces" + (f" x CutMix groups of {group}" if group > 1 else "")
        raise UsageError(
            f"a batch of {batch} images does not divide into {parts}",
            hint=f"use a batch that is a multiple of {pieces}",
        )
    if settings.task == "metric" and not dataset.metric:
        names = ", ".join(part.dataset.name for part in dataset.parts if not part.dataset.metric)
        raise UsageError(f"metric training needs depth in metres, which {names} does not have")


def _in_threads(assembler: Assembler, spans: _Spans, workers: int, ahead: int) -> Iterator[Assembled | Failure]:
    """Batches in order, `ahead` of them under way in `workers` threads."""
    waiting: deque[Future[Assembled | Failure]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="feed")
    try:
        for span in spans:
            waiting.append(pool.submit(assembler.__getitem__, span))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _in_processes(
    assembler: Assembler, spans: _Spans, workers: int, prefetch: int, pin: bool, start_method: str | None
) -> Iterator[Assembled | Failure]:
    """Batches in order from worker processes, which live until the iterator is closed."""
    loader: DataLoader[Assembled | Failure] = DataLoader(
        _AsDataset(assembler),
        batch_size=None,
        sampler=spans,
        num_workers=workers,
        prefetch_factor=prefetch,
        collate_fn=_unchanged,
        worker_init_fn=_prepare_worker,
        pin_memory=pin,
        multiprocessing_context=start_method,
        generator=torch.Generator(),  # else it would draw its seed from the generator that drop path uses
    )
    handler = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    if threading.current_thread() is threading.main_thread():
        # torch has by now set one that raises wherever the training process happens to be when a worker dies, in the
        # middle of a checkpoint if need be; without it the next batch raises, within seconds
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)
    yield from batches


class _AsDataset(Dataset["Assembled | Failure"]):
    def __init__(self, assembler: Assembler) -> None:
        self.assembler = assembler

    def __getitem__(self, span: Span) -> Assembled | Failure:
        return self.assembler[span]


def _unchanged(assembled: Any) -> Any:
    return assembled


def _prepare_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # Ctrl-C and a scheduler's SIGTERM reach every process of the group; the training process decides what they mean,
    # and needs its workers until it has
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
