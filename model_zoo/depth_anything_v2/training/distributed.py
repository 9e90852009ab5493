"""Where a training process stands among the others, and how the network is spread over them.

The same program runs as one process (no process group at all) and under `torchrun`, which sets RANK, LOCAL_RANK and
WORLD_SIZE: gloo between CPU processes, NCCL between GPUs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from dabench.errors import UsageError

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others: longer than a large checkpoint takes to reach a slow disk."""

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among `size` equal ones. `device` is where its network lives."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes logs and exports."""
        return self.rank == 0

    @property
    def wide(self) -> torch.dtype:
        """What sums are kept in: float64 where the device has it."""
        return torch.float32 if self.device.type == "mps" else torch.float64

    def all_reduce(self, value: Tensor) -> Tensor:
        """Sum of `value` over all processes, as a new tensor without gradient; `value` itself is left alone."""
        total = value.detach().clone()
        if self.size > 1:
            dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in at least one process; every process gets the same answer."""
        return bool(self.all_reduce(torch.tensor(float(flag), device=self.device)) > 0)

    def gather(self, value: T) -> list[T]:
        """`value` of every process, in rank order, in every process. For small picklable values."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait until every process is here. A reduction rather than `dist.barrier`, which guesses NCCL's device."""
        if self.size > 1:
            self.any(False)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise UsageError(f"the environment variable {name} is '{text}', not a number", hint="use torchrun") from None


def choose_device(name: str, local_rank: int) -> torch.device:
    """`auto` (a GPU where there is one), `cpu`, `cuda` (the GPU of this local rank) or `cuda:N`.

    Raises UsageError when the GPU is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device '{name}'", hint="auto, cpu, cuda or cuda:0") from None
    if device.type != "cuda":
        return device
    if not torch.cuda.is_available():
        raise UsageError(f"device '{name}': PyTorch sees no GPU here", hint="use --device cpu, or check the driver")
    index = local_rank if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise UsageError(
            f"process {local_rank} of this machine has no GPU of its own: there are {torch.cuda.device_count()}",
            hint="start at most one process a GPU: torchrun --nproc-per-node gpu",
        )
    return torch.device("cuda", index)


@contextlib.contextmanager
def open_world(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun started, or be alone; leave them at the end.

    Raises UsageError for an incomplete environment or a missing GPU.
    """
    rank, size, local_rank = _number("RANK", 0), _number("WORLD_SIZE", 1), _number("LOCAL_RANK", 0)
    chosen = choose_device(device, local_rank)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    world = World(rank, size, local_rank, chosen)
    if size == 1:
        yield world
        return
    if not {"MASTER_ADDR", "MASTER_PORT", "RANK"} <= os.environ.keys():
        raise UsageError(
            f"WORLD_SIZE is {size}, but RANK, MASTER_ADDR or MASTER_PORT is not set",
            hint="start with `torchrun --nproc-per-node N -m dabench train ...`, or unset WORLD_SIZE",
        )
    if chosen.type == "cuda":
        dist.init_process_group("nccl", rank=rank, world_size=size, timeout=TIMEOUT, device_id=chosen)
    else:
        dist.init_process_group("gloo", rank=rank, world_size=size, timeout=TIMEOUT)
    try:
        yield world
        world.barrier()
    except BaseException:
        # Closing NCCL waits for collectives that the others may never join; torchrun ends them when this one ends.
        if chosen.type != "cuda":
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def spread(network: nn.Module, world: World, shard: str, blocks: Sequence[nn.Module], *, bf16: bool) -> nn.Module:
    """`network`, ready to be called by every process: gradients are averaged over them in the backward pass.

    `shard` is "ddp" (a whole copy in each) or "fsdp2" (parameters, gradients and optimiser states spread; `blocks`
    are gathered one at a time, the rest with the root; `bf16` computes in it and reduces gradients in float32).
    With one process the network itself comes back. FSDP2 changes it in place; its parameters become DTensors.
    """
    if world.size == 1:
        return network
    if shard == "ddp":
        # Default settings on purpose: a parameter without a gradient is a bug that should be seen.
        return DistributedDataParallel(network, device_ids=[world.device] if world.device.type == "cuda" else None)
    if shard != "fsdp2":
        raise UsageError(f"run.shard is '{shard}'", hint="ddp or fsdp2")
    mesh = dist.device_mesh.init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bf16 else None, reduce_dtype=torch.float32 if bf16 else None
    )
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(network, mesh=mesh, mp_policy=policy)
    return network


def whole(value: Tensor) -> Tensor:
    """The whole tensor of a sharded one (every process must call), or `value` itself."""
    return value.full_tensor() if isinstance(value, DTensor) else value
