"""``dabench leaderboard``: measured and published numbers as tables, a page, or the tables of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabench.errors import DabenchError, UsageError

if TYPE_CHECKING:
    from dabench.reporting.leaderboard.table import Table
    from dabench.reporting.loaded import Record

USUAL = (Path("results/measured"), Path("runs"))
"""Read, where they are below the working folder, when no DIR is given: this repository's records, eval's own folder."""


class Format(StrEnum):
    md = "md"
    html = "html"
    csv = "csv"
    latex = "latex"
    json = "json"


FILE_NAMES = {
    Format.md: "LEADERBOARD.md", Format.html: "index.html", Format.csv: "leaderboard.csv",
    Format.latex: "leaderboard.tex", Format.json: "leaderboard.json",
}  # fmt: skip


def leaderboard_command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Folders of records; without any, results/measured and runs."),
    ] = None,
    output_format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.md,
    out: Annotated[Path | None, typer.Option(help="File or folder to write to, instead of printing.")] = None,
    paper: Annotated[
        str | None, typer.Option("--paper-table", help="A table of Depth Anything V2 as printed: 2, 3, 4 or 14.")
    ] = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="With --paper-table: add the runs in this folder as a row; repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("-p", "--protocol", help="Only tables of these protocols or labels (with * and ?)."),
    ] = None,
    published: Annotated[bool, typer.Option(help="With published numbers.")] = True,
    everything: Annotated[
        bool, typer.Option("--all", help="With ablations and recipes that are none of dabench's protocols.")
    ] = False,
) -> None:
    """Rank measured runs beside published numbers: one table for each recipe, never two recipes in one."""
    from dabench.reporting.expected import published as published_numbers
    from dabench.reporting.leaderboard.build import board
    from dabench.reporting.leaderboard.paper import paper_table
    from dabench.reporting.loaded import find_records

    if paper is not None:
        if folders:
            raise UsageError("--paper-table takes no folders of records", hint="add runs as rows with --add RUN")
        tables = [paper_table(paper, published_numbers(), find_records(add or []))]
        _write(render(tables, output_format, heading=tables[0].title, ranks=False), output_format, out)
        return
    if add:
        raise UsageError("--add belongs to --paper-table", hint="name folders of records without it")
    records: list[Record] = find_records(folders or [folder for folder in USUAL if folder.is_dir()])
    tables = chosen(
        board(records, published_numbers() if published else (), licences=licences(), everything=everything), only
    )
    if not tables:
        raise UsageError("there is nothing to show", hint="name a folder that `dabench eval --out DIR` has written")
    _write(render(tables, output_format), output_format, out)


def render(tables: Sequence[Table], output_format: Format, *, heading: str = "Leaderboard", ranks: bool = True) -> str:
    """The tables as one document."""
    from dabench.reporting.leaderboard.latex import latex
    from dabench.reporting.leaderboard.site import html
    from dabench.reporting.leaderboard.text import as_json, comma_separated, markdown

    if output_format is Format.csv:
        return comma_separated(tables)
    if output_format is Format.json:
        return as_json(tables)
    if output_format is Format.latex:
        return latex(tables, ranks=ranks)
    return (html if output_format is Format.html else markdown)(tables, heading=heading, ranks=ranks)


def chosen(tables: Sequence[Table], patterns: Sequence[str] | None) -> list[Table]:
    """The tables whose label, or one of whose protocols, with or without its version, matches a pattern.

    Raises:
        UsageError: a pattern matches no table.
    """
    if not patterns:
        return list(tables)

    def names(table: Table) -> set[str]:
        return {table.key, *(part for name in table.protocols.values() for part in (name, name.split("@")[0]))}

    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for table in tables for name in names(table)):
            raise UsageError(f"no table is of '{pattern}'", hint="dabench ls protocols lists them; --all shows more")
    return [t for t in tables if any(fnmatchcase(name, pattern) for name in names(t) for pattern in patterns)]


def licences() -> dict[str, str]:
    """Licence of the weights of every model of the catalogue, also under the names that published tables use."""
    from dabench.registry import models
    from dabench.reporting.names import PUBLISHED_AS

    registry = models()
    found: dict[str, str] = {}
    for entry in (registry.get(name) for name in registry):
        if entry.licence:
            found |= dict.fromkeys((*PUBLISHED_AS.get(entry.name, ()), entry.name), entry.licence)
    return found


def _write(text: str, output_format: Format, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    path = out if out.suffix and not out.is_dir() else out / FILE_NAMES[output_format]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DabenchError(f"cannot write {path}: {error.strerror or error}") from error
    typer.echo(str(path))
