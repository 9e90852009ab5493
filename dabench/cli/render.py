"""``dabench render``: procedural images with exact depth and DA-2K-style pairs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import UnknownNameError, UsageError


def render(
    out: Annotated[Path, typer.Option(help="Folder of the set; an interrupted one is continued.")],
    scenes: Annotated[int, typer.Option(min=1, help="Number of scenes; each gives up to --views images.")],
    seed: Annotated[int, typer.Option(min=0, help="Scenes are a function of seed, split and number.")],
    size: Annotated[str, typer.Option(metavar="HxW", help="Height x width in pixels.")] = "168x224",
    scene_types: Annotated[
        str | None, typer.Option(help="Comma-separated DA-2K scene types, repeats count as weight; all by default.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    split: Annotated[
        str,
        typer.Option(
            help="train; heldout: with families that train never has; photo: another world, through a camera."
        ),
    ] = "train",
    views: Annotated[int, typer.Option(min=1, max=16, help="Cameras a scene.")] = 4,
    samples: Annotated[int, typer.Option(min=1, max=64, help="Shaded rays a pixel.")] = 1,
) -> None:
    """Render scenes to a folder: images, 16-bit depth, pairs, metadata."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from dabench.cli.console import messages
    from dabench.render.dataset import generate
    from dabench.render.sample import SCENE_TYPES, SPLITS, Settings

    types = tuple(scene_types.split(",")) if scene_types else SCENE_TYPES
    for name in types:
        if name not in SCENE_TYPES:
            raise UnknownNameError("scene type", name, SCENE_TYPES)
    chosen = next((name for name in SPLITS if name == split), None)
    if chosen is None:
        raise UnknownNameError("split", split, SPLITS)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    settings = Settings(
        seed=seed,
        split=chosen,
        size=image_size(size),
        scene_types=types,
        views=views,
        samples=samples,
    )
    stderr = messages()
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TextColumn("scenes"), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("rendering", total=scenes)

        def show(done: int, _: int) -> None:
            bar.update(task, completed=done)

        count = generate(out, scenes, settings, workers=workers or os.cpu_count() or 1, progress=show)
    stderr.print(f"{count} images with depth and pairs in {out}")


def image_size(text: str) -> tuple[int, int]:
    """(height, width) in pixels from "HxW"; both 32 to 4096."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"--size {text!r} is not HxW", hint="for example --size 168x224") from None
    if not (32 <= height <= 4096 and 32 <= width <= 4096):
        raise UsageError(f"--size {text}: both sides must be 32 to 4096 pixels")
    return height, width
