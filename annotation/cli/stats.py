"""``dabench annotate stats``: how far a study is, and what its answers are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def stats(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study.")],
    project: Annotated[str | None, typer.Option("--project", help="Name of a project; else the first.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="Draws of each bootstrap.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Progress, people, agreement, shortcuts, times and the expected error of a study's labels."""
    from annotation.reporting import dashboard
    from annotation.study import Study

    with Study.open(study) as opened:
        found = dashboard(opened, project, draws=draws, picture_seconds=None)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
        return
    from annotation.reporting.tables import heading, tables
    from dabench.cli.console import results

    console = results()
    console.print(heading(found), style="bold", markup=False, soft_wrap=True)
    for table in tables(found):
        console.print(table)
    for warning in found["warnings"]:
        console.print(f"! {warning['subject']}: {warning['text']}", style="yellow", markup=False, soft_wrap=True)
