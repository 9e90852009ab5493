"""The page's plots, from results alone. Colours are Okabe and Ito's, which colour-blind people can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from .arms import ERRORS, TRIMS, WEIGHTS, name_with_errors, name_with_weight
from .decide import Comparison, Estimate, Finding, Results, better, level
from .measure import TITLES

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "claims",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def save(figure: Figure, path: Path) -> None:
    """As PNG."""
    figure.savefig(path, dpi=110, metadata={"Software": None})


def draw_differences(findings: Sequence[Finding], path: Path) -> None:
    """Every number that decides, as a point with its interval; right of 0 is better for the claim."""
    rows = [(f.hypothesis, c) for f in findings for c in f.deciding]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 0.8 + 0.36 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for row, (_, comparison) in enumerate(rows):
            e, way = comparison.estimate, comparison.direction
            points = sorted((100 * way * e.low, 100 * way * e.high))
            colour = {1: GREEN, 0: GREY, -1: ORANGE}[e.sign * way]
            axes.plot(points, [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot([100 * way * seed for seed in e.seeds], [row] * len(e.seeds), "|", color=colour, markersize=11)
            axes.plot([100 * way * e.mean], [row], "o", color=colour, markersize=5)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [f"{name}  {_short(comparison)}" for name, comparison in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("hundredths; right of 0 is as the claim says")
        save(figure, path)


def draw_gradient(results: Results, path: Path) -> None:
    """Edges and AbsRel over the gradient weight, on clean and on noisy labels."""
    curves = (("S", "S", BLUE, "o", "clean labels (S), on S"), ("R-noisy", "R", ORANGE, "s", "noisy labels (R), on R"))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 2.9), layout="constrained")
        for axes, metric in zip(figure.subplots(1, 2), ("boundary_f1", "abs_rel"), strict=True):
            for kind, test, colour, marker, title in curves:
                levels = [level(results, name_with_weight(kind, weight), test, metric) for weight in WEIGHTS]
                _line(axes, range(len(WEIGHTS)), levels, colour, marker, title)
            axes.set_xticks(range(len(WEIGHTS)), [f"{weight:g}" for weight in WEIGHTS])
            axes.set_xlabel("weight of the gradient term")
            axes.set_title(
                f"{TITLES[metric]} ({'higher' if metric == 'boundary_f1' else 'lower'} is better)", fontsize=9
            )
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        save(figure, path)


def draw_trimming(results: Results, path: Path) -> None:
    """What leaving out the largest losses gains at each share of wrong labels."""
    looks = dict(zip(TRIMS[1:], ((BLUE, "o", -0.06), (ORANGE, "s", 0.06)), strict=True))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 2.9), layout="constrained")
        for axes, metric in zip(figure.subplots(1, 2), ("delta1", "boundary_f1"), strict=True):
            for trim, (colour, marker, aside) in looks.items():
                gains = [
                    better(results, name_with_errors(e, trim), name_with_errors(e, 0.0), "R", metric).estimate
                    for e in ERRORS
                ]
                places = [place + aside for place in range(len(ERRORS))]
                _line(axes, places, gains, colour, marker, f"{100 * trim:g} % left out", scale=100)
            axes.axhline(0, color="black", linewidth=0.8)
            axes.set_xticks(range(len(ERRORS)), [f"{e} %" for e in ERRORS])
            axes.set_xlabel("pixels with a wrong label")
            axes.set_title(f"gain in {TITLES[metric]} on R, hundredths", fontsize=9)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        save(figure, path)


def _line(
    axes: Any,
    places: Sequence[float] | range,
    levels: Sequence[Estimate],
    colour: str,
    marker: str,
    title: str,
    scale: float = 1.0,
) -> None:
    means = [scale * e.mean for e in levels]
    down = [scale * (e.mean - e.low) for e in levels]
    up = [scale * (e.high - e.mean) for e in levels]
    axes.errorbar(
        list(places), means, yerr=[down, up], color=colour, marker=marker, markersize=4.5, capsize=3, linewidth=1.3,
        label=title,
    )  # fmt: skip


def _short(comparison: Comparison) -> str:
    return f"{TITLES[comparison.metric]} on {comparison.test}: {comparison.what}"
