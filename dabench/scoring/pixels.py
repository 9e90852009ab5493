"""The pixels that take part in a score, gathered once and narrowed for each rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dabench.scoring.alignment import Moments
from dabench.scoring.crops import Box
from dabench.scoring.metrics import Column, Sums, merged
from dabench.types import DepthMap, Mask

CHUNK = 32_768
"""About how many pixels one step of a loop works on. Fixed, because the order of summation follows from it."""

MOST_CHUNKS = 64

WORTH_SHARING = 8
"""Chunks from which on waking other threads costs less than they save."""

Floats = npt.NDArray[np.float32]


class FitSpace(NamedTuple):
    """What is fitted to what: p or 1/p to g or 1/g."""

    invert: bool
    invert_target: bool


class Workers:
    """Who runs the loops, and the memory they use again from one image to the next.

    Results do not depend on it. One may be shared by threads.

    Args:
        submit: ``submit`` of an executor of threads, which must not be the one that calls; None: nobody else.
        count: how many parts run at once, the calling thread's among them.
    """

    def __init__(self, submit: Callable[..., Any] | None = None, count: int = 1) -> None:
        self._submit = submit
        self._count = count if submit is not None else 1
        self._spare: list[Floats] = []

    def run(self, part: Callable[[int, int], None], chunks: range) -> None:
        """Call ``part(first, last)`` for ranges that cover ``chunks``."""
        parts = max(1, min(self._count, len(chunks))) if len(chunks) >= WORTH_SHARING else 1
        bounds = [chunks.start + len(chunks) * i // parts for i in range(parts + 1)]
        others = []
        if self._submit is not None:
            others = [self._submit(part, bounds[i], bounds[i + 1]) for i in range(1, parts)]
        part(bounds[0], bounds[1])
        for other in others:
            other.result()

    def take(self, size: int) -> Floats:
        """An array of at least ``size``, with anything in it: fresh memory costs more than the work done in it."""
        try:
            spare = self._spare.pop()
        except IndexError:
            spare = np.empty(0, np.float32)
        return spare if size <= spare.size <= 4 * size else np.empty(size, np.float32)

    def give_back(self, array: Floats) -> None:
        if len(self._spare) < 4 * self._count:
            self._spare.append(array)


class Recent(dict[object, Any]):
    """A dictionary of the last few things made: pixels are large, and a search goes through hundreds of rules."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __setitem__(self, key: object, value: Any) -> None:
        while len(self) >= self._size and key not in self:
            del self[next(iter(self))]
        super().__setitem__(key, value)


class _Pair:
    """Two arrays for p and g, given back to the workers when nobody holds them any more."""

    def __init__(self, size: int, workers: Workers) -> None:
        self._workers = workers
        self.p, self.g = workers.take(size), workers.take(size)

    def __del__(self) -> None:
        self._workers.give_back(self.p)
        self._workers.give_back(self.g)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Predictions p and ground truth g of the pixels that count, both ``float32``, in rows.

    Row ``r`` is ``begin[r]:end[r]`` of both arrays; between rows lies nothing of meaning.

    Attributes:
        rows: rows of a chunk.
        chunks: those that have rows of these pixels.
        n, non_finite, non_positive: pixels in all, and predictions that are so.
        nearest, farthest: extremes of g. lowest, highest: extremes of p.
        workers: who runs the loops.
        memory: what the arrays are part of.
        fitted: what kind of moments are known already, and those of each chunk.
    """

    p: Floats
    g: Floats
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    rows: int
    chunks: range
    n: int
    non_finite: int
    non_positive: int
    nearest: float
    farthest: float
    lowest: float
    highest: float
    workers: Workers
    memory: object = None
    fitted: tuple[FitSpace, npt.NDArray[np.float64]] | None = None

    @staticmethod
    def of(p: Floats, g: Floats, workers: Workers) -> Pixels:
        """Pixels from two contiguous arrays ``[N]``."""
        begin = np.arange(0, p.size, CHUNK)
        end = np.minimum(begin + CHUNK, p.size)
        low, high = ([f(g), f(p)] if p.size else [np.nan, np.nan] for f in (np.min, np.max))
        return Pixels(
            p, g, begin, end, 1, range(begin.size), p.size, int((~np.isfinite(p)).sum()), int((p <= 0).sum()),
            float(low[0]), float(high[0]), float(low[1]), float(high[1]), workers,
        )  # fmt: skip

    def contiguous(self) -> tuple[Floats, Floats]:
        """Copies of both arrays without the gaps between rows."""
        pieces = [slice(i, j) for i, j in zip(self.begin.tolist(), self.end.tolist(), strict=True) if j > i]
        empty = np.zeros(0, np.float32)
        return (
            np.concatenate([empty, *(self.p[piece] for piece in pieces)]),
            np.concatenate([empty, *(self.g[piece] for piece in pieces)]),
        )

    def moments(self, space: FitSpace) -> Moments:
        """Moments of the pixels as a fit sees them."""
        from dabench.scoring import kernels

        if self.fitted is not None and self.fitted[0] == space:
            rows = self.fitted[1]
        else:
            rows = np.zeros((self.chunks.stop, kernels.FITTED))
            self.workers.run(
                lambda first, last: kernels.fit_sums(
                    self.p, self.g, self.begin, self.end, self.rows, first, last, *space, rows
                ),
                self.chunks,
            )
        return Moments.merged(Moments(*row) for row in rows[self.chunks.start :].tolist())

    def sums(
        self,
        *,
        invert: bool,
        in_disparity: bool,
        on_disparity: bool,
        scale: float,
        shift: float,
        low: float,
        high: float,
    ) -> Sums:
        """The row of sums of the aligned prediction.

        Args:
            invert: x = 1/p instead of p.
            in_disparity: ``scale * x + shift`` is a disparity, not a depth.
            on_disparity: errors are differences of disparities.
            low, high: the aligned values are clipped to this.
        """
        from dabench.scoring import kernels

        rows = np.zeros((self.chunks.stop, Column.COUNT))
        modes = (invert, in_disparity, on_disparity)
        self.workers.run(
            lambda first, last: kernels.metric_sums(
                self.p, self.g, self.begin, self.end, self.rows, first, last, modes, scale, shift, low, high, rows
            ),
            self.chunks,
        )
        return merged(rows[self.chunks.start :])


class Gathered:
    """The valid pixels of one prediction and its ground truth, in row-major order.

    Args:
        values: prediction, ``float32 [H, W]``, C-contiguous.
        depth: ground truth, ``float32 [H, W]``, C-contiguous.
        valid: ``bool [H, W]``, C-contiguous.
    """

    def __init__(self, values: DepthMap, depth: DepthMap, valid: Mask, workers: Workers) -> None:
        height, width = depth.shape
        self._maps = values, depth, valid
        self._workers = workers
        self._rows = max(1, CHUNK // max(width, 1), -(-height // MOST_CHUNKS))
        self._have = np.zeros(-(-height // self._rows), np.bool_)
        self._row_end = np.empty(height, np.int64)
        self._pair = _Pair(depth.size, workers)

    def select(self, box: Box, low: float, high: float, clip_to: float | None, fit: FitSpace | None = None) -> Pixels:
        """The pixels inside a box whose ground truth, after clipping, lies in ``[low, high]``, both ends included.

        Args:
            box, low, high, clip_to: what counts.
            fit: moments that are likely to be wanted: they are summed while the pixels are at hand.
        """
        limits = np.array([low, high, np.inf if clip_to is None else clip_to], np.float32)
        nothing = np.zeros(0, np.float32)
        # Mostly the range holds every pixel of the box, and nothing needs to be copied.
        found = self._narrow(box, limits, self._pair, nothing, nothing, fit)
        if found.n and not (found.nearest >= limits[0] and found.farthest <= min(limits[1], limits[2])):
            kept = _Pair(self._pair.p.size, self._workers)
            return self._narrow(box, limits, kept, kept.p, kept.g, fit)
        return found

    def _narrow(
        self, box: Box, limits: Floats, holds: _Pair, kept_p: Floats, kept_g: Floats, fit: FitSpace | None
    ) -> Pixels:
        from dabench.scoring import kernels

        pair, height = self._pair, self._row_end.size
        chunks = range(box.top // self._rows, -(-box.bottom // self._rows)) if box.bottom > box.top else range(0)
        begin, end = np.zeros(height, np.int64), np.zeros(height, np.int64)
        counts = np.zeros((self._have.size, kernels.COUNTED), np.int64)
        moments = np.zeros((chunks.stop, kernels.FITTED))

        def part(first: int, last: int) -> None:
            missing = np.flatnonzero(~self._have[first:last])
            if missing.size:  # what is gathered twice comes out the same
                start, stop = first + int(missing[0]), first + int(missing[-1]) + 1
                kernels.gather(*self._maps, self._rows, start, stop, pair.p, pair.g, self._row_end)
                self._have[start:stop] = True
            kernels.select(
                pair.p, pair.g, *self._maps[1:], self._row_end, self._rows, tuple(box), limits,
                first, last, kept_p, kept_g, begin, end, counts,
            )  # fmt: skip
            if fit is not None:
                kernels.fit_sums(holds.p, holds.g, begin, end, self._rows, first, last, *fit, moments)

        self._workers.run(part, chunks)
        counts = counts[chunks.start : chunks.stop]
        n, bad, negative = (int(v) for v in counts[:, :3].sum(axis=0))
        nearest = farthest = lowest = highest = np.nan
        if n:
            low, high = counts[:, [3, 5]].min(axis=0), counts[:, [4, 6]].max(axis=0)
            nearest, farthest, lowest, highest = _floats_of(low[0], high[0], low[1], high[1])
        return Pixels(
            holds.p, holds.g, begin, end, self._rows, chunks, n, bad, negative,
            nearest, farthest, lowest, highest, self._workers, holds, None if fit is None else (fit, moments),
        )  # fmt: skip


def _floats_of(*keys: int) -> tuple[float, ...]:
    """The float32 values whose order-preserving integers are ``keys``."""
    signed = np.array(keys, np.int64).astype(np.int32)
    return tuple((signed ^ ((signed >> 31) & np.int32(2**31 - 1))).view(np.float32).tolist())
