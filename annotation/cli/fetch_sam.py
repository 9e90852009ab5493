"""``dabench annotate fetch-sam``: bring a checkpoint of Segment Anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch_sam(
    name: Annotated[str, typer.Argument(help="sam-vit-b, sam-vit-l or sam-vit-h.")] = "sam-vit-b",
    folder: Annotated[Path, typer.Option(help="Where to put the file.")] = Path(),
) -> None:
    """Download a checkpoint of Segment Anything (goes on after a break) and check its SHA-256."""
    from annotation.keypoints.checkpoints import fetch_checkpoint
    from dabench.cli.console import messages, results
    from dabench.cli.transfer import TransferProgress

    stderr = messages()
    with TransferProgress(stderr) as bar:
        path = fetch_checkpoint(
            name, folder, notify=lambda text: stderr.print(text, markup=False, soft_wrap=True), progress=bar.update
        )
    results().print(str(path), markup=False, soft_wrap=True)
