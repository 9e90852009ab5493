"""Options that several verbs share, so that they read and mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Checkpoint = Annotated[Path | None, typer.Option(help="Weight file to use instead of the catalogued one.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16 or fp16.")]
InputSize = Annotated[
    int | None, typer.Option(help="Short side of the network input in pixels; the model's own by default.")
]
Compile = Annotated[str, typer.Option(help="Compile the network: auto, on or off.")]
