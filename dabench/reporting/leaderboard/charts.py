"""Charts of a leaderboard as SVG without a style of their own: colours come from the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from dabench.reporting.leaderboard.table import (
    SCENES,
    SHARES,
    Cell,
    Column,
    Row,
    Table,
    excluded,
    higher_is_better,
    metric_title,
    shown_cell,
)

WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 34
FONT = 5.4
"""Width of a character of the labels, in the units of the drawing."""
LABELLED = 30
Box = tuple[float, float, float, float]


def scatter(table: Table, column: Column, across: Callable[[Row], float | None], x_title: str) -> str:
    """A metric of all rows against a size or a time, on a logarithmic axis.

    Args:
        table: whose rows to draw; those that may not be ranked are left out.
        column: the metric upward; 95 % intervals as bars.
        across: value to the right of a row, positive, or None.
        x_title: what that is, with its unit.

    Returns:
        ``<svg>``; empty with fewer than two rows.
    """
    points = [(x, row.cells[column], row) for row in table.rows
              if column in row.cells and not excluded(row) and (x := across(row))]  # fmt: skip
    if len(points) < 2:
        return ""
    scale = 100.0 if column.metric in SHARES else 1.0
    lows = [scale * (cell.value if cell.low is None else cell.low) for _, cell, _ in points]
    highs = [scale * (cell.value if cell.high is None else cell.high) for _, cell, _ in points]
    ticks = nice_ticks(min(lows), max(highs))
    logs = [math.log10(x) for x, _, _ in points]
    margin = max(0.25, 0.12 * (max(logs) - min(logs)))
    first, last = min(logs) - margin, max(logs) + margin

    def across_at(log: float) -> float:
        return LEFT + (log - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def up_at(value: float) -> float:
        return HEIGHT - BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM)

    title = f"{metric_title(column.metric)} {'↑' if higher_is_better(column.metric) else '↓'}"
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}, {escape(x_title)}">']
    decades = [(decade, across_at(math.log10(decade))) for decade in _log_ticks(first, last)]
    grid = [f"M{LEFT} {up_at(tick):.0f}H{WIDTH - RIGHT}" for tick in ticks]
    grid += [f"M{x:.0f} {TOP}V{HEIGHT - BOTTOM}" for _, x in decades]
    parts.append(f'<path class="g" d="{"".join(grid)}"/><g class="x e">')
    parts += [f'<text x="{LEFT - 5}" y="{up_at(tick) + 3:.0f}">{tick:g}</text>' for tick in ticks]
    parts.append('</g><g class="x c">')
    parts += [f'<text x="{x:.0f}" y="{HEIGHT - BOTTOM + 12}">{decade:g}</text>' for decade, x in decades]
    parts.append("</g>")
    parts.append(f'<text class="x e" x="{WIDTH - RIGHT}" y="{HEIGHT - 5}">{escape(x_title)}</text>')
    placed = [(across_at(math.log10(x)), up_at(scale * cell.value), cell, row) for x, cell, row in points]
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y, _, _ in placed]
    for x, y, cell, row in placed:
        if cell.low is not None and cell.high is not None:
            top, foot = up_at(scale * cell.high), up_at(scale * cell.low)
            parts.append(f'<path class="measured-l" d="M{x:.0f} {top:.0f}V{foot:.0f}"/>')
        tip = f"{row.model}: {shown_cell(row, column)}"
        where = f'class="{row.kind}-p" cx="{x:.0f}" cy="{y:.0f}" r="4"'
        parts.append(f"<circle {where}><title>{escape(tip)}</title></circle>")
    for x, y, _, row in placed:
        parts.append(_label(short_name(row.model), x, y, taken))
    return "".join([*parts, "</svg>"])


def _label(text: str, x: float, y: float, taken: list[Box]) -> str:
    """The label of a point beside it where it covers nothing; empty where there is no room."""
    width = FONT * len(text)
    for left, base, anchor in (
        (x + 7, y + 3, ""), (x - 7 - width, y + 3, "e"), (x - width / 2, y - 8, "c"), (x - width / 2, y + 15, "c"),
    ):  # fmt: skip
        box = (left, base - 9, left + width, base + 2)
        inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM
        if inside and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            taken.append(box)
            at = {"": left, "e": left + width, "c": x}[anchor]
            side = f' class="{anchor}"' if anchor else ""
            return f'<text{side} x="{at:.0f}" y="{base:.0f}">{escape(text)}</text>'
    return ""


def short_name(model: str) -> str:
    """A model's name as short as a chart needs it."""
    text = model
    for long, short in (("Depth Anything", "DA"), ("depth-anything", "da"), ("labeled synthetic only", "synthetic")):
        text = text.replace(long, short)
    return text if len(text) <= LABELLED else text[: LABELLED - 1] + "…"


def scene_bars(row: Row, columns: Sequence[Column], top: float) -> str:
    """A row's scenes as bars from 0 to ``top`` (in the metric's own unit), with 95 % intervals where measured."""
    known = [column for column in columns if column in row.cells]
    if not known:
        return ""
    step, left, right = 17, 72, 40
    height, width = step * len(known) + 4, 260
    length = width - left - right
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(row.model)}, by scene">']
    for place, column in enumerate(known):
        cell: Cell = row.cells[column]
        y = step * place + 2
        end = min(cell.value / top, 1.0) * length
        name = SCENES.get(column.scene, column.scene)
        parts.append(f'<text class="x e" x="{left - 6}" y="{y + 11}">{escape(name)}</text>')
        parts.append(f'<rect class="{row.kind}-b" x="{left}" y="{y + 2}" width="{end:.0f}" height="11"/>')
        if cell.low is not None and cell.high is not None:
            low, high = (left + min(v / top, 1.0) * length for v in (cell.low, cell.high))
            ends = f"M{low:.1f} {y + 5}v5M{high:.1f} {y + 5}v5"
            parts.append(f'<path class="i" d="M{low:.1f} {y + 7.5}H{high:.1f}{ends}"/>')
        parts.append(f'<text x="{width - right + 6}" y="{y + 11}">{shown_cell(row, column)}</text>')
    return "".join([*parts, "</svg>"])


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that span ``low`` to ``high``."""
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * count >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * place, 10) for place in range(first, max(last, first + 1) + 1)]


def _log_ticks(first: float, last: float) -> list[float]:
    wide = last - first > 1.5
    exponents = range(math.floor(first), math.ceil(last) + 1)
    values = [factor * 10.0**exponent for exponent in exponents for factor in ((1,) if wide else (1, 2, 5))]
    return [value for value in values if first <= math.log10(value) <= last]
