"""The look of all figures, and figures as inline SVG, SVG files and PDF: vectors, colour-blind safe, no pyplot."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dabench.errors import DabenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color universal design" (2008): told apart by every common kind of colour vision.
FIRST, SECOND, THIRD = "#0072B2", "#D55E00", "#009E73"
INK = "#0a0b0c"
"""Text and axes. In a page it becomes the page's own text colour, light or dark."""
GRID = "#8a8f98"
WIDTH, HEIGHT = 3.5, 2.5
"""Inches: one column of a paper."""


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for everything a report draws or saves."""
    import matplotlib

    settings: Any = {
        "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7, "xtick.labelsize": 7,
        "ytick.labelsize": 7, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK,
        "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
        "axes.spines.right": False, "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
        "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none", "legend.frameon": False,
        "lines.linewidth": 1.2, "lines.markersize": 4, "svg.fonttype": "path", "svg.hashsalt": "dabench",
        "pdf.fonttype": 42, "path.simplify": True, "image.composite_image": False, "axes.titlelocation": "left",
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        yield


def blank(width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """One figure with one pair of axes, laid out so that nothing overlaps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def light_grid(axes: Axes, axis: str = "both") -> None:
    """Thin lines behind the data."""
    axes.grid(True, axis=axis, color=GRID, alpha=0.25, linewidth=0.5)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def inline_svg(figure: Figure, name: str, words: str) -> str:
    """A figure as an ``<svg>`` element that can stand beside others in one page.

    Args:
        name: prefix of all ids in it; unique in the page.
        words: what it shows, for readers that do not see it.
    """
    from html import escape

    stream = io.BytesIO()
    with style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{name}-\2"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = text.replace(INK, "currentColor")
    text = re.sub(r"\n\s*", "\n", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(words, quote=True)}" ', 1)


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name.pdf`` and ``name.svg``.

    Raises:
        DabenchError: the folder cannot be written.
    """
    paths = [folder / f"{name}.{suffix}" for suffix in ("pdf", "svg")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with style():
            for path in paths:
                kept: dict[str, Any] = {"CreationDate": None} if path.suffix == ".pdf" else {"Date": None}
                figure.savefig(path, metadata=kept)
    except OSError as error:
        raise DabenchError(f"cannot write figures to {folder}: {error.strerror or error}") from error
    return paths
