"""``dabench annotate``: one file a verb; each parses, calls one library function, and shows the result."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="annotate",
    help="Build a new pair set: propose pairs, label them in the browser, review, release.",
    no_args_is_help=True,
)
