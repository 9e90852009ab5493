"""One worker: claims shards one by one, labels them, commits them. It needs to know of no other worker."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dabench.errors import DatasetError, ImageError, ModelError

from ..shards import ImageShard, describe_images, keys_digest
from . import previews as preview
from .claims import LEASE, Claim
from .codec import LabelFacts, encode_png, quantise
from .health import ShardHealth, mean_absolute_deviation
from .store import SUMMARY, FailedImage, LabelStore, ShardSummary, ShardWriter
from .teacher import Teacher

WINDOW = 4
"""Batches that are read ahead and sorted by size at once; bounds memory, and how many batches are not full."""

POLL = 5.0


@dataclass(frozen=True)
class LabelOptions:
    """How to work. None of it changes a label.

    Attributes:
        batch_size: images in a forward pass on an accelerator.
        threads: for decoding and encoding.
        lease: seconds after which a silent worker loses its shard; the same for all.
        max_failed_share: a shard of which more images failed is flagged.
        previews: write a picture of 16 labels of each shard.
        limit: shards that this worker does at most.
        wait: stay until every shard is done, taking over those of workers that die.
    """

    batch_size: int = 16
    threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    lease: float = LEASE
    max_failed_share: float = 0.01
    previews: bool = False
    limit: int | None = None
    wait: bool = False


@dataclass
class LabelReport:
    """What one worker did.

    Attributes:
        committed: summaries of the shards it finished.
        before: shards that were done when it came by.
        held: shards that other workers had when it left.
        lost: shards that it began and another worker finished.
        broken: shards that could not be done, and why.
        stopped: whether it was told to stop.
        seconds: since it began.
    """

    committed: list[ShardSummary] = field(default_factory=list)
    before: int = 0
    held: int = 0
    lost: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    seconds: float = 0.0

    @property
    def images(self) -> int:
        return sum(summary.labelled for summary in self.committed)

    @property
    def failed_images(self) -> int:
        return sum(len(summary.failed) for summary in self.committed)

    @property
    def exit_code(self) -> int:
        """1 if a shard is broken or flagged, or the work was interrupted; else 0."""
        return int(bool(self.broken) or self.stopped or any(summary.flagged for summary in self.committed))


Progress = Callable[[str, int, int], None]
"""Told the shard, images of it that are through, and images in it."""


class _Interrupted(Exception):
    """The worker was told to stop."""


class _Lost(Exception):
    """The shard went to another worker."""


def label_shards(
    shards: Sequence[ImageShard],
    out: Path,
    teacher: Teacher,
    options: LabelOptions | None = None,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> LabelReport:
    """Label every shard that is not done and that nobody else is doing.

    Any number of processes on any number of machines may call this with the same `out`. A killed one loses the shard
    it was at, which another takes over: at once on the same machine, after the lease elsewhere.

    Args:
        shards: all of them, the same for every worker.
        out: folder of the labels, shared.
        teacher: the labeller.
        options: how to work.
        stop: when set, the shard at hand is given back and the report returned.
        progress: told as images are through.

    Raises:
        RecordError: `out` holds labels of another teacher, of other settings or of other images.
        DabenchError: the labels cannot be written; nothing half-written stays.
    """
    options = options or LabelOptions()
    stop = stop or threading.Event()
    store = LabelStore(out, options.lease)
    store.start({"teacher": teacher.describe(), "images": describe_images(shards)})
    started, report = time.monotonic(), LabelReport()
    first = starting_place(len(shards))
    queue = [*shards[first:], *shards[:first]]
    report.before = sum(store.done(shard.name) for shard in queue)
    with ThreadPoolExecutor(options.threads) as pool:
        while queue and not stop.is_set():
            left, before = [], len(report.committed)
            for shard in queue:
                if stop.is_set() or (options.limit is not None and len(report.committed) >= options.limit):
                    break
                if store.done(shard.name):
                    continue
                claim = store.claim(shard.name)
                if claim is None:
                    left.append(shard)
                    continue
                with claim:
                    _label_claimed(store, claim, shard, teacher, options, pool, stop, progress, report)
                if shard.name not in report.broken:
                    left.append(shard)
            else:
                queue = [shard for shard in left if not store.done(shard.name)]
                if queue and len(report.committed) > before:
                    continue
                if queue and options.wait:
                    stop.wait(min(POLL, options.lease / 4))
                    continue
            break
    live = store.claims.live()
    report.held = sum(shard.name in live and not store.done(shard.name) for shard in queue)
    report.stopped = stop.is_set()
    report.seconds = time.monotonic() - started
    return report


def starting_place(count: int) -> int:
    """Where among `count` shards this worker begins, so that workers seldom reach for the same one.

    Evenly spread by torchrun's RANK of WORLD_SIZE or Slurm's array task; by a hash of the process else.
    """
    if count == 0:
        return 0
    for rank, size in (("RANK", "WORLD_SIZE"), ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")):
        number, total = os.environ.get(rank, ""), os.environ.get(size, "")
        if number.isdecimal() and total.isdecimal() and int(total) > 0:
            return int(number) % int(total) * count // int(total)
    name = os.environ.get("RANK") or os.environ.get("SLURM_ARRAY_TASK_ID") or f"{os.uname().nodename} {os.getpid()}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % count


def _label_claimed(
    store: LabelStore,
    claim: Claim,
    shard: ImageShard,
    teacher: Teacher,
    options: LabelOptions,
    pool: ThreadPoolExecutor,
    stop: threading.Event,
    progress: Progress | None,
    report: LabelReport,
) -> None:
    try:
        with ShardWriter(store, claim) as writer:
            work = _ShardWork(shard, claim, teacher, options, pool, stop, progress)
            summary = work.run(writer)
            if not writer.commit(summary):
                raise _Lost
            if options.previews:
                preview.write_sheet(
                    store.folder / "previews" / f"{shard.name}.jpg", [work.tiles[key] for key in sorted(work.tiles)]
                )
        report.committed.append(summary)
    except _Interrupted:
        pass
    except _Lost:
        report.lost.append(shard.name)
    except DatasetError as error:  # this shard's file is damaged; the others may be whole
        report.broken[shard.name] = str(error)
        store.fail(shard.name, str(error))


@dataclass
class _Ready:
    """An image that went through decoding: its network input, or why not."""

    key: str
    image_size: tuple[int, int] = (0, 0)
    array: npt.NDArray[np.float32] | None = None
    image: npt.NDArray[np.uint8] | None = None
    reason: str = ""


class _ShardWork:
    """The pass over one shard."""

    def __init__(
        self,
        shard: ImageShard,
        claim: Claim,
        teacher: Teacher,
        options: LabelOptions,
        pool: ThreadPoolExecutor,
        stop: threading.Event,
        progress: Progress | None,
    ) -> None:
        self.shard, self.claim, self.teacher, self.options = shard, claim, teacher, options
        self.pool, self.stop, self.progress = pool, stop, progress
        self.keys = shard.keys
        if SUMMARY.partition(".")[0] in self.keys:
            raise DatasetError(f"{shard.locate(0)}: '_shard' is no possible key for an image", hint="rename the image")
        self.health = ShardHealth()
        self.failed: list[FailedImage] = []
        self.shown = preview.choose(shard.name, len(self.keys)) if options.previews else frozenset[int]()
        self.tiles: dict[str, npt.NDArray[np.uint8]] = {}

    def run(self, writer: ShardWriter) -> ShardSummary:
        """Write the labels in the order of the keys, and sum up."""
        done = 0
        for window in self._windows():
            for facts_and_png in self._label(window):
                writer.add(*facts_and_png)
            done += len(window)
            if self.progress is not None:
                self.progress(self.shard.name, done, len(self.keys))
        return ShardSummary(
            shard=self.shard.name,
            images=len(self.keys),
            labelled=self.health.images,
            keys_sha256=keys_digest(self.keys),
            failed=tuple(self.failed),
            flagged=len(self.failed) > self.options.max_failed_share * len(self.keys),
            teacher=self.teacher.weights_sha256,
            health=self.health,
        )

    def _windows(self) -> Iterator[list[_Ready]]:
        """Decoded images, some batches at a time; the next window is decoded while one is labelled."""
        size = WINDOW * self.options.batch_size
        spans = [range(start, min(start + size, len(self.keys))) for start in range(0, len(self.keys), size)]
        ahead: list[Future[_Ready]] = [self.pool.submit(self._prepare, position) for position in spans[0]]
        try:
            for following in [*spans[1:], range(0)]:
                current, ahead = ahead, [self.pool.submit(self._prepare, position) for position in following]
                self._check()
                yield [future.result() for future in current]
        finally:
            for future in ahead:
                future.cancel()

    def _check(self) -> None:
        if self.stop.is_set():
            raise _Interrupted
        if self.claim.lost:
            raise _Lost

    def _prepare(self, position: int) -> _Ready:
        key = self.keys[position]
        try:
            image = self.shard.image(position)
            array = self.teacher.prepare(image)
        except ImageError as error:
            return _Ready(key, reason=str(error))
        return _Ready(key, image.shape[:2], array, image if position in self.shown else None)

    def _label(self, window: list[_Ready]) -> Iterator[tuple[LabelFacts, bytes]]:
        """Labels of a window in its order, computed by buckets of one network size."""
        buckets: dict[tuple[int, ...], list[int]] = {}
        for index, ready in enumerate(window):
            if ready.array is not None:
                buckets.setdefault(ready.array.shape, []).append(index)
        encoded: dict[int, Future[tuple[LabelFacts, bytes] | int]] = {}
        for members in buckets.values():
            for start in range(0, len(members), self.options.batch_size):
                self._check()
                batch = members[start : start + self.options.batch_size]
                inputs = [array for array in (window[index].array for index in batch) if array is not None]
                for index, values in zip(batch, self.teacher.label(inputs, self.options.batch_size), strict=True):
                    window[index].array = None
                    encoded[index] = self.pool.submit(self._encode, window[index], values)
        for index, ready in enumerate(window):
            if index not in encoded:
                self.failed.append(FailedImage(ready.key, ready.reason))
                continue
            result = encoded[index].result()
            if isinstance(result, int):
                self.health.add_not_finite(result)
                self.failed.append(FailedImage(ready.key, f"the teacher gave NaN or infinity at {result} pixels"))
                continue
            self.health.add(result[0].zero_share, result[0].mad, result[0].constant)
            yield result

    def _encode(self, ready: _Ready, values: npt.NDArray[np.float32]) -> tuple[LabelFacts, bytes] | int:
        """The label, or the number of pixels that are not finite."""
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            return bad
        if values.min() < 0:
            raise ModelError(f"{self.teacher.name} gave negative disparity for {ready.key}")
        codes, low, high = quantise(values)
        if ready.image is not None:
            self.tiles[ready.key] = preview.tile(ready.image, codes)
        facts = LabelFacts(
            key=ready.key,
            min=low,
            max=high,
            size=(values.shape[0], values.shape[1]),
            image_size=ready.image_size,
            zero_share=float((values == 0).mean()),
            mad=mean_absolute_deviation(values),
            constant=low == high,
            teacher=self.teacher.weights_sha256,
        )
        return facts, encode_png(codes)
