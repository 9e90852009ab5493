"""``dabench ls``: what there is."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer


class Kind(StrEnum):
    models = "models"
    datasets = "datasets"
    protocols = "protocols"


def ls_command(
    kind: Annotated[Kind, typer.Argument(help="models, datasets or protocols.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List models, datasets or protocols."""
    from dabench.cli.console import results

    rows = {Kind.models: model_rows, Kind.datasets: dataset_rows, Kind.protocols: protocol_rows}[kind]()
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    results().print(_table(kind, rows))


def model_rows() -> list[dict[str, Any]]:
    """One row a catalogued model: bundled ones first, then by name, and last those that cannot run."""
    from dabench.cli.availability import availability
    from dabench.registry import models

    registry = models()
    entries = [registry.get(name) for name in registry]
    order = {"bundled": 0, "baseline": 1, "downloadable": 2, "endpoint": 3, "published-only": 4}
    entries.sort(key=lambda e: (order[e.status], e.name.rsplit("-", 1)[0], e.parameters or 0, e.name))
    rows = []
    for entry in entries:
        here = availability(entry)
        rows.append(
            {
                "name": entry.name,
                "status": entry.status,
                "state": here.state,
                "installed": here.installed,
                "needs": here.needs,
                "output": str(entry.output),
                "parameters": entry.parameters,
                "licence": entry.licence,
                "non_commercial": entry.non_commercial,
                "summary": entry.summary,
            }
        )
    return rows


def dataset_rows() -> list[dict[str, Any]]:
    """One row a dataset."""
    from dabench import protocols
    from dabench.datasets import registry

    infos = [registry().get(name).info for name in registry()]
    return [
        {
            "name": info.name,
            "tasks": list(info.tasks),
            "expected": info.expected,
            "bundled": info.bundled,
            "default_protocols": [p.id for p in protocols.defaults_of(info.name)],
            "licence": info.licence,
            "summary": info.summary,
        }
        for info in infos
    ]


def protocol_rows() -> list[dict[str, Any]]:
    """One row a protocol, by dataset: its default, our own others, then those from the literature."""
    from dabench.protocols import all_protocols

    ordered = sorted(all_protocols().values(), key=lambda p: (p.dataset.name, not p.default, p.status != "house", p.id))
    return [
        {
            "id": p.id,
            "dataset": p.dataset.name,
            "task": p.task,
            "default": p.default,
            "status": p.status,
            "metrics": list(p.metrics),
            "sha256": p.sha256,
            "title": p.title,
        }
        for p in ordered
    ]


def _model_notes(rows: list[dict[str, Any]]) -> list[str]:
    """Below the table: what the marks mean, and how to get what is not there."""
    notes = ["* non-commercial use only"] if any(row["non_commercial"] for row in rows) else []
    needed: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["needs"] and row["state"] != "downloadable":
            needed[row["state"], row["needs"]] = needed.get((row["state"], row["needs"]), 0) + 1
    notes += [f"{state}: {command} ({count})" for (state, command), count in needed.items()]
    return [*notes, "`dabench show MODEL` says where a model comes from, what it needs and what it should score"]


def _table(kind: Kind, rows: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    if kind is Kind.models:
        table.padding = (0, 1, 0, 0)  # narrow, so that a row stays on one line
        for title in ("model", "state", "output"):
            table.add_column(title, no_wrap=True)
        table.add_column("size", justify="right", no_wrap=True)
        table.add_column("licence")
        for row in rows:
            millions = f"{row['parameters'] / 1e6:.1f} M" if row["parameters"] else "-"
            style = "dim" if row["status"] == "published-only" else "bold" if row["installed"] else ""
            licence = (row["licence"] or "-").partition(" (")[0] + ("*" if row["non_commercial"] else "")
            table.add_row(row["name"], row["state"], row["output"], millions, licence, style=style)
        table.caption = Text("\n".join(_model_notes(rows)))
        table.caption_justify = "left"
    elif kind is Kind.datasets:
        for title in ("dataset", "ground truth", "size", "default protocol", ""):
            table.add_column(title)
        for row in rows:
            size = "bundled" if row["bundled"] else row["expected"]
            defaults = ", ".join(row["default_protocols"])
            table.add_row(row["name"], ", ".join(row["tasks"]), size, defaults, row["summary"])
    else:
        table.add_column("protocol", no_wrap=True)
        table.add_column("status", no_wrap=True)
        table.add_column("")
        previous = None
        for row in rows:
            if row["dataset"] != previous:
                table.add_row(f"[bold]{row['dataset']}[/bold]")
                previous = row["dataset"]
            table.add_row(f"  {row['id']}{' *' if row['default'] else ''}", row["status"], row["title"])
        table.caption = "* the default of its dataset; `dabench show NAME` prints the recipe in plain words"
        table.caption_justify = "left"
    return table
