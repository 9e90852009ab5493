"""A leaderboard as one HTML page that needs nothing else: no request, no library, no style or script from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from itertools import groupby

from dabench.protocols import Protocol
from dabench.protocols.describe import description, steps
from dabench.reporting.leaderboard.build import DATASETS, protocols_of
from dabench.reporting.leaderboard.charts import scatter, scene_bars
from dabench.reporting.leaderboard.table import (
    KINDS,
    SHARES,
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
from dabench.reporting.leaderboard.text import INTERVAL_NOTE, shown_parameters, shown_speed

BAR_ROWS = 8
CHARTED = 6
"""A table over more datasets than this has no charts."""
KIND_WORDS = {
    "measured": "by dabench, from records, with 95 % intervals",
    "published": "printed by authors",
    "reproduced": "printed by a third party that ran the model",
}


def html(tables: Sequence[Table], *, heading: str = "Leaderboard", ranks: bool = True) -> str:
    """The page. It reads well without its script; the script sorts, filters and shows words on hover.

    End tags that HTML lets one leave out (cells, rows) are left out: a table of numbers is half the size.
    """
    style, script = _asset("style.css"), _asset("script.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    datasets = list(dict.fromkeys(name for table in tables for name in table.datasets if name))
    datasets.sort(key=lambda name: (DATASETS.index(name) if name in DATASETS else len(DATASETS), name))
    kinds = [kind for kind in KINDS if any(row.kind == kind for table in tables for row in table.rows)]
    boxes = "".join(f'<label><input type="checkbox" data-kind="{kind}" checked> {kind}</label>' for kind in kinds)
    options = "".join(f"<option>{escape(name)}</option>" for name in datasets)
    legend = "; ".join(f"<b>{kind}</b>: {KIND_WORDS[kind]}" for kind in kinds)
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<title>{escape(heading)}</title><link rel="icon" href="data:,"><style>{style}</style></head><body>',
        f'<header><h1>{escape(heading)}</h1><p class="soft">{legend}.</p>',
        f'<p class="about">{escape(INTERVAL_NOTE)}</p></header>' if ranks else "</header>",
        '<nav hidden aria-label="Filter"><div><input type="search" id="filter" placeholder="Filter models, licences, '
        f'tables" aria-label="Filter rows"><select id="dataset" aria-label="Dataset"><option value="">all datasets'
        f'</option>{options}</select>{boxes}<button id="theme" type="button">dark / light</button></div></nav>',
        '<main><p id="none" hidden>Nothing matches the filter.</p>\n',
        *(_section(table, ranks) for table in tables),
        _protocols(protocols_of(tables)),
        "</main>\n<footer>Made by <code>dabench leaderboard</code> from records and published tables.</footer>",
        f"<script>{script}</script></body></html>\n",
    ]
    return "".join(parts)


def _asset(name: str) -> str:
    return (resources.files("dabench.reporting.leaderboard") / "page" / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _section(table: Table, ranks: bool) -> str:
    names = list(dict.fromkeys(table.protocols.values()))
    links = ", ".join(f'<a class="p" href="#p-{escape(name)}">{escape(name)}</a>' for name in names)
    return "".join(
        [
            f'<section class="t" id="{escape(table.key)}" data-d="{escape("|".join(table.datasets))}">',
            f"<h2>{escape(table.title)}</h2>",
            f'<p class="about">{escape(table.about)}</p>' if table.about else "",
            f'<p class="about">Protocol: {links}</p>' if links else "",
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}"><table>',
            _head(table, ranks),
            "<tbody>",
            *_rows(table, ranks),
            "</tbody></table></div>",
            _charts(table),
            "</section>\n",
        ]
    )


def _extras(table: Table) -> list[str]:
    """Titles of the columns after the numbers; those that no row fills are left out."""
    filled = {
        "params (M)": any(row.parameters for row in table.rows),
        "licence": any(row.licence for row in table.rows),
        "ms / image": any(row.seconds for row in table.rows),
    }
    return [title for title, any_row in filled.items() if any_row]


def _head(table: Table, ranks: bool) -> str:
    lead = 2 + ranks
    columns, extras = table.shown, _extras(table)
    groups = [(name, len(list(members))) for name, members in groupby(columns, key=lambda c: c.dataset)]
    top = ""
    if len(groups) > 1:
        spans = "".join(f'<th colspan="{width}">{escape(name)}' for name, width in groups)
        top = f"<tr>{'<th>' * ranks}<th class=m>{'<th>' * (lead - ranks - 1)}{spans}"
        top += "<th>" * len(extras) + ""
    cells = "".join(f"<th{' data-h=1' if higher_is_better(c.metric) else ''}>{escape(_title(c))}" for c in columns)
    more = "".join(f"<th{' class=l' if title == 'licence' else ''}>{title}" for title in extras)
    rank = "<th>rank" if ranks else ""
    return f"<thead>{top}<tr>{rank}<th class=m>model<th class=l>kind{cells}{more}</thead>"


def _title(column: Column) -> str:
    arrow = "" if column.scene else " ↑" if higher_is_better(column.metric) else " ↓"
    return column.title + arrow


def _rows(table: Table, ranks: bool) -> Iterable[str]:
    best = {column: table.best(column) for column in table.shown}
    extras = _extras(table)
    several = len({row.source for row in table.rows}) > 1
    for row in table.rows:
        classes = row.kind + (" u" if row.unranked and row.kind == "measured" else "")
        tip = ". ".join(part for part in (row.source if several else "", row.note) if part)
        reason = f"<small>{escape(row.unranked)}</small>" if row.unranked and row.kind == "measured" else ""
        cells = [f"<td>{shown_rank(row)}"] if ranks else []
        hover = f' title="{escape(tip)}"' if tip else ""
        cells.append(f"<td class=m{hover}>{escape(row.model)}{reason}")
        cells.append(f"<td class=l><span class=k>{row.kind}</span>")
        for column in table.shown:
            text, interval = shown_cell(row, column), shown_interval(row, column)
            marked = mark(row, column, best[column])
            text = f"<b>{text}</b>" if marked == "best" else f"<u>{text}</u>" if marked == "second" else text
            cells.append(f"<td>{text}{f'<small>{interval}</small>' if interval else ''}")
        values = {
            "params (M)": f"<td>{shown_parameters(row)}",
            "licence": f"<td class=l>{escape(row.licence or '')}",
            "ms / image": f"<td>{escape(shown_speed(row))}",
        }
        cells += [values[title] for title in extras]
        yield f'<tr class="{classes}" data-k="{row.kind}">{"".join(cells)}'


def _charts(table: Table) -> str:
    figures: list[str] = []
    datasets = table.datasets
    if len(datasets) > 1:
        datasets = [name for name in datasets if name in table.protocols]
    for dataset in datasets if len(datasets) <= CHARTED else []:
        column = table.primary(dataset)
        if column.metric.startswith(("latency", "fps", "gflops")):
            continue
        where = f"{dataset}: " if len(table.datasets) > 1 else ""
        size = scatter(table, column, lambda row: row.parameters, "million parameters")
        devices = {row.device for row in table.rows if row.seconds}
        time = ""
        if len(devices) == 1:  # times of unlike machines do not belong on one axis
            time = scatter(table, column, _milliseconds, f"ms an image, median ({next(iter(devices))})")
        name = metric_title(column.metric)
        for drawing, against in ((size, "parameters"), (time, "latency")):
            if drawing:
                caption = escape(f"{where}{name} against {against}")
                figures.append(f"<figure><figcaption>{caption}</figcaption>{drawing}</figure>")
    return (_details("Charts", figures) if figures else "") + _scenes(table)


def _milliseconds(row: Row) -> float | None:
    return 1e3 * row.seconds if row.seconds else None


def _scenes(table: Table) -> str:
    columns = [column for column in table.columns if column.scene]
    if len(columns) < 2:
        return ""
    values = [row.cells[c].value for row in table.rows for c in columns if c in row.cells]
    top = 1.0 if columns[0].metric in SHARES else max(values)
    figures = [
        f'<figure class="bars"><figcaption>{escape(row.model)} ({row.kind})</figcaption>{drawing}</figure>'
        for row in table.rows[:BAR_ROWS]
        if (drawing := scene_bars(row, columns, top))
    ]
    arrow = "higher" if higher_is_better(columns[0].metric) else "lower"
    return _details(f"By scene: {metric_title(columns[0].metric)}, {arrow} is better", figures) if figures else ""


def _details(title: str, figures: Sequence[str]) -> str:
    return f'<details><summary>{escape(title)}</summary><div class="charts">{"".join(figures)}</div></details>'


def _protocols(found: Sequence[Protocol]) -> str:
    if not found:
        return ""
    return "".join(['<section id="protocols"><h2>Protocols</h2>', *map(_protocol, found), "</section>"])


def _protocol(protocol: Protocol) -> str:
    said = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in description(protocol).summary)
    done = "".join(f"<dt>{escape(step.title)}<dd>{escape(step.text)}" for step in steps(protocol))
    return (
        f'<details class="protocol" id="p-{escape(protocol.id)}"><summary>{escape(protocol.id)}: '
        f"{escape(protocol.title)}</summary>{said}<dl>{done}</dl></details>\n"
    )
