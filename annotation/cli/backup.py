"""``dabench annotate backup``: copy a study's database while it is in use, and bring a copy back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import UsageError


def backup(
    study: Annotated[Path | None, typer.Argument(metavar="STUDY", help="Folder of the study.")] = None,
    keep: Annotated[int, typer.Option(min=1, help="Newest copies to keep.")] = 10,
    restore: Annotated[Path | None, typer.Option(metavar="FILE", help="Bring this copy back.")] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to restore into; it must hold no study.")
    ] = None,
) -> None:
    """Copy the database of a study, checked, into its folder backups; or restore a copy into a new folder."""
    from annotation.store.backup import make
    from annotation.store.backup import restore as bring_back
    from annotation.study import Study

    if restore is not None:
        if study is not None or into is None:
            raise UsageError("a copy is restored with --restore FILE --into DIR", hint="name no STUDY then")
        bring_back(restore, into)
        typer.echo(f"restored into {into}; copy the folder images of the study there, too")
        return
    if study is None or into is not None:
        raise UsageError("name the folder of the study", hint="dabench annotate backup STUDY [--keep N]")
    with Study.open(study) as opened:
        typer.echo(f"copied to {make(opened, keep)}")
