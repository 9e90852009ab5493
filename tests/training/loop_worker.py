"""Short training runs on images in memory: imported by tests, and run by them under torchrun.

    python -m torch.distributed.run --nproc-per-node 2 loop_worker.py SPEC.json

SPEC: {"out": folder, "set": {recipe setting: value}, "images": N, "flat": [indices], "float64": bool,
"disturb": {"rank", "nan_at", "signal_at"}}. Each process writes result_RANK.pt.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dabench.errors import SampleError
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training import loop
from model_zoo.depth_anything_v2.training.concatenated import ConcatenatedDataset
from model_zoo.depth_anything_v2.training.distributed import World, open_world, whole
from model_zoo.depth_anything_v2.training.feed import Batch
from model_zoo.depth_anything_v2.training.recipe import Recipe, load_recipe
from model_zoo.depth_anything_v2.training.sample import LabelledSample, TrainingDataset
from model_zoo.depth_anything_v2.training.view import View

RECIPE = """
title = "test"
stage = "teacher"
[model]
size = "tiny"
start = "random"
table_size = 2
[data]
size = [28, 42]
batch = 4
workers = 0
hflip = 0.5
[[data.sets]]
dataset = "rendered"
root = "memory"
[loss]
kind = "relative"
[optim]
optimiser = "adamw"
encoder_rate = 1e-3
decoder_rate = 1e-3
warmup = 0.0
[run]
steps = 3
precision = "fp32"
log_every = 1
checkpoint_every = 100
"""


class MemoryDataset(TrainingDataset):
    """Tilted planes, drawn from the index; `flat` ones are walls without order, `broken` ones cannot be read."""

    name = "memory"
    metric = True
    resident = True

    def __init__(self, count: int, flat: tuple[int, ...] = (), broken: tuple[int, ...] = ()) -> None:
        self.count, self.flat, self.broken = count, flat, broken

    def __len__(self) -> int:
        return self.count

    def id_of(self, index: int) -> str:
        return f"{index:04d}"

    def __getitem__(self, index: int) -> LabelledSample:
        if index in self.broken:
            raise SampleError(f"{index:04d}.png is damaged")
        rng = np.random.default_rng(index)
        rows, columns = np.mgrid[0:42, 0:56]
        depth = 1 + rows * rng.uniform(0.02, 0.1) + columns * rng.uniform(0, 0.05)
        if index in self.flat:
            depth = np.full_like(depth, 2.0)
        image = np.clip(255 / depth[..., None] * rng.uniform(0.3, 1, 3), 0, 255).astype(np.uint8)
        valid = rng.random(depth.shape) > 0.1
        disparity = np.where(valid, 1 / depth, 0).astype(np.float32)
        return LabelledSample(f"{index:04d}", image, disparity, valid, np.zeros_like(valid), True)


def recipe_of(folder: Path, **settings: Any) -> Recipe:
    """The test recipe with `a__b=value` set."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test.toml").write_text(RECIPE)
    overrides = [f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in settings.items()]
    return load_recipe(folder / "test.toml", overrides)


def trainer_of(recipe: Recipe, out: Path, world: World | None = None, **data: Any) -> loop.Trainer:
    images = MemoryDataset(data.get("images", 10), tuple(data.get("flat", ())), tuple(data.get("broken", ())))
    held_out = ConcatenatedDataset([MemoryDataset(3)]) if recipe.run.validate_every else None
    return loop.Trainer(recipe, ConcatenatedDataset([images]), held_out, out, out, world or World())


def weights_of(trainer: loop.Trainer) -> dict[str, torch.Tensor]:
    return {name: whole(value.detach()).clone() for name, value in trainer.network.named_parameters()}


def in_float64(start: Callable[..., DepthAnythingV2]) -> Callable[..., DepthAnythingV2]:
    """`start_network` made to give a network that computes in float64.

    In float32 the first steps of Adam amplify rounding: a gradient that is zero but for it moves a bias as any other.
    In float64 such a gradient is far below Adam's epsilon, so runs that do the same can be told from runs that do not.
    """

    def wide(*arguments: Any) -> DepthAnythingV2:
        network = start(*arguments).double()
        network.pretrained.register_forward_pre_hook(lambda module, images: (images[0].double(),))
        return network

    return wide


def disturb(trainer: loop.Trainer, rank: int, nan_at: int | None, signal_at: int | None) -> None:
    """At these steps, in this process only: images that are NaN, and a SIGTERM."""
    step = trainer.train_step

    def disturbed(pieces: Sequence[Batch], view: View) -> Any:
        if trainer.world.rank == rank and trainer.step == nan_at:
            pieces = [replace(piece, images=piece.images * torch.nan) for piece in pieces]
        if trainer.world.rank == rank and trainer.step == signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(pieces, view)

    trainer.train_step = disturbed  # type: ignore[method-assign]


def run_spec(spec: dict[str, Any], world: World) -> loop.RunResult:
    out = Path(spec["out"])
    recipe = recipe_of(out / f"recipe_{world.rank}", **spec.get("set", {}))
    trainer = trainer_of(recipe, out, world, **{k: spec[k] for k in ("images", "flat", "broken") if k in spec})
    if "disturb" in spec:
        disturb(trainer, **spec["disturb"])
    result = trainer.run()
    weights = weights_of(trainer)
    unused = [name for name, value in trainer.network.named_parameters() if value.grad is None]
    skipped, finished = trainer.alarms.skipped, result.finished
    torch.save(
        {"weights": weights, "step": result.step, "unused": unused, "skipped": skipped, "finished": finished},
        out / f"result_{world.rank}.pt",
    )
    return result


def main() -> None:
    torch.set_num_threads(1)
    spec = json.loads(Path(sys.argv[1]).read_text())
    if spec.get("float64"):
        loop.start_network = in_float64(loop.start_network)
    with open_world("cpu") as world:
        run_spec(spec, world)


if __name__ == "__main__":
    main()
