"""The folder of a run: made, emptied or accepted before training starts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from dabench.errors import CheckpointError, DabenchError, UsageError

from .checkpoints import Checkpoints
from .distributed import World
from .recipe import Recipe, forbidden_changes


def refuse_other_recipe(path: Path, facts: Mapping[str, Any], recipe: Recipe) -> None:
    try:
        old = msgspec.convert(facts["recipe"], Recipe)
    except (KeyError, msgspec.ValidationError) as error:
        raise CheckpointError(
            f"{path}: its recipe is not readable by this version: {error}", hint="use --fresh, or the older version"
        ) from error
    forbidden = forbidden_changes(old, recipe)
    if forbidden:
        raise UsageError(
            f"the recipe differs from that of {path} in {', '.join(forbidden)}",
            hint="a run goes on under the recipe that it began with; give another --out, or --fresh to start again",
        )


def prepare_folder(recipe: Recipe, out: Path, world: World, *, resume: bool, fresh: bool) -> None:
    """Make `out`, empty it for a fresh start, and write recipe.toml; by the first process, while the others wait."""
    problem: DabenchError | None = None
    if world.first:
        try:
            if fresh:
                shutil.rmtree(out / "checkpoints", ignore_errors=True)
                shutil.rmtree(out / "tensorboard", ignore_errors=True)
                for name in ("log.jsonl", "model.safetensors", "predictions.jpg", *_names(out, "events*.jsonl")):
                    (out / name).unlink(missing_ok=True)
            elif not resume and _names(out / "checkpoints", "step_*"):
                raise UsageError(f"{out} has checkpoints of a run", hint="--resume goes on, --fresh removes them")
            out.mkdir(parents=True, exist_ok=True)
            found = Checkpoints(out / "checkpoints", World(), 1)
            latest = found.complete()
            if latest:
                refuse_other_recipe(latest[-1], found.facts(latest[-1]), recipe)
            (out / "recipe.toml").write_text(recipe.text(), encoding="utf-8")
        except OSError as error:
            problem = UsageError(f"{out} cannot be written: {error.strerror}", hint="choose another --out")
        except DabenchError as error:
            problem = error
    if world.any(problem is not None):
        raise problem or UsageError(f"{out}: the first process could not prepare it")


def _names(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]
