"""``dabench setup``: make the Python environment that a family of models runs in."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def setup(
    name: Annotated[
        str | None, typer.Argument(help="Environment, or a .toml file that describes one.", show_default=False)
    ] = None,
    python: Annotated[
        Path | None,
        typer.Option(help="Use this interpreter, or environment's folder, as it is; nothing is installed into it."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands, and stop.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make it anew even if it is ready.")] = False,
) -> None:
    """Set up the environment of models that cannot live in this one; without a name, list the environments.

    Packages are pinned and go into a virtual environment of their own, under DABENCH_ENVIRONMENTS or the user's data
    folder; nothing of this environment changes. Weights are downloaded when a model is first used.
    """
    from dabench.errors import UsageError

    from .build import adopt, clones, interpreter_for, make, plan
    from .recipe import find

    if name is None:
        if python is not None or dry_run or fresh:
            raise UsageError("no environment is named", hint="dabench setup lists them")
        _list()
        return
    recipe = find(name)
    if dry_run:
        for command in clones(recipe) if python is not None else plan(recipe, interpreter_for(recipe)):
            typer.echo(shlex.join(command))
        return
    if python is not None:
        environment = adopt(recipe, python, notify=_to_stderr)
    else:
        environment = make(recipe, fresh=fresh, notify=_to_stderr)
    typer.echo(f"environment '{environment.name}' is ready: {environment.python} (Python {environment.version})")


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from .build import state
    from .location import read, root
    from .recipe import find, names

    table = Table("environment", "state", "Python", "models", box=None, pad_edge=False)
    for name in names():
        recipe, environment = find(name), read(name)
        version = environment.version if environment is not None else recipe.wanted_python.removeprefix("Python ")
        table.add_row(name, state(recipe), version, recipe.summary)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table)
    console.print(f"\nin {root()}; set one up with: dabench setup NAME", soft_wrap=True)


def _to_stderr(message: str) -> None:
    typer.echo(message, err=True)
