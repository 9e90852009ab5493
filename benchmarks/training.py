"""Speed of a training step: ours against the released metric script's step on the official structure.

    python benchmarks/training.py [--encoder small] [--size 518] [--batch 2] [--threads 2] [--rounds 5] [--device cpu]
        [--precision fp32] [--compile]

Both run the recipe of the released script (SiLog over the batch, AdamW with two rates, poly decay, no clipping) on the
same random weights, images and depth. The script's side has plain attention, the parameters that no forward pass
reads, `DistributedDataParallel(find_unused_parameters=True)` and fp32, as published; ours is what `dabench train
metric-hypersim-small` runs after the batch has come. The losses of the first three steps are compared before anything
is timed. Rounds are interleaved and ratios are taken within a round; the median is printed.

Source: Depth Anything V2 repository (commit a561b84), `metric_depth/train.py` and `metric_depth/util/loss.py`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import official_reference
import torch
import torch.distributed as dist
from torch import Tensor, nn

from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training.distributed import World
from model_zoo.depth_anything_v2.training.feed import Batch
from model_zoo.depth_anything_v2.training.gradients import Gradients
from model_zoo.depth_anything_v2.training.network import TrainedNetwork, compile_network
from model_zoo.depth_anything_v2.training.objectives import Objective
from model_zoo.depth_anything_v2.training.optim import make_optimisers, set_rates
from model_zoo.depth_anything_v2.training.recipe import load_recipe

MAX_DEPTH, STEPS, LIMIT = 20.0, 1000, 1e-3


class OfficialStructure(nn.Module):
    """The official computation with every parameter of an official checkpoint, the unused ones among them."""

    def __init__(self, state: dict[str, Tensor], size: official_reference.Size) -> None:
        super().__init__()
        self.names, self.size = list(state), size
        self.values = nn.ParameterList([nn.Parameter(value.clone()) for value in state.values()])

    def forward(self, images: Tensor) -> Tensor:
        state = dict(zip(self.names, self.values, strict=True))
        return official_reference.predict(state, self.size, images, MAX_DEPTH)


def official_step(state: dict[str, Tensor], size: official_reference.Size, batch: Batch) -> Callable[[], float]:
    """The released script's step; returns its loss."""
    device = batch.images.device
    model = OfficialStructure(state, size).to(device)
    names = model.names
    wrapped = nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
    groups = [
        {"params": [v for n, v in zip(names, model.values, strict=True) if ("pretrained" in n) is encoder], "lr": rate}
        for encoder, rate in ((True, 5e-6), (False, 5e-5))
    ]
    optimiser = torch.optim.AdamW(groups, lr=5e-6, betas=(0.9, 0.999), weight_decay=0.01)
    taken = 0

    def step() -> float:
        nonlocal taken
        optimiser.zero_grad()
        prediction = wrapped(batch.images)
        mask = batch.valid & (batch.target >= 0.001) & (batch.target <= MAX_DEPTH)
        apart = torch.log(batch.target[mask]) - torch.log(prediction[mask])
        loss = torch.sqrt(apart.pow(2).mean() - 0.5 * apart.mean().pow(2))
        loss.backward()
        optimiser.step()
        taken += 1
        rate = 5e-6 * (1 - taken / STEPS) ** 0.9
        optimiser.param_groups[0]["lr"], optimiser.param_groups[1]["lr"] = rate, rate * 10.0
        return loss.item()

    return step


def our_step(
    state: dict[str, Tensor], encoder: str, batch: Batch, threads: int, precision: str, compiled: bool
) -> Callable[[], float]:
    """What a run of the recipe does with a batch; returns its loss."""
    device = batch.images.device
    recipe = load_recipe("metric-hypersim-small")
    network = DepthAnythingV2(CONFIGS[encoder].metric(MAX_DEPTH))
    network.load_state_dict(state, strict=False)
    if compiled:
        compile_network(network)
    model = TrainedNetwork(network.to(device), precision)
    pieces = min(threads, len(batch)) if device.type == "cpu" and not compiled else 1
    objective = Objective(recipe.loss, max_depth=MAX_DEPTH)
    gradients = Gradients(model, objective, World(0, 1, 0, device), precision=precision, threads=pieces)
    optimisers = make_optimisers(network, recipe.optim, muon_parts=pieces)
    taken = 0

    def step() -> float:
        nonlocal taken
        set_rates(optimisers, taken, STEPS, recipe.optim)
        loss = gradients.compute([batch], taken / STEPS)
        gradients.each(lambda optimiser: optimiser.step(), optimisers)
        taken += 1
        return loss.parts["total"]

    return step


def random_batch(count: int, side: int, device: torch.device) -> Batch:
    """Smooth depth between 1 and 15 m with a tenth of the pixels missing, and noise for images."""
    generator = torch.Generator().manual_seed(0)
    coarse = 1 + 14 * torch.rand(count, 1, 8, 8, generator=generator)
    depth = nn.functional.interpolate(coarse, (side, side), mode="bilinear")[:, 0]
    valid = torch.rand(count, side, side, generator=generator) < 0.9
    return Batch(
        images=torch.randn(count, 3, side, side, generator=generator).to(device),
        target=(depth * valid).to(device),
        valid=valid.to(device),
        positions=torch.arange(count),
        ids=tuple(map(str, range(count))),
    )


def seconds(call: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=["small", "base", "large"], default="small")
    parser.add_argument("--size", type=int, default=518)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="ours; the script's is fp32")
    parser.add_argument("--compile", action="store_true", help="ours with run.compile = true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    device = torch.device(arguments.device)
    torch.set_num_threads(arguments.threads)
    size = official_reference.SIZES[CONFIGS[arguments.encoder].encoder]
    state = official_reference.random_state(size)
    batch = random_batch(arguments.batch, arguments.size, device)
    with tempfile.TemporaryDirectory() as folder:
        store = dist.FileStore(str(Path(folder, "store")), 1)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=store, rank=0, world_size=1)
        try:
            script = official_step(state, size, batch)
            ours = our_step(state, arguments.encoder, batch, arguments.threads, arguments.precision, arguments.compile)
            for number in range(3):
                expected, found = script(), ours()
                print(f"loss of step {number}: {expected:.6f} the script's, {found:.6f} ours")
                if arguments.precision == "fp32" and abs(found - expected) > LIMIT * expected:
                    print("the losses differ: these are not the same training", file=sys.stderr)
                    return 1
            times = [(seconds(script, device), seconds(ours, device)) for _ in range(arguments.rounds)]
        finally:
            dist.destroy_process_group()
    ratio = statistics.median(theirs / mine for theirs, mine in times)
    print(
        f"{arguments.encoder}, batch {arguments.batch}, {arguments.size} px, {device.type}, {arguments.threads} threads"
    )
    print(
        f"our step ({arguments.precision}) gives {ratio:.2f} times the images a second of the script's; rounds: ",
        end="",
    )
    print(", ".join(f"{theirs / mine:.2f}" for theirs, mine in times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
