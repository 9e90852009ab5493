"""Figures that need the records only: distributions, groups, fits, speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dabench.reporting.report.figures import FIRST, GRID, INK, SECOND, blank, light_grid, style
from dabench.reporting.report.words import SHARES, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
COLOURS = (FIRST, SECOND)
SPREAD = 30.0
"""From this ratio of the largest to the typical value on, an axis is logarithmic."""


def logarithmic(values: Floats) -> bool:
    """Whether positive values spread so far that a plain axis would hide most of them."""
    return bool(values.size > 1 and values.min() > 0 and values.max() > SPREAD * np.median(values))


def distribution(metric: str, values: Mapping[str, Floats]) -> Figure:
    """Histogram of a metric over images, with the median; one outline for each model.

    Args:
        values: by model, ``[N]`` finite.
    """
    with style():
        figure, axes = blank()
        together = np.concatenate(list(values.values()))
        many = int(np.clip(round(2 * len(together) ** (1 / 2)), 10, 40))
        low, high = float(together.min()), float(together.max())
        if logarithmic(together):
            bins = np.geomspace(low, high, many + 1)
            axes.set_xscale("log")
        else:
            bins = np.linspace(low, high if high > low else low + 1e-6, many + 1)
        for (name, found), colour in zip(values.items(), COLOURS, strict=False):
            label = f"median {np.median(found):.3g}" if len(values) == 1 else f"{name}, median {np.median(found):.3g}"
            axes.hist(found, bins=list(bins), color=colour, alpha=0.35, histtype="stepfilled")
            axes.hist(found, bins=list(bins), color=colour, histtype="step")
            axes.axvline(float(np.median(found)), color=colour, linestyle="--", label=label)
        axes.set_xlabel(f"{title(metric)} of an image")
        axes.set_ylabel("images")
        light_grid(axes, "y")
        legend_above(axes)
    return figure


def legend_above(axes: Axes) -> None:
    """A legend over the axes, where it covers no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=1, borderaxespad=0.2, handlelength=1.6)


def wrong_pairs(counts: Mapping[str, Floats]) -> Figure:
    """How many images have how many wrong pairs.

    Args:
        counts: by model, ``[N]`` wrong pairs of each image; halves are rounded up.
    """
    with style():
        figure, axes = blank()
        most = int(min(6, max(1, *(np.ceil(wrong).max(initial=0) for wrong in counts.values()))))
        width = 0.8 / len(counts)
        for at, ((name, wrong), colour) in enumerate(zip(counts.items(), COLOURS, strict=False)):
            binned = np.bincount(np.minimum(np.ceil(wrong), most).astype(int), minlength=most + 1)
            place = np.arange(most + 1) + (at - (len(counts) - 1) / 2) * width
            axes.bar(place, binned, width, color=colour, label=name if len(counts) > 1 else None)
        axes.set_xticks(range(most + 1), [*map(str, range(most)), f"{most}{'+' if most == 6 else ''}"])
        axes.set_xlabel("wrong pairs in an image")
        axes.set_ylabel("images")
        light_grid(axes, "y")
        if len(counts) > 1:
            legend_above(axes)
    return figure


def groups(metric: str, summaries: Mapping[str, Mapping[str, Any]]) -> Figure:
    """The metric of each group with its 95 % interval, and of all as a line; worst group on top.

    Args:
        summaries: by model, the content of ``summary.json``.
    """
    scale = 100.0 if metric in SHARES else 1.0
    first = next(iter(summaries.values()))["groups"]
    known = [name for name in first if first[name]["metrics"][metric]["value"] is not None]
    names = sorted(known, key=lambda name: first[name]["metrics"][metric]["value"])
    with style():
        figure, axes = blank(height=0.9 + 0.22 * len(names))
        for at, ((model, summary), colour) in enumerate(zip(summaries.items(), COLOURS, strict=False)):
            offset = 0.16 * (at - (len(summaries) - 1) / 2) * 2
            for row, name in enumerate(names):
                entry = summary["groups"].get(name, {}).get("metrics", {}).get(metric)
                if entry is None or entry["value"] is None:
                    continue
                low, high = (entry["value"] if v is None else v for v in entry["ci95"])
                axes.plot([scale * low, scale * high], [row + offset] * 2, color=colour, alpha=0.6)
                axes.plot(scale * entry["value"], row + offset, "os"[at], color=colour)
            total = summary["metrics"][metric]["value"]
            if total is not None:
                label = "all" if len(summaries) == 1 else f"{model}, all"
                axes.axvline(scale * total, color=colour, linestyle="--", linewidth=0.8, label=label)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel(f"{title(metric)}{' (%)' if scale != 1 else ''}, 95 % interval")
        light_grid(axes, "x")
        legend_above(axes)
    return figure


def fits(lines: Sequence[Mapping[str, Any]], space: str) -> Figure | None:
    """Scale and shift of every image's alignment; None where nothing was fitted.

    A model whose scale jumps from image to image is far from being consistent; a negative scale means that near and far
    were exchanged.
    """
    found = [line["fit"] for line in lines if line.get("fit") and line["fit"]["scale"] is not None]
    if not found or all(fit["scale"] == found[0]["scale"] and fit["shift"] == found[0]["shift"] for fit in found):
        return None
    scale = np.array([fit["scale"] for fit in found], dtype=np.float64)
    shift = np.array([0.0 if fit["shift"] is None else fit["shift"] for fit in found], dtype=np.float64)
    negative = scale < 0
    with style():
        figure, axes = blank()
        axes.axhline(0, color=GRID, linewidth=0.6)
        axes.axvline(0, color=GRID, linewidth=0.6)
        size = float(np.clip(600 / len(found), 2, 14))
        label = f"scale > 0 ({int((~negative).sum())} images)"
        axes.scatter(scale[~negative], shift[~negative], s=size, color=FIRST, alpha=0.6, linewidths=0, label=label,
                     rasterized=len(found) > 1500)  # fmt: skip
        if negative.any():
            label = f"scale ≤ 0 ({int(negative.sum())} images)"
            axes.scatter(scale[negative], shift[negative], s=size + 6, color=SECOND, marker="x", linewidths=0.9,
                         label=label)  # fmt: skip
        for values, set_scale in ((scale, axes.set_xscale), (shift, axes.set_yscale)):
            typical = float(np.median(np.abs(values)))
            if typical > 0 and np.abs(values).max() > SPREAD * typical:
                set_scale("symlog", linthresh=typical)
        axes.set_xlabel(f"scale of the fit in {space}")
        axes.set_ylabel("shift of the fit")
        legend_above(axes)
    return figure


def speed(seconds: Mapping[str, Floats]) -> Figure:
    """Milliseconds an image, as the share of images that took at most so long."""
    with style():
        figure, axes = blank()
        for (name, found), colour in zip(seconds.items(), COLOURS, strict=False):
            ordered = 1000 * np.sort(found)
            label = f"{name + ', ' if len(seconds) > 1 else ''}median {np.median(ordered):.3g} ms"
            if len(ordered) > 400:
                ordered = np.quantile(ordered, np.linspace(0, 1, 401))
            axes.step(ordered, 100 * np.arange(1, len(ordered) + 1) / len(ordered), where="post", color=colour,
                      label=label)  # fmt: skip
        together = np.concatenate(list(seconds.values()))
        if together.min() > 0 and together.max() > SPREAD * together.min():
            axes.set_xscale("log")
        axes.set_xlabel("milliseconds for an image")
        axes.set_ylabel("images (%)")
        axes.set_ylim(0, 102)
        light_grid(axes)
        legend_above(axes)
    return figure


def agreement(metric: str, names: tuple[str, str], a: Floats, b: Floats) -> Figure:
    """One point an image: the metric of two models; on the diagonal they agree."""
    with style():
        figure, axes = blank(height=3.0)
        together = np.concatenate([a, b])
        low, high = float(together.min()), float(together.max())
        axes.plot([low, high], [low, high], color=INK, linewidth=0.7, linestyle="--")
        axes.scatter(a, b, s=float(np.clip(800 / len(a), 2, 14)), color=FIRST, alpha=0.6, linewidths=0,
                     rasterized=len(a) > 1500)  # fmt: skip
        if logarithmic(together):
            axes.set_xscale("log")
            axes.set_yscale("log")
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel(f"{title(metric)}, {names[0]}")
        axes.set_ylabel(f"{title(metric)}, {names[1]}")
        light_grid(axes)
    return figure


def differences(metric: str, names: tuple[str, str], apart: Floats) -> Figure:
    """Histogram of the second model's value minus the first one's, image by image."""
    with style():
        figure, axes = blank()
        reach = float(np.quantile(np.abs(apart), 0.99)) or 1e-6
        beyond = int((np.abs(apart) > reach).sum())
        bins = np.linspace(-reach, reach, 32)
        axes.hist(np.clip(apart, -reach, reach), bins=list(bins), color=FIRST, alpha=0.6)
        axes.axvline(0, color=INK, linewidth=0.7)
        axes.axvline(float(apart.mean()), color=SECOND, linestyle="--", label=f"mean {apart.mean():+.3g}")
        axes.set_xlabel(
            f"{title(metric)}: {names[1]} − {names[0]}" + (f"\n({beyond} beyond the ends)" if beyond else "")
        )
        axes.set_ylabel("images")
        light_grid(axes, "y")
        legend_above(axes)
    return figure
