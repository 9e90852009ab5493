"""Options that several verbs share, so that they read and mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import UsageError

Checkpoint = Annotated[Path | None, typer.Option(help="Weight file to use instead of the catalogued one.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16 or fp16.")]
InputSize = Annotated[
    int | None, typer.Option(help="Short side of the network input in pixels; the model's own by default.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "-o", "--option", metavar="NAME=VALUE", help="Option of the model (see `dabench show MODEL`); repeatable."
    ),
]
Compile = Annotated[str, typer.Option(help="Compile the network: auto, on or off.")]


def read_settings(texts: list[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping. Raises UsageError for one that is no such thing, or a name given twice."""
    found: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--option {text} is not of the form NAME=VALUE")
        if name in found:
            raise UsageError(f"--option {name} is given twice")
        found[name] = value
    return found
