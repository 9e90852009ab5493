"""``dabench train``: one stage of Depth Anything V2 training, from a recipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from .loop import RunResult
    from .recipe import Recipe

PIPED_WIDTH = 120


def train(
    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe, or a TOML file.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as data.batch=32; may be repeated."),
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(envvar="DABENCH_DATA", help="Folder of the sets and start weights; data if absent.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; an interrupted run goes on. runs/RECIPE if absent.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the run will need, and stop.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="For --dry-run: processes over which a batch is spread.")
    ] = None,
    tflops: Annotated[
        float | None, typer.Option(min=0.001, help="For --dry-run: sustained TFLOP/s of a process, for the time.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, deleting what the run folder holds.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes and stop.")] = False,
) -> None:
    """Train Depth Anything V2: teacher, student or metric model, from a recipe.

    Run the same command again to go on after an interruption. On several GPUs: `torchrun --nproc-per-node 8 -m dabench
    train RECIPE ...`.
    """
    if list_recipes:
        _show_recipes()
        return
    if recipe is None:
        raise UsageError("no recipe is given", hint="`dabench train --list` lists them")
    from .recipe import load_recipe

    chosen = load_recipe(recipe, settings or ())
    root = data_root or Path("data")
    if dry_run:
        _show_estimate(chosen, root, processes or int(os.environ.get("WORLD_SIZE", "1")), tflops)
        return
    if root.exists() and not root.is_dir():
        raise UsageError(f"--data-root {root} is a file, not a folder")
    folder = out or Path("runs") / chosen.name
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file, not a folder")
    first = os.environ.get("RANK", "0") == "0"
    _log_to_stderr(first)
    _prepare(chosen, root, first)

    from .loop import train as run_training

    result = run_training(chosen, root, folder, device=device, fresh=fresh)
    if first:
        _show_result(chosen, result)
    if not result.finished:
        raise typer.Exit(1)


def _log_to_stderr(first: bool) -> None:
    import logging

    level = logging.INFO if first else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)


def _prepare(recipe: Recipe, root: Path, first: bool) -> None:
    """Make the scenes that the recipe generates; the other processes wait for the first one's."""
    from .prepare import jobs, prepare, wait_for

    waiting = jobs(recipe, root)
    if not waiting:
        return
    if not first:
        wait_for(recipe, root)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    stderr = _console(stderr=True)
    if not stderr.is_terminal:
        stderr.print(f"prepare data: making {', '.join(str(job.root) for job in waiting)}", soft_wrap=True)
    columns = (TextColumn("prepare data  {task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=stderr, disable=not stderr.is_terminal) as bar:
        tasks = {job.name: bar.add_task(job.name, total=job.generate.images) for job in waiting}

        def show(name: str, done: int, total: int) -> None:
            bar.update(tasks[name], completed=done, total=total)

        prepare(recipe, root, at_once=max(1, os.cpu_count() or 1), progress=show)


def _show_recipes() -> None:
    from rich import box
    from rich.table import Table

    from .recipe import available_recipes, load_recipe

    table = Table("recipe", "stage", "", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for name in available_recipes():
        recipe = load_recipe(name)
        table.add_row(name, recipe.stage, recipe.title)
    _console(stderr=False).print(table)


def _show_estimate(recipe: Recipe, root: Path, processes: int, tflops: float | None) -> None:
    from .estimate import estimate
    from .estimate_table import show_estimate

    found = estimate(recipe, root, processes=processes, tflops=tflops)
    show_estimate(_console(stderr=False), recipe, found, root)


def _show_result(recipe: Recipe, result: RunResult) -> None:
    stdout = _console(stderr=False)
    if not result.finished:
        stdout.print(f"stopped at step {result.step} of {recipe.run.steps}; the same command goes on", markup=False)
        return
    stdout.print(f"{recipe.name}: {result.step} steps done", markup=False)
    for name, value in result.scores.items():
        stdout.print(f"  {name} {value:.4g}", markup=False)
    for path in (result.export, result.preview):
        if path is not None:
            stdout.print(f"  {path}", markup=False, soft_wrap=True)
    if result.export is not None:
        stdout.print(scoring_hint(recipe, result.export), markup=False, soft_wrap=True)


def scoring_hint(recipe: Recipe, weights: Path) -> str:
    """How to score what a run has exported: a command, where the catalogue has a model of this shape."""
    from dabench.registry import models

    from ..config import CONFIGS
    from .starting import config_of

    config = config_of(recipe.model)
    for name in models().names():
        entry = models().get(name)
        known = CONFIGS.get(str(entry.options.get("config", "")))
        if known is not None and entry.options.get("max_depth") is not None:
            known = known.metric(entry.options["max_depth"])
        if known == config:
            side = recipe.data.short_side or min(recipe.data.size)
            size = "" if side == config.input_size else f" --input-size {side}"
            return f"score it: dabench eval -m {name} --checkpoint {weights}{size}"
    return f"no catalogued model has the shape of {weights}: score it from Python (docs/training.md, 'Scoring')"


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False)
