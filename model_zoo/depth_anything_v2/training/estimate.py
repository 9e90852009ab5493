"""What a recipe will need, before anything starts: images, passes, steps, FLOPs, memory, storage.

Counts are exact; memory, storage and time are estimates (see `cost.py`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from dabench.errors import DabenchError

from ..config import DepthAnythingV2Config
from ..model import DepthAnythingV2
from .cost import activation_bytes, forward_flops, training_flops
from .pseudo_label.plan import label_bytes
from .recipe import Recipe, SetChoice
from .starting import config_of


@dataclass(frozen=True)
class SetCount:
    """One set of a recipe: images on disk (None if it is not there), images the recipe expects, and why it is not."""

    choice: SetChoice
    found: int | None
    expected: int | None
    problem: str = ""

    @property
    def state(self) -> str:
        """ "found", "incomplete" (fewer than expected), "missing", or "to be made"."""
        if self.found is None:
            return "to be made" if self.choice.generate and not self.problem else "missing"
        return "incomplete" if self.expected is not None and self.found < 0.98 * self.expected else "found"

    @property
    def images(self) -> int:
        """Images a pass sees of this set: those on disk, else those expected; times `repeat`."""
        return round((self.found if self.found is not None else self.expected or 0) * self.choice.repeat)


@dataclass(frozen=True)
class Memory:
    """Bytes a process needs for training, by what takes them. An estimate."""

    weights: int
    gradients: int
    optimiser: int
    average: int
    frozen_encoder: int
    half_copies: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(dataclasses.astuple(self))


@dataclass(frozen=True)
class Estimate:
    """What a recipe will need.

    images: a pass, by `images_from`: "found" on disk, "stated" by the source, or "expected" (the sum of the sets).
    steps_per_pass, passes: of those images. forward_flops, training_flops: of one image. memory: of each process.
    label_bytes: of the uncompressed pseudo-labels that the recipe reads, None if it reads none. seconds: None without
    a speed.
    """

    sets: tuple[SetCount, ...]
    images: int
    images_from: str
    steps: int
    batch: int
    parameters: int
    forward_flops: int
    training_flops: int
    processes: int
    memory: Memory
    label_bytes: int | None
    seconds: float | None

    @property
    def samples(self) -> int:
        """Images that the run sees, repeats included."""
        return self.steps * self.batch

    @property
    def passes(self) -> float | None:
        """How often it sees each; None without images."""
        return self.samples / self.images if self.images else None

    @property
    def steps_per_pass(self) -> float:
        """Steps that see every image once."""
        return self.images / self.batch

    @property
    def total_flops(self) -> int:
        """Of the whole run."""
        return self.samples * self.training_flops

    @property
    def missing(self) -> tuple[SetCount, ...]:
        """Sets without which the run cannot start."""
        return tuple(count for count in self.sets if count.state == "missing")


def estimate(recipe: Recipe, data_root: Path | None, *, processes: int = 1, tflops: float | None = None) -> Estimate:
    """What `recipe` will need.

    Args:
        data_root: folder of the sets; None counts nothing on disk.
        processes: over which a batch is spread.
        tflops: sustained speed of one process in 10^12 FLOPs a second, for the time.
    """
    sets = tuple(count_set(choice, data_root) for choice in recipe.data.sets)
    images, origin = sum(count.images for count in sets), "expected"
    if sets and all(count.found is not None for count in sets):
        origin = "found"
    elif recipe.data.stated_images is not None and all(count.found is None for count in sets):
        images, origin = recipe.data.stated_images, "stated"
    config = config_of(recipe.model)
    cost = training_flops(
        config,
        recipe.data.size,
        checkpointing=recipe.run.activation_checkpointing,
        frozen_encoder=recipe.loss.feature_weight > 0,
    )
    labels = sum(count.images for count in sets if count.choice.dataset == "pseudo-labelled")
    samples = recipe.run.steps * recipe.data.batch
    return Estimate(
        sets=sets,
        images=images,
        images_from=origin,
        steps=recipe.run.steps,
        batch=recipe.data.batch,
        parameters=parameters_of(config).all,
        forward_flops=forward_flops(config, recipe.data.size),
        training_flops=cost,
        processes=processes,
        memory=memory_of(recipe, processes),
        label_bytes=label_bytes(labels, recipe.data.short_side or min(recipe.data.size)) if labels else None,
        seconds=samples * cost / (tflops * 1e12 * processes) if tflops else None,
    )


def count_set(choice: SetChoice, data_root: Path | None) -> SetCount:
    """Look for one set under `data_root`. A set that is absent or cannot be opened is an answer, not an error."""
    expected = choice.expected
    if expected is None and choice.generate is not None:
        expected = choice.generate.images
    if data_root is None:
        return SetCount(choice, None, expected)
    root = data_root / choice.root
    if not root.exists():
        return SetCount(choice, None, expected, "" if choice.generate else f"{root} does not exist")
    from .datasets import open_dataset

    try:
        return SetCount(choice, len(open_dataset(choice.dataset, root, **choice.options)), expected)
    except DabenchError as error:
        return SetCount(choice, None, expected, error.message)


def memory_of(recipe: Recipe, processes: int = 1) -> Memory:
    """Bytes that one of `processes` needs to train `recipe`: float32 weights, gradients and optimiser states, and
    the activations of its part of a batch. FSDP2 spreads all but the activations and one block's weights.
    """
    config, run = config_of(recipe.model), recipe.run
    sizes = parameters_of(config)
    total = 4 * sizes.all
    shared = processes if run.shard == "fsdp2" else 1
    states = 2.0
    if recipe.optim.optimiser == "muon":  # one state for the matrices of the blocks, two for the rest
        states -= sizes.matrices / sizes.all
    half = run.precision != "fp32"
    images = -(-recipe.data.batch // (processes * run.accumulate))
    activations = activation_bytes(config, recipe.data.size, half=half, checkpointing=run.activation_checkpointing)
    block = 4 * sizes.block
    return Memory(
        weights=total // shared + (2 * block if shared > 1 else 0),
        gradients=total // shared,
        optimiser=int(states * total) // shared,
        average=total // shared if recipe.optim.ema is not None else 0,
        frozen_encoder=4 * sizes.encoder if recipe.loss.feature_weight > 0 else 0,
        half_copies=(total // 2 if shared == 1 else block) if half else 0,
        activations=images * activations,
    )


class Parameters(NamedTuple):
    """Numbers of parameters: all, the encoder's, those in matrices of its blocks, and those of its largest block."""

    all: int
    encoder: int
    matrices: int
    block: int


@cache
def parameters_of(config: DepthAnythingV2Config) -> Parameters:
    """Counted on the network itself, without memory for it."""
    with torch.device("meta"):
        network = DepthAnythingV2(config)
    return Parameters(
        all=sum(p.numel() for p in network.parameters()),
        encoder=sum(p.numel() for p in network.pretrained.parameters()),
        matrices=sum(p.numel() for name, p in network.named_parameters() if ".blocks." in name and p.ndim >= 2),
        block=max(sum(p.numel() for p in block.parameters()) for block in network.pretrained.blocks),
    )
