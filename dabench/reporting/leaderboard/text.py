"""Tables as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from dabench.reporting.leaderboard.table import (
    Column,
    Row,
    Table,
    higher_is_better,
    mark,
    metric_title,
    shown_cell,
    shown_interval,
    shown_rank,
)

INTERVAL_NOTE = (
    "A rank such as 1–3 says that the samples leave these ranks possible, at 95 % for a whole table. Measured rows are "
    "ranked among measured ones, printed rows among printed ones; runs of a part of the data or of incomplete coverage "
    "have no rank. Over several datasets the rank is the mean of the ranks."
)
FIXED = ("table", "rank_low", "rank_high", "unranked", "model", "model_id", "kind", "parameters_millions", "licence",
         "median_seconds", "device", "protocol", "dataset", "scene", "metric", "value", "ci95_low", "ci95_high",
         "source", "note")  # fmt: skip


def markdown(tables: Sequence[Table], *, heading: str = "Leaderboard", ranks: bool = True) -> str:
    """One Markdown document; measured rows are marked and carry intervals."""
    lines = [f"# {heading}", "", *([INTERVAL_NOTE, ""] if ranks else [])]
    for table in tables:
        lines += [f"## {table.title}", ""]
        if table.about:
            lines += [table.about, ""]
        if names := list(dict.fromkeys(table.protocols.values())):
            lines += [f"Protocol: {', '.join(f'`{name}`' for name in names)}", ""]
        lines += [*_markdown_table(table, ranks), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(table: Table, ranks: bool) -> list[str]:
    several = len(table.datasets) > 1
    best = {column: table.best(column) for column in table.shown}
    filled: list[tuple[str, str, list[str]]] = [
        ("rank", "---:", [_rank(row) for row in table.rows] if ranks else []),
        ("model", "---", [f"`{row.model}`" if row.kind == "measured" else row.model for row in table.rows]),
        ("kind", "---", [f"**{row.kind}**" if row.kind == "measured" else row.kind for row in table.rows]),
        *(
            (column_title(column, several), "---:", [_cell(row, column, best[column]) for row in table.rows])
            for column in table.shown
        ),
        ("params (M)", "---:", [shown_parameters(row) for row in table.rows]),
        ("licence", "---", [row.licence or "" for row in table.rows]),
        ("ms / image", "---:", [shown_speed(row) for row in table.rows]),
    ]
    filled = [column for column in filled if any(column[2])]
    rows = zip(*(column[2] for column in filled), strict=True)
    return [
        "| " + " | ".join(column[0] for column in filled) + " |",
        "|" + "".join(f"{column[1]}|" for column in filled),
        *("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows),
    ]


def _rank(row: Row) -> str:
    return f"- ({row.unranked})" if row.unranked else shown_rank(row)


def _cell(row: Row, column: Column, best: tuple[str | None, str | None]) -> str:
    text, interval = shown_cell(row, column), shown_interval(row, column)
    marked = mark(row, column, best)
    text = f"**{text}**" if marked == "best" else f"<u>{text}</u>" if marked == "second" else text
    return f"{text} [{interval}]" if interval else text


def column_title(column: Column, several: bool) -> str:
    """Title of a column where the table has one heading row."""
    arrow = "" if column.scene else " ↑" if higher_is_better(column.metric) else " ↓"
    title = column.title + arrow
    return f"{column.dataset} {title}" if several and column.dataset else title


def shown_parameters(row: Row) -> str:
    """Millions of parameters."""
    return "" if row.parameters is None else f"{row.parameters:.1f}"


def shown_speed(row: Row) -> str:
    """Median time of a prediction in milliseconds as measured, and where."""
    return f"{1e3 * row.seconds:.3g} ({row.device})" if row.seconds else ""


def _flat(table: Table) -> list[dict[str, Any]]:
    found = []
    for row in table.rows:
        low, high = row.rank or (None, None)
        for column in table.columns:
            if column not in row.cells:
                continue
            cell = row.cells[column]
            values = (
                table.key, low, high, row.unranked, row.model, row.model_id, row.kind, row.parameters, row.licence,
                row.seconds, row.device, table.protocols.get(column.dataset, ""), column.dataset, column.scene,
                column.metric, cell.value, cell.low, cell.high, row.source, row.note,
            )  # fmt: skip
            found.append(dict(zip(FIXED, values, strict=True)))
    return found


def comma_separated(tables: Sequence[Table]) -> str:
    """One line a number, with everything that is known of it; every column, also those that no page shows."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIXED, lineterminator="\n")
    writer.writeheader()
    for table in tables:
        writer.writerows(_flat(table))
    return stream.getvalue()


def as_json(tables: Sequence[Table]) -> str:
    """Tables, rows and values, nested; every column."""
    content = [
        {
            "table": table.key,
            "title": table.title,
            "about": table.about,
            "protocols": dict(table.protocols),
            "rows": [_row(table, row) for row in table.rows],
        }
        for table in tables
    ]
    return json.dumps({"schema": 1, "tables": content}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row(table: Table, row: Row) -> dict[str, Any]:
    return {
        "model": row.model,
        "model_id": row.model_id,
        "kind": row.kind,
        "rank": None if row.rank is None else list(row.rank),
        "unranked": row.unranked,
        "parameters_millions": row.parameters,
        "licence": row.licence,
        "median_seconds": row.seconds,
        "device": row.device,
        "source": row.source,
        "note": row.note,
        "values": [
            {
                "dataset": column.dataset,
                "scene": column.scene,
                "metric": column.metric,
                "title": metric_title(column.metric),
                "value": row.cells[column].value,
                "ci95": [row.cells[column].low, row.cells[column].high],
            }
            for column in table.columns
            if column in row.cells
        ],
    }
