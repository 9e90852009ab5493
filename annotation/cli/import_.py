"""``dabench annotate import``: take pairs of DA-2K, a table, Label Studio, COCO or DIW into a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import UsageError


def import_command(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study; made when absent.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="annotations.json, pairs.csv, pairs.parquet, tasks.json, ...")
    ],
    form: Annotated[
        str | None,
        typer.Option("--format", help="da2k, table, label-studio, coco or diw; else told from the file."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that the paths in the file start from; else the folder of the file.")
    ] = None,
    purpose: Annotated[
        str,
        typer.Option("--as", help="pairs: to be labelled; gold or qualification: test pairs with a known answer."),
    ] = "pairs",
    project: Annotated[str | None, typer.Option("--project", help="Name of a project; else the first.")] = None,
    base: Annotated[
        int | None, typer.Option(min=0, max=1, help="What the coordinates of DIW's CSV count from [default: 1].")
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the images for which the file states none.")] = "",
    author: Annotated[str, typer.Option(help="Of the images for which the file states none.")] = "",
    source: Annotated[str, typer.Option(help="Where they come from, where the file does not say.")] = "",
) -> None:
    """Import labelled or unlabelled pairs. A file with a fault is refused whole, with the list of all faults."""
    from annotation.formats.detecting import detect_format
    from annotation.importing import import_pairs
    from annotation.study import Study
    from dabench.cli.console import messages

    if not file.exists():
        raise UsageError(f"{file} does not exist")
    form = form or detect_format(file)
    if base is not None and form != "diw":
        raise UsageError(f"--base is of DIW's CSV; {file} is read as {form}", hint="pass --format diw")
    console = messages()
    with Study.open(study, create=True) as opened, console.status("reading") as status:
        done = import_pairs(
            opened,
            file,
            form=form,
            images=images,
            purpose=purpose,
            project=project,
            base=1 if base is None else base,
            rights={"licence": licence, "author": author, "source": source},
            progress=lambda number, total: status.update(f"image {number} of {total}"),
        )
    said = {"pairs": "to be labelled", "gold": "hidden test pairs", "qualification": "of the qualification round"}
    typer.echo(f"{done.pairs} pairs imported as {form}, {said[purpose]}; {done.images} new images")
    for note in done.notes:
        typer.echo(f"note: {note}")
