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
    """One row a catalogued model, bundled ones first."""
    from dabench.registry import models

    registry = models()
    entries = [registry.get(name) for name in registry]
    order = {"bundled": 0, "baseline": 1, "downloadable": 2, "published-only": 3}
    entries.sort(key=lambda e: (order[e.status], e.name.rsplit("-", 1)[0], e.parameters or 0, e.name))
    return [
        {
            "name": entry.name,
            "status": entry.status,
            "output": str(entry.output),
            "parameters": entry.parameters,
            "licence": entry.licence,
            "summary": entry.summary,
        }
        for entry in entries
    ]


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


def _table(kind: Kind, rows: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    if kind is Kind.models:
        for title in ("model", "status", "output"):
            table.add_column(title, no_wrap=True)
        table.add_column("parameters", justify="right", no_wrap=True)
        table.add_column("licence", no_wrap=True)
        for row in rows:
            millions = f"{row['parameters'] / 1e6:.1f} M" if row["parameters"] else "-"
            style = "dim" if row["status"] == "published-only" else ""
            table.add_row(row["name"], row["status"], row["output"], millions, row["licence"] or "-", style=style)
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
