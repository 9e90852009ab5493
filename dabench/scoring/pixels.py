"""The pixels that take part in a score, gathered once and narrowed for each rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.scoring.alignment import Moments
from dabench.scoring.crops import Box
from dabench.scoring.metrics import Column, Sums, merged
from dabench.types import DepthMap, Mask

CHUNK = 32_768
"""About how many pixels one step of a loop works on. Fixed, because the order of summation follows from it."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Workers:
    """Who runs the loops: ``map`` of an executor, and how many parts it runs at once. Results do not depend on it."""

    map: Callable[..., Iterable[Any]] = map
    count: int = 1

    def run(self, part: Callable[[int, int], None], chunks: int) -> None:
        """Call ``part(first, last)`` for ranges that cover all chunks."""
        parts = max(1, min(self.count, chunks))
        bounds = [chunks * i // parts for i in range(parts + 1)]
        if parts == 1:
            part(0, chunks)
        else:
            for _ in self.map(part, bounds[:-1], bounds[1:]):
                pass


SERIAL = Workers()


@dataclass(frozen=True, eq=False)
class Pixels:
    """Predictions p and ground truth g of the pixels that count, both ``float32``, in chunks.

    Chunk ``k`` is ``[k * stride : k * stride + counts[k]]`` of both arrays; between chunks lies nothing of meaning.

    Attributes:
        nearest, farthest: extremes of g. lowest, highest: extremes of p.
        non_finite, non_positive: how many p are so.
    """

    p: Floats
    g: Floats
    stride: int
    counts: npt.NDArray[np.int64]
    non_finite: int
    non_positive: int
    nearest: float
    farthest: float
    lowest: float
    highest: float
    workers: Workers = SERIAL

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    @staticmethod
    def of(p: Floats, g: Floats, workers: Workers = SERIAL) -> Pixels:
        """Pixels from two contiguous arrays ``[N]``."""
        starts = np.arange(0, p.size, CHUNK)
        counts = np.minimum(p.size - starts, CHUNK).astype(np.int64)
        ends = (float(g.min()), float(g.max()), float(p.min()), float(p.max())) if p.size else (np.nan,) * 4
        finite = np.isfinite(p)
        return Pixels(p, g, CHUNK, counts, int((~finite).sum()), int((p <= 0).sum()), *ends, workers=workers)

    def contiguous(self) -> tuple[Floats, Floats]:
        """Both arrays without the gaps between chunks."""
        pieces = [slice(k * self.stride, k * self.stride + int(n)) for k, n in enumerate(self.counts)]
        if len(pieces) == 1:
            return self.p[pieces[0]], self.g[pieces[0]]
        empty = np.zeros(0, np.float32)
        return (
            np.concatenate([empty, *(self.p[piece] for piece in pieces)]),
            np.concatenate([empty, *(self.g[piece] for piece in pieces)]),
        )

    def moments(self, invert: bool, invert_target: bool) -> Moments:
        """Moments of x = p or 1/p and y = g or 1/g."""
        from dabench.scoring import kernels

        rows = np.zeros((self.counts.size, kernels.FITTED))
        self.workers.run(
            lambda first, last: kernels.fit_sums(
                self.p, self.g, self.stride, self.counts, first, last, invert, invert_target, rows
            ),
            self.counts.size,
        )
        return Moments.merged(Moments(*map(float, row)) for row in rows)

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

        rows = np.zeros((self.counts.size, Column.COUNT))
        modes = (invert, in_disparity, on_disparity)
        self.workers.run(
            lambda first, last: kernels.metric_sums(
                self.p, self.g, self.stride, self.counts, first, last, modes, scale, shift, low, high, rows
            ),
            self.counts.size,
        )
        return merged(rows)


class Gathered:
    """The valid pixels of one prediction and its ground truth, in row-major order.

    Args:
        values: prediction, ``float32 [H, W]``, C-contiguous.
        depth: ground truth, ``float32 [H, W]``, C-contiguous.
        valid: ``bool [H, W]``, C-contiguous.
    """

    def __init__(self, values: DepthMap, depth: DepthMap, valid: Mask, workers: Workers = SERIAL) -> None:
        from dabench.scoring import kernels

        height, width = depth.shape
        self._workers = workers
        self._width = width
        self._rows = max(1, CHUNK // max(width, 1))
        self._chunks = -(-height // self._rows)
        self._p, self._g = np.empty(depth.size, np.float32), np.empty(depth.size, np.float32)
        self._column = np.empty(depth.size, np.int32)
        self._row_end = np.empty(height, np.int64)
        workers.run(
            lambda first, last: kernels.gather(
                values, depth, valid, self._rows, first, last, self._p, self._g, self._column, self._row_end
            ),
            self._chunks,
        )

    def select(self, box: Box, low: float, high: float, clip_to: float | None) -> Pixels:
        """The pixels inside a box whose ground truth, after clipping, lies in ``[low, high]``, both ends included."""
        from dabench.scoring import kernels

        p, g = np.empty_like(self._p), np.empty_like(self._g)
        counts = np.zeros((self._chunks, kernels.COUNTED), np.int64)
        clip = np.float32(np.inf if clip_to is None else clip_to)
        self._workers.run(
            lambda first, last: kernels.select(
                self._p, self._g, self._column, self._row_end, self._rows, self._width,
                tuple(box), low, high, clip, first, last, p, g, counts,
            ),
            self._chunks,
        )  # fmt: skip
        keys = counts[counts[:, 0] > 0, 3:]
        if keys.size:
            nearest, lowest = keys[:, 0].min(), keys[:, 2].min()
            farthest, highest = keys[:, 1].max(), keys[:, 3].max()
            ends = (_float_of(nearest), _float_of(farthest), _float_of(lowest), _float_of(highest))
        else:
            ends = (np.nan,) * 4
        n, bad, negative = (np.ascontiguousarray(counts[:, i]) for i in range(3))
        stride = self._rows * self._width
        return Pixels(p, g, stride, n, int(bad.sum()), int(negative.sum()), *ends, workers=self._workers)


def _float_of(key: int) -> float:
    """The float32 whose order-preserving integer is ``key``."""
    bits = np.array([key], np.int64).astype(np.int32)
    return float(np.where(bits < 0, bits ^ np.int32(2**31 - 1), bits).astype(np.int32).view(np.float32)[0])
