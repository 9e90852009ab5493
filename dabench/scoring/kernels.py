"""The compiled loops of scoring: gather valid pixels, select those that count, sum for a fit, sum for the metrics.

Every loop works on fixed chunks of ``rows`` rows and writes one row of results for each, which the caller merges in
order: the result does not depend on how many threads share the chunks. The pixels of row ``r`` are ``begin[r]:end[r]``
of the pixel arrays. The arithmetic is float64; of the fast-math flags only those that keep NaN and infinity are set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

BLOCK = 256
"""Pixels whose intermediate values live in the first-level cache at once."""

COUNTED = 7
"""Columns of ``select``: pixels, non-finite and non-positive values, and ordered keys of the ends of g and of p."""

FITTED = 5
"""Columns of ``fit_sums``: pixels, mean x, mean y, sum (x - mean)^2, sum (x - mean)(y - mean)."""

SUMMED = 14
"""Columns of ``metric_sums``; see ``dabench.scoring.metrics.Column``."""

_LARGEST_BITS = np.int32(0x7F7FFFFF)
_INFINITY_BITS = np.int32(0x7F800000)
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}

# ln(m) = 2 atanh(s) = s (2 + 2 s^2 / 3 + 2 s^4 / 5 + ...), s = (m - 1) / (m + 1). On [sqrt(1/2), sqrt(2)] s^2 is below
# 0.0295, and what follows the eighth term is below 1e-15 of the sum.
_C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8 = (2.0 / k for k in range(3, 19, 2))
_LN2 = 0.693147180559945309417

# ln(1 + x) = 2 atanh(s) = s (2 + s^2 series(s^2)), s = x / (2 + x). The coefficients are a Chebyshev fit for a ratio
# between 1/3 and 3, where s^2 is at most 1/4 and the series adds a tenth: the logarithm is within 3e-11 of itself.
_S1, _S2, _S3, _S4 = 0.6666666665362131, 0.4000000669645457, 0.28570869251907477, 0.22239855381180623
_S5, _S6, _S7, _S8 = 0.1791215074515846, 0.1758165358755124, 0.03769652295386568, 0.3156005522578079
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


def _gather(values, depth, valid, rows, first, last, p, g, row_end):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    counts = np.empty(width, np.uint8)
    columns = np.empty(width, np.uint32)
    for chunk in range(first, last):
        for r in range(chunk * rows, min(height, (chunk + 1) * rows)):
            row_values, row_depth, row_valid = values[r], depth[r], valid[r]
            start = r * width
            for c in range(width):
                counts[c] = row_valid[c] & (row_depth[c] > 0)
            n = 0
            for c in range(width):
                n += counts[c]
            row_p, row_g = p[start : start + n], g[start : start + n]
            if n == width:
                for c in range(width):
                    row_p[c] = row_values[c]
                    row_g[c] = row_depth[c]
            elif n > 0:
                # Indices without a sign need no check for counting from the end.
                k = np.uint64(0)
                for c in range(width):
                    columns[k] = c
                    k += np.uint64(counts[c])
                for j in range(n):
                    row_p[j] = row_values[columns[j]]
                    row_g[j] = row_depth[columns[j]]
            row_end[r] = start + n


@numba.njit(**_OPTIONS)
def _count(depth: Any, valid: Any) -> int:
    n = 0
    for c in range(depth.size):
        n += valid[c] & (depth[c] > 0)
    return n


def _select(p, g, depth, valid, row_end, rows, box, limits, first, last, kept_p, kept_g, begin, end, counts):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    top, bottom, left, right = box
    # Floats in the order of integers: the comparisons of floats would not become vector instructions.
    bounds = limits.view(np.int32)
    low, high, clip = bounds[0], bounds[1], bounds[2]
    smallest, largest = np.int32(-2147483648), np.int32(2147483647)
    copy = kept_p.size > 0
    for chunk in range(first, last):
        n, bad, negative = 0, 0, 0
        nearest, farthest, lowest, highest = largest, smallest, largest, smallest
        for r in range(chunk * rows, min(height, (chunk + 1) * rows)):
            i, j = r * width, row_end[r]
            if r < top or r >= bottom:
                j = i
            elif j > i:
                if left > 0:
                    i += _count(depth[r, :left], valid[r, :left])
                if right < width:
                    j -= _count(depth[r, right:], valid[r, right:])
            row_p, row_g = p[i:j].view(np.int32), g[i:j].view(np.int32)
            if copy:
                into_p, into_g = kept_p[i:j].view(np.int32), kept_g[i:j].view(np.int32)
                m = np.uint64(0)
                for c in range(j - i):
                    d = min(row_g[c], clip)
                    into_p[m] = row_p[c]
                    into_g[m] = d
                    m += np.uint64((d >= low) & (d <= high))
                j = i + np.int64(m)
                row_p, row_g = into_p, into_g
            for c in range(j - i):
                nearest = min(nearest, row_g[c])
                farthest = max(farthest, row_g[c])
            for c in range(j - i):
                key = row_p[c] ^ ((row_p[c] >> 31) & largest)
                magnitude = row_p[c] & largest
                lowest = min(lowest, key)
                highest = max(highest, key)
                bad += magnitude > _LARGEST_BITS
                negative += (key <= 0) & (magnitude <= _INFINITY_BITS)
            begin[r], end[r] = i, j
            n += j - i
        counts[chunk, 0] = n
        counts[chunk, 1] = bad
        counts[chunk, 2] = negative
        counts[chunk, 3] = nearest
        counts[chunk, 4] = farthest
        counts[chunk, 5] = lowest
        counts[chunk, 6] = highest


def _fit_sums(p, g, begin, end, rows, first, last, invert, invert_target, sums):  # type: ignore[no-untyped-def]
    x, y = np.empty(BLOCK), np.empty(BLOCK)
    for chunk in range(first, last):
        n, mean_x, mean_y, xx, xy = 0.0, 0.0, 0.0, 0.0, 0.0
        for r in range(chunk * rows, min(begin.size, (chunk + 1) * rows)):
            for start in range(begin[r], end[r], BLOCK):
                m = min(BLOCK, end[r] - start)
                sum_x, sum_y = 0.0, 0.0
                source, target = p[start : start + m], g[start : start + m]
                if invert:
                    for j in range(m):
                        value = 1.0 / np.float64(source[j])
                        x[j] = value
                        sum_x += value
                else:
                    for j in range(m):
                        value = np.float64(source[j])
                        x[j] = value
                        sum_x += value
                if invert_target:
                    for j in range(m):
                        value = 1.0 / np.float64(target[j])
                        y[j] = value
                        sum_y += value
                else:
                    for j in range(m):
                        value = np.float64(target[j])
                        y[j] = value
                        sum_y += value
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


def _metric_sums(p, g, begin, end, rows, first, last, modes, scale, shift, low, high, sums):  # type: ignore[no-untyped-def]
    invert, in_disparity, on_disparity = modes
    compared, inverse, truth = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    weighted, logs = np.empty(BLOCK), np.empty(BLOCK)
    for chunk in range(first, last):
        n, origin, sum_log, squared_log = 0.0, 0.0, 0.0, 0.0
        absolute_log, relative, squared_relative, relative_squared = 0.0, 0.0, 0.0, 0.0
        absolute, squared, inverse_squared = 0.0, 0.0, 0.0
        within1, within2, within3, beyond = 0, 0, 0, 0
        for r in range(chunk * rows, min(begin.size, (chunk + 1) * rows)):
            for start in range(begin[r], end[r], BLOCK):
                m = min(BLOCK, end[r] - start)
                source, target = p[start : start + m], g[start : start + m]
                if invert:
                    for j in range(m):
                        compared[j] = min(max(scale * (1.0 / np.float64(source[j])) + shift, low), high)
                else:
                    for j in range(m):
                        compared[j] = min(max(scale * np.float64(source[j]) + shift, low), high)
                if in_disparity != on_disparity:
                    for j in range(m):
                        inverse[j] = compared[j]
                        compared[j] = 1.0 / compared[j]
                else:
                    for j in range(m):
                        inverse[j] = 1.0 / compared[j]
                if on_disparity:
                    for j in range(m):
                        truth[j] = 1.0 / np.float64(target[j])
                else:
                    for j in range(m):
                        truth[j] = target[j]
                for j in range(m):
                    u, v = compared[j], truth[j]
                    error = u - v
                    share = error / v
                    apart = share * inverse[j]  # 1/v - 1/u
                    relative += abs(share)
                    squared_relative += error * share
                    relative_squared += share * share
                    absolute += abs(error)
                    squared += error * error
                    inverse_squared += apart * apart
                    weighted[j] = share
                far_off = 0
                for j in range(m):
                    u, v = compared[j], truth[j]
                    smaller, larger = min(u, v), max(u, v)
                    within1 += larger < 1.25 * smaller
                    within2 += larger < 1.5625 * smaller
                    within3 += larger < 1.953125 * smaller
                    beyond += larger > 1.25 * smaller
                    far_off += larger > 3.0 * smaller
                if far_off:
                    for j in range(m):
                        logs[j] = _log(compared[j]) - _log(truth[j])
                else:
                    for j in range(m):
                        s = weighted[j] / (2.0 + weighted[j])
                        z = s * s
                        w = z * z
                        low_terms = (_S1 + _S2 * z) + w * (_S3 + _S4 * z)
                        high_terms = (_S5 + _S6 * z) + w * (_S7 + _S8 * z)
                        logs[j] = s * (2.0 + z * (low_terms + w * w * high_terms))
                if n == 0.0:
                    origin = logs[0]
                for j in range(m):
                    log = logs[j]
                    absolute_log += abs(log)
                    sum_log += log - origin
                    squared_log += (log - origin) * (log - origin)
                n += m
        mean_log = sum_log / max(n, 1.0)
        spread_log = max(squared_log - sum_log * mean_log, 0.0)
        mean_log += origin
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


def _count_edges(p, g, valid, ways, margins, thresholds, counts):  # type: ignore[no-untyped-def]
    """For each way, how many pairs of a pixel and its neighbour exceed exactly k thresholds: in both, in p, in g."""
    height, width = p.shape
    lowest, levels = thresholds[0], thresholds.size
    worth_a_look = np.empty(width, np.uint8)
    for way in range(ways.shape[0]):
        down, right, margin = ways[way, 0], ways[way, 1], margins[way]
        start, n = max(margin, -right), min(width - margin, width - right) - max(margin, -right)
        if n <= 0:
            continue
        for r in range(max(margin, -down), min(height - margin, height - down)):
            p0, g0, valid0 = p[r, start : start + n], g[r, start : start + n], valid[r, start : start + n]
            shifted = start + right
            p1, g1 = p[r + down, shifted : shifted + n], g[r + down, shifted : shifted + n]
            valid1 = valid[r + down, shifted : shifted + n]
            # Nearly all pairs are no edge in either map, which products show, many at a time.
            for c in range(n):
                worth_a_look[c] = (p1[c] > lowest * p0[c]) | (g1[c] > lowest * g0[c]) | (p0[c] <= 0.0)
            for c in range(n):
                if worth_a_look[c] and valid0[c] and valid1[c]:
                    in_p, in_g = 0, 0
                    p_ratio, g_ratio = p1[c] / p0[c], g1[c] / g0[c]
                    for k in range(levels):
                        in_p += p_ratio > thresholds[k]
                        in_g += g_ratio > thresholds[k]
                    counts[way, min(in_p, in_g), 0] += 1
                    counts[way, in_p, 1] += 1
                    counts[way, in_g, 2] += 1


gather, select, fit_sums, metric_sums = Kernel(_gather), Kernel(_select), Kernel(_fit_sums), Kernel(_metric_sums)
count_edges = Kernel(_count_edges)
