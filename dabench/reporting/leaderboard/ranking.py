"""Ranks that the numbers support: a set of ranks, not one, where two models cannot be told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dabench.reporting.leaderboard.table import (
    KINDS,
    NOT_EVERYWHERE,
    Cell,
    Column,
    Row,
    Table,
    higher_is_better,
    shown_published,
)

Rank = tuple[float, float]
Comparison = Callable[[Column, Sequence[Row]], list[Rank] | None]


def overlap_ranks(cells: Sequence[Cell], *, higher: bool) -> list[Rank]:
    """Lowest and highest rank of each value, 1 for the best.

    One model is before another when its whole 95 % interval is on the better side of the other's. Overlapping
    intervals leave the order open, which is cautious: a paired test of the same samples can still tell two models
    apart that share a rank here. A value without an interval counts as a point.
    """
    spans = [(c.value if c.low is None else c.low, c.value if c.high is None else c.high) for c in cells]
    if not higher:
        spans = [(-high, -low) for low, high in spans]
    return [
        (1 + sum(other[0] > span[1] for other in spans), len(spans) - sum(other[1] < span[0] for other in spans))
        for span in spans
    ]


def printed_ranks(values: Sequence[str], numbers: Sequence[float], *, higher: bool) -> list[Rank]:
    """Ranks of published values: those printed alike share the best of their ranks."""
    keys = [round(number, 9) for number in numbers]
    return [
        (1 + sum((other > key) if higher else (other < key) for other, text in zip(keys, values, strict=True)
                 if text != mine),) * 2
        for key, mine in zip(keys, values, strict=True)
    ]  # fmt: skip


def ranked(table: Table, compared: Comparison | None = None) -> Table:
    """The table with ranks and in order.

    Args:
        table: rows without ranks.
        compared: ranks of measured rows from their samples; None, or where it gives None, by overlap of intervals.

    Measured rows are ranked among measured ones and printed numbers among printed ones, because an interval and a
    printed value do not answer the same question. Over several datasets the rank is the mean of the ranks, for rows
    that are on all of them; for measured rows, on all that dabench has a protocol for.
    """
    rows: list[Row] = []
    for kinds in (KINDS[:1], KINDS[1:]):
        datasets = table.datasets
        if kinds == KINDS[:1] and table.protocols:
            datasets = [dataset for dataset in datasets if dataset in table.protocols]
        primary = [table.primary(dataset) for dataset in datasets]
        members = [row for row in table.rows if row.kind in kinds]
        members = [
            row if row.unranked or all(column in row.cells for column in primary)
            else replace(row, unranked=NOT_EVERYWHERE)
            for row in members
        ]  # fmt: skip
        chosen = [row for row in members if not row.unranked]
        ranks: list[list[Rank]] = []
        for column in primary:
            cells, higher = [row.cells[column] for row in chosen], higher_is_better(column.metric)
            if kinds == KINDS[:1]:
                tested = compared(column, chosen) if compared else None
                ranks.append(overlap_ranks(cells, higher=higher) if tested is None else tested)
            else:
                texts = [shown_published(column.metric, cell.value) for cell in cells]
                ranks.append(printed_ranks(texts, [cell.value for cell in cells], higher=higher))
        for place, row in enumerate(chosen):
            lows, highs = zip(*(column[place] for column in ranks), strict=True)
            chosen[place] = replace(row, rank=(sum(lows) / len(lows), sum(highs) / len(highs)))
        first = primary[0]
        sign = -1.0 if higher_is_better(first.metric) else 1.0

        def place_of(row: Row, first: object = first, sign: float = sign) -> tuple[float, float, float, str]:
            low, high = row.rank or (float("inf"), float("inf"))
            value = next((sign * cell.value for column, cell in row.cells.items() if column == first), float("inf"))
            return (low + high if row.rank else low, low, value, row.model)

        rows += sorted(chosen + [row for row in members if row.unranked], key=place_of)
    return replace(table, rows=rows)
