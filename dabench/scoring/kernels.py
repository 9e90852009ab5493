"""The compiled loops of scoring: gather valid pixels, select those that count, sum for a fit, sum for the metrics.

Every loop works on fixed chunks of rows and writes one row of results for each, which the caller merges in order: the
result does not depend on how many threads share the chunks. Chunk ``k`` owns the elements from ``k * stride`` on of the
pixel arrays. The arithmetic is float64; of the fast-math flags only those are set that keep NaN and infinity alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

BLOCK = 256
"""Pixels whose intermediate values live in the first-level cache at once."""

COUNTED = 7
"""Columns of ``select``: pixels, non-finite and non-positive values, and ordered keys of the extremes of g and p."""

FITTED = 5
"""Columns of ``fit_sums``: pixels, mean x, mean y, sum (x - mean)^2, sum (x - mean)(y - mean)."""

SUMMED = 14
"""Columns of ``metric_sums``; see ``dabench.scoring.metrics.MetricSums``."""

_LARGEST = np.float32(np.finfo(np.float32).max)
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}

# ln(m) = 2 atanh(s) = s (2 + 2 s^2 / 3 + 2 s^4 / 5 + ...), s = (m - 1) / (m + 1). On [sqrt(1/2), sqrt(2)] s^2 is below
# 0.0295, and what follows the eighth term is below 1e-15 of the sum.
_C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8 = (2.0 / k for k in range(3, 19, 2))
_LN2 = 0.693147180559945309417
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
_EXPONENT_ONE = 1023 << 52


class Kernel:
    """A function compiled at its first call, and kept on disk where that is possible.

    A cache folder that cannot be written, or that holds damaged files, costs the time to compile and nothing else.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._compiled: Any = None
        self._cached = True

    def __call__(self, *arguments: Any) -> None:
        try:
            if self._compiled is None:
                self._compiled = numba.njit(cache=True, **_OPTIONS)(self._function)
            self._compiled(*arguments)
        except Exception:
            # The loops raise nothing themselves: what fails is finding, reading or writing the cache.
            if not self._cached:
                raise
            self._cached = False
            self._compiled = numba.njit(**_OPTIONS)(self._function)
            self._compiled(*arguments)


@numba.njit(**_OPTIONS)
def _log(x: float) -> float:
    """ln(x) of a positive normal number, without a branch, so that a loop of it becomes vector instructions."""
    bits = np.float64(x).view(np.int64)
    shifted = bits - _ROOT_HALF_BITS + _EXPONENT_ONE
    # In 32 bits, because AVX2 converts no 64-bit integer to floating point.
    exponent = np.float64(np.int32(np.uint64(shifted) >> np.uint64(52)) - np.int32(1023))
    mantissa = np.int64(bits - (shifted & ~np.int64((1 << 52) - 1)) + _EXPONENT_ONE).view(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    w = z * z
    low = (_C1 + _C2 * z) + w * (_C3 + _C4 * z)
    high = (_C5 + _C6 * z) + w * (_C7 + _C8 * z)
    return exponent * _LN2 + s * (2.0 + z * (low + w * w * high))


def _gather(values, depth, valid, rows, first, last, p, g, column, row_end):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    for chunk in range(first, last):
        k = chunk * rows * width
        for r in range(chunk * rows, min(height, (chunk + 1) * rows)):
            for c in range(width):
                d = depth[r, c]
                p[k] = values[r, c]
                g[k] = d
                column[k] = c
                k += valid[r, c] & (d > 0)
            row_end[r] = k


def _select(p, g, column, row_end, rows, width, box, low, high, clip, first, last, kept_p, kept_g, counts):  # type: ignore[no-untyped-def]
    top, bottom, left, right = box
    p_bits, g_bits = kept_p.view(np.int32), kept_g.view(np.int32)
    for chunk in range(first, last):
        start = chunk * rows * width
        k = start
        for r in range(max(top, chunk * rows), min(bottom, (chunk + 1) * rows)):
            i = start if r == chunk * rows else row_end[r - 1]
            end = row_end[r]
            if left > 0:
                i += np.searchsorted(column[i:end], left)
            if right < width:
                end = i + np.searchsorted(column[i:end], right)
            for j in range(i, end):
                d = min(g[j], clip)
                kept_p[k] = p[j]
                kept_g[k] = d
                k += (d >= low) & (d <= high)
        bad = 0
        negative = 0
        for j in range(start, k):
            bad += not (abs(kept_p[j]) <= _LARGEST)
            negative += kept_p[j] <= 0
        # Floats in the order of integers: the comparisons of floats would not become vector instructions.
        nearest, farthest = np.int32(2147483647), np.int32(-2147483648)
        lowest, highest = nearest, farthest
        for j in range(start, k):
            nearest = min(nearest, g_bits[j])
            farthest = max(farthest, g_bits[j])
            key = p_bits[j] ^ ((p_bits[j] >> 31) & np.int32(2147483647))
            lowest = min(lowest, key)
            highest = max(highest, key)
        counts[chunk, 0] = k - start
        counts[chunk, 1] = bad
        counts[chunk, 2] = negative
        counts[chunk, 3] = nearest
        counts[chunk, 4] = farthest
        counts[chunk, 5] = lowest
        counts[chunk, 6] = highest


def _fit_sums(p, g, stride, counts, first, last, invert, invert_target, sums):  # type: ignore[no-untyped-def]
    x, y = np.empty(BLOCK), np.empty(BLOCK)
    for chunk in range(first, last):
        n, mean_x, mean_y, xx, xy = 0.0, 0.0, 0.0, 0.0, 0.0
        end = chunk * stride + counts[chunk]
        for start in range(chunk * stride, end, BLOCK):
            m = min(BLOCK, end - start)
            if invert:
                for j in range(m):
                    x[j] = 1.0 / np.float64(p[start + j])
            else:
                for j in range(m):
                    x[j] = p[start + j]
            if invert_target:
                for j in range(m):
                    y[j] = 1.0 / np.float64(g[start + j])
            else:
                for j in range(m):
                    y[j] = g[start + j]
            sum_x, sum_y = 0.0, 0.0
            for j in range(m):
                sum_x += x[j]
                sum_y += y[j]
            block_x, block_y = sum_x / m, sum_y / m
            sum_xx, sum_xy = 0.0, 0.0
            for j in range(m):
                centred = x[j] - block_x
                sum_xx += centred * centred
                sum_xy += centred * (y[j] - block_y)
            # Chan, Golub and LeVeque: means and centred sums of a union from those of its parts.
            total = n + m
            by_x, by_y = block_x - mean_x, block_y - mean_y
            xx += sum_xx + by_x * by_x * (n * m / total)
            xy += sum_xy + by_x * by_y * (n * m / total)
            mean_x += by_x * (m / total)
            mean_y += by_y * (m / total)
            n = total
        sums[chunk, 0] = n
        sums[chunk, 1] = mean_x
        sums[chunk, 2] = mean_y
        sums[chunk, 3] = xx
        sums[chunk, 4] = xy


def _metric_sums(p, g, stride, counts, first, last, modes, scale, shift, low, high, sums):  # type: ignore[no-untyped-def]
    invert, in_disparity, on_disparity = modes
    aligned, logs = np.empty(BLOCK), np.empty(BLOCK)
    for chunk in range(first, last):
        n, mean_log, spread_log = 0.0, 0.0, 0.0
        absolute_log, relative, squared_relative, relative_squared = 0.0, 0.0, 0.0, 0.0
        absolute, squared, inverse_squared = 0.0, 0.0, 0.0
        within1, within2, within3, beyond = 0, 0, 0, 0
        end = chunk * stride + counts[chunk]
        for start in range(chunk * stride, end, BLOCK):
            m = min(BLOCK, end - start)
            if invert:
                for j in range(m):
                    aligned[j] = min(max(scale * (1.0 / np.float64(p[start + j])) + shift, low), high)
            else:
                for j in range(m):
                    aligned[j] = min(max(scale * np.float64(p[start + j]) + shift, low), high)
            sum_log = 0.0
            for j in range(m):
                truth = np.float64(g[start + j])
                near = aligned[j]
                # One division gives both inverses.
                both = 1.0 / (near * truth)
                other, inverse_truth = both * truth, both * near
                if in_disparity:
                    z, d, ratio = other, near, both
                else:
                    z, d, ratio = near, other, near * inverse_truth
                if on_disparity:
                    error, weight, inverse_error = d - inverse_truth, truth, z - truth
                else:
                    error, weight, inverse_error = z - truth, inverse_truth, d - inverse_truth
                weighted = error * weight
                relative += abs(weighted)
                squared_relative += error * weighted
                relative_squared += weighted * weighted
                absolute += abs(error)
                squared += error * error
                inverse_squared += inverse_error * inverse_error
                within1 += (z < 1.25 * truth) & (truth < 1.25 * z)
                within2 += (z < 1.5625 * truth) & (truth < 1.5625 * z)
                within3 += (z < 1.953125 * truth) & (truth < 1.953125 * z)
                beyond += (z > 1.25 * truth) | (truth > 1.25 * z)
                log = _log(ratio)
                logs[j] = log
                sum_log += log
                absolute_log += abs(log)
            block_log = sum_log / m
            spread = 0.0
            for j in range(m):
                spread += (logs[j] - block_log) * (logs[j] - block_log)
            total = n + m
            by_log = block_log - mean_log
            spread_log += spread + by_log * by_log * (n * m / total)
            mean_log += by_log * (m / total)
            n = total
        sums[chunk, 0] = n
        sums[chunk, 1] = mean_log
        sums[chunk, 2] = spread_log
        sums[chunk, 3] = absolute_log
        sums[chunk, 4] = relative
        sums[chunk, 5] = squared_relative
        sums[chunk, 6] = relative_squared
        sums[chunk, 7] = absolute
        sums[chunk, 8] = squared
        sums[chunk, 9] = inverse_squared
        sums[chunk, 10] = within1
        sums[chunk, 11] = within2
        sums[chunk, 12] = within3
        sums[chunk, 13] = beyond


gather, select, fit_sums, metric_sums = Kernel(_gather), Kernel(_select), Kernel(_fit_sums), Kernel(_metric_sums)
