"""Checkpoints of a training run: whole or not there, and readable at any number of processes.

    checkpoints/step_00002000/.metadata *.distcp     tensors (torch.distributed.checkpoint)
                              state.json             step, recipe, counters

A checkpoint is written under a hidden name, forced to disk and then renamed, so a folder called `step_*` is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException

from dabench.errors import CheckpointError

from .distributed import World

_NAME = re.compile(r"step_(\d{8})")
_FAILURES = (OSError, RuntimeError, CheckpointException)


class Checkpoints:
    """The checkpoints in `folder`, which all processes of `world` see, the newest `keep` of them."""

    def __init__(self, folder: Path, world: World, keep: int) -> None:
        self.folder, self.world, self.keep = folder, world, keep

    def complete(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if _NAME.fullmatch(p.name) and (p / "state.json").is_file())

    def latest(self) -> Path | None:
        """The newest complete one; the same in every process."""
        found = self.complete() if self.world.first else []
        return self.world.gather(found[-1] if found else None)[0]

    def save(self, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
        """Write `tensors` (plain ones equal in all processes, or shards) and `facts`; remove what is too old.

        Raises CheckpointError, in every process, when the disk does not take it; earlier checkpoints stay.
        """
        target = self.folder / f"step_{step:08d}"
        partial = self.folder / f".{target.name}.partial"
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        alone = self.world.size == 1

        def prepare() -> None:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(".step_*.partial"):
                shutil.rmtree(left)
            partial.mkdir()

        def write() -> None:
            writer = dcp.FileSystemWriter(partial, sync_files=True, overwrite=True)
            with _quiet():
                dcp.save(dict(tensors), storage_writer=writer, no_dist=alone)

        def finish() -> None:
            with (partial / "state.json").open("w", encoding="utf-8") as stream:
                json.dump(facts, stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            _sync(partial)
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
            _sync(self.folder)

        for action, everywhere in ((prepare, False), (write, True), (finish, False)):
            self._together(action if everywhere or self.world.first else None, target, partial, size)
        if self.world.first:
            for old in self.complete()[: -self.keep]:
                # Renamed first: a removal that is cut short must not leave what looks complete.
                doomed = old.with_name(f".{old.name}.partial")
                with contextlib.suppress(OSError):
                    old.rename(doomed)
                    shutil.rmtree(doomed)
        return target

    def _together(self, action: Callable[[], None] | None, target: Path, partial: Path, size: int) -> None:
        """Run `action` here and raise in every process what went wrong in any."""
        problem = None
        try:
            if action is not None:
                action()
        except _FAILURES as error:
            problem = _reason(error)
        problems = [reason for reason in self.world.gather(problem) if reason]
        if not problems:
            return
        free = ""
        if self.world.first:
            with contextlib.suppress(OSError):
                shutil.rmtree(partial, ignore_errors=True)
                free = f", {shutil.disk_usage(self.folder).free / 1e9:.2f} GB are free there"
        kept = self.latest()
        left = f"the checkpoint {kept} is whole" if kept else "there is no earlier checkpoint"
        raise CheckpointError(
            f"the checkpoint {target} could not be written: {problems[0]} (it takes {size / 1e9:.2f} GB{free})",
            hint=f"make room, or lower run.keep, and give the same command again: {left}",
        )

    def facts(self, path: Path) -> dict[str, Any]:
        """`state.json` of a checkpoint. Raises CheckpointError when it is damaged."""
        try:
            content = json.loads((path / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(path, str(error)) from error
        if not isinstance(content, dict) or not isinstance(content.get("step"), int):
            raise self._damaged(path, "state.json has no step")
        return content

    def load(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Read a checkpoint into `tensors`, in place; they may be sharded otherwise than when it was written.

        Raises CheckpointError, naming it, when it is damaged or holds other tensors.
        """
        state = dict(tensors)
        known = dict(tensors)
        try:
            reader = dcp.FileSystemReader(path)
            found = reader.read_metadata().state_dict_metadata
            for name, tensor in known.items():
                stored = getattr(found.get(name), "size", None)
                if stored is None or tuple(stored) != tuple(tensor.shape):
                    seen = "is missing" if stored is None else f"has shape {list(stored)}, not {list(tensor.shape)}"
                    raise CheckpointError(f"{path}: {name} {seen}", hint="it belongs to another recipe; use --fresh")
            with torch.no_grad(), _quiet():
                dcp.load(state, storage_reader=reader, no_dist=self.world.size == 1)
                for name, tensor in known.items():
                    if state[name] is not tensor:
                        tensor.copy_(state[name])
        except CheckpointError:
            raise
        except (
            Exception,
            CheckpointException,
        ) as error:  # damage shows up as anything from EOFError to UnpicklingError
            raise self._damaged(path, _reason(error)) from error

    def _damaged(self, path: Path, reason: str) -> CheckpointError:
        return CheckpointError(
            f"the checkpoint {path} is damaged: {reason}",
            hint="remove this folder; the same command then goes on from the one before it",
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning that there is only one process, which is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _reason(error: BaseException) -> str:
    """The innermost cause, in words."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    while error.__cause__ is not None or (isinstance(error, RuntimeError) and error.__context__ is not None):
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).splitlines()[0]


def _sync(folder: Path) -> None:
    """Force a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
