"""Figures that need images and maps: by depth, by place in the image, by how hard a pair is."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dabench.reporting.report.figures import GRID, INK, SECOND, blank, light_grid, style
from dabench.reporting.report.measure import CELLS, DECADES, PER_DECADE, DenseMeasured, cell_edges
from dabench.reporting.report.plots import COLOURS, legend_above
from dabench.scoring.statistics import cluster_bootstrap_interval, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
FEWEST = 0.01
"""A range of depth that holds less than this share of the pixels is merged with its neighbour."""
RANGES, BINS = 10, 8


def depth_ranges(measured: DenseMeasured) -> list[tuple[float, float, float, tuple[float, float], float]]:
    """Ranges of true depth with about as many pixels each.

    Returns:
        For each range: its ends in metres, AbsRel of its pixels with a bootstrap interval over images, and its share of
        all pixels. Every image weighs 1.
    """
    top, bottom = np.array(measured.abs_rel), np.array(measured.weight)
    share = bottom.sum(axis=0) / bottom.sum()
    edges, ends = cell_edges(), [0]
    for cell in range(CELLS):
        held = share[ends[-1] : cell + 1].sum()
        if held >= 1 / RANGES:
            ends.append(cell + 1)
    last = share[ends[-1] :].sum()
    if last >= FEWEST or len(ends) == 1:
        ends.append(CELLS)
    elif last > 0:
        ends[-1] = CELLS
    found = []
    used = np.nonzero(share)[0]
    for start, stop in pairwise(ends):
        n, d = top[:, start:stop].sum(axis=1), bottom[:, start:stop].sum(axis=1)
        inside = d > 0
        low, high = edges[max(start, used[0])], edges[min(stop, used[-1] + 1)]
        interval = cluster_bootstrap_interval(n[inside], d[inside], draws=500)
        found.append((float(low), float(high), float(n.sum() / d.sum()), interval, float(d.sum() / bottom.sum())))
    return found


def by_depth(measured: Mapping[str, DenseMeasured]) -> Figure:
    """AbsRel against the true depth; one step a range, with a band for its interval."""
    with style():
        figure, axes = blank()
        for (name, one), colour in zip(measured.items(), COLOURS, strict=False):
            found = depth_ranges(one)
            edges = [found[0][0], *(entry[1] for entry in found)]
            axes.stairs([entry[2] for entry in found], edges, color=colour, baseline=None, linewidth=1.4,
                        label=name if len(measured) > 1 else None)  # fmt: skip
            for low, high, _, (lower, upper), _ in found:
                if np.isfinite(lower):
                    axes.fill_between([low, high], lower, upper, color=colour, alpha=0.2, linewidth=0)
        axes.set_xscale("log")
        plain_ticks(axes)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("true depth (m)")
        axes.set_ylabel("AbsRel of the pixels, 95 % band")
        light_grid(axes)
        if len(measured) > 1:
            legend_above(axes)
    return figure


def plain_ticks(axes: object) -> None:
    """Metres as 0.5, 10 and 200, never as powers."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    assert isinstance(axes, Axes)
    low, high = axes.get_xlim()
    within_a_decade = high / low < 30
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if within_a_decade else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def truth_against_prediction(measured: DenseMeasured) -> Figure:
    """Aligned depth against true depth, as densities of pixels; on the line they agree."""
    with style():
        figure, axes = blank(height=2.9)
        share = measured.joint / measured.joint.sum()
        seen = np.cumsum(share.sum(axis=1)), np.cumsum(share.sum(axis=0))
        low = min(int(np.searchsorted(s, 0.002)) for s in seen)
        high = max(int(np.searchsorted(s, 0.998)) for s in seen) + 1
        shown = share[low:high, low:high].T
        ends = [DECADES[0] + low / PER_DECADE, DECADES[0] + high / PER_DECADE]
        from matplotlib.colors import LogNorm

        norm = LogNorm(vmin=max(shown.max() / 1000, 1e-9), vmax=shown.max())
        picture = axes.imshow(
            np.ma.masked_equal(shown, 0), origin="lower", extent=(ends[0], ends[1], ends[0], ends[1]), cmap="cividis",
            norm=norm, interpolation="nearest", aspect="equal",
        )  # fmt: skip
        axes.plot(ends, ends, color=SECOND, linewidth=0.9, linestyle="--")
        exponents = [k for k in range(DECADES[0], DECADES[1] + 1) if ends[0] <= k <= ends[1]]
        marks = [10.0**k for k in exponents]
        if len(marks) < 3:
            marks = [m * 10.0**k for k in range(DECADES[0], DECADES[1]) for m in (1, 2, 5)]
            marks = [m for m in marks if ends[0] <= np.log10(m) <= ends[1]]
        for set_ticks in (axes.set_xticks, axes.set_yticks):
            set_ticks(list(np.log10(marks)), [f"{m:g}" for m in marks])
        axes.set_xlabel("true depth (m)")
        axes.set_ylabel("aligned prediction (m)")
        bar = figure.colorbar(picture, ax=axes, label="share of pixels", shrink=0.9)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def failing_share(failing: Floats, seen: Floats) -> np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float64]]:
    """Percent of failures by place in the image, ``[rows, columns]``; places hardly ever seen are masked."""
    rare = seen < 0.05 * seen.mean()
    return np.ma.masked_where(rare, 100 * failing / np.where(seen > 0, seen, 1))  # type: ignore[no-any-return, no-untyped-call]


def heat(failing: Floats, seen: Floats, label: str, most: float) -> Figure:
    """Share of failures by place in the image; places hardly ever seen stay empty.

    Args:
        failing, seen: ``[rows, columns]``.
        most: percent at the end of the colours, so that two models have the same.
    """
    with style():
        figure, axes = blank(height=2.6)
        share = failing_share(failing, seen)
        picture = axes.imshow(
            share, cmap="viridis", extent=(0, 1, 1, 0), interpolation="nearest", vmin=0, vmax=most, aspect=3 / 4
        )
        axes.set_xticks([0, 0.5, 1], ["left", "middle", "right"])
        axes.set_yticks([0, 0.5, 1], ["top", "middle", "bottom"])
        for spine in axes.spines.values():
            spine.set_visible(True)
        bar = figure.colorbar(picture, ax=axes, label=label, shrink=0.9)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def reliability(x: Mapping[str, Floats], correct: Mapping[str, Floats], label: str) -> Figure:
    """Accuracy against how easy a pair looks: bins of as many pairs each, at their median, with Wilson intervals.

    Args:
        x: by model, ``[N]`` finite: what the pairs are ordered by.
        correct: by model, ``[N]``.
    """
    with style():
        figure, axes = blank()
        for at, ((name, values), colour) in enumerate(zip(x.items(), COLOURS, strict=False)):
            order = np.argsort(values, kind="stable")
            parts = [part for part in np.array_split(order, min(BINS, max(1, len(order) // 10))) if part.size]
            middle = [float(np.median(values[part])) for part in parts]
            right = [float(correct[name][part].sum()) for part in parts]
            bounds = [wilson_interval(k, part.size) for k, part in zip(right, parts, strict=True)]
            share = [100 * k / part.size for k, part in zip(right, parts, strict=True)]
            for place, (low, high) in zip(middle, bounds, strict=True):
                axes.plot([place, place], [100 * low, 100 * high], color=colour, alpha=0.5, linewidth=1)
            marker = "os"[at]
            axes.plot(middle, share, marker=marker, color=colour, label=name if len(x) > 1 else None)
        axes.axhline(50, color=GRID, linewidth=0.7, linestyle=":")
        axes.annotate("coin flip", (0.99, 50), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6,
                      color=INK)  # fmt: skip
        axes.set_xlim(left=0)
        axes.set_ylim(0, 103)
        axes.set_xlabel(label)
        axes.set_ylabel("pair accuracy (%)")
        light_grid(axes)
        if len(x) > 1:
            legend_above(axes)
    return figure
