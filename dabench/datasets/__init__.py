"""Readers: files on disk, in their official layout, as samples. A reader says nothing about scoring."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dabench.errors import DatasetError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from dabench.datasets.base import Dataset
    from dabench.registry import Registry

_READERS = {
    "da-2k": "dabench.datasets.da2k:Da2k",
    "diode": "dabench.datasets.diode:Diode",
    "diw": "dabench.datasets.diw:Diw",
    "eth3d": "dabench.datasets.eth3d:Eth3d",
    "folder": "dabench.datasets.folder:Folder",
    "kitti": "dabench.datasets.kitti:Kitti",
    "md-3k": "dabench.datasets.md3k:Md3k",
    "mini": "dabench.datasets.mini:Mini",
    "moge-eval": "dabench.datasets.moge_eval:MogeEval",
    "nyu-d": "dabench.datasets.nyu:NyuD",
    "pairs": "dabench.datasets.pairs:Pairs",
    "sintel": "dabench.datasets.sintel:Sintel",
}


@cache
def registry() -> Registry[type[Dataset]]:
    """All readers by dataset name."""
    from dabench.datasets.base import Dataset
    from dabench.registry import Registry

    readers: Registry[type[Dataset]] = Registry("dataset", lambda v: isinstance(v, type) and issubclass(v, Dataset))
    for name, path in _READERS.items():
        readers.register(name, path)
    return readers


def resolve_root(name: str, data_root: Path | None) -> Path | None:
    """Where dataset ``name`` lies: its folder under ``data_root``, the set itself, or ``None`` for a bundled one.

    Raises:
        UsageError: the dataset needs a root and none was given.
    """
    reader = registry().get(name)
    if data_root is None:
        if reader.info.bundled:
            return None
        raise UsageError(
            f"dataset '{name}' needs its files on disk and no data root was given",
            hint=f"pass --data-root DIR or set DABENCH_DATA; {reader.info.how_to_get}",
        )
    if reader.info.root_is_set:
        return data_root
    if reader.info.bundled:
        own = data_root / name
        return own if own.is_dir() else None
    return data_root / name


def open_dataset(
    name: str,
    data_root: Path | None = None,
    *,
    task: str | None = None,
    only: frozenset[str] | None = None,
    split: str | None = None,
    field: str | None = None,
) -> Dataset:
    """Open a dataset for reading.

    Args:
        name: registered name.
        data_root: folder that holds one folder a dataset (the set itself, for ``pairs`` and ``folder``).
        task: ``pairs`` or ``depth``, for datasets that have both.
        only: read and validate just these sample ids; the others need not be on disk.
        split: part of the dataset; its first by default.
        field: kind of dense ground truth; its first by default.

    Raises:
        UnknownNameError: no such dataset, split or field.
        DatasetError: the root is absent, incomplete or malformed; the message lists what is wrong.
    """
    reader = registry().get(name)
    root = resolve_root(name, data_root)
    if root is not None and not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        hint = f"{reader.info.how_to_get}\n  {reader.info.layout}"
        if root != data_root:
            hint = f"--data-root names the folder that holds '{name}', not the set itself; {hint}"
        raise DatasetError(f"dataset '{name}': {root} {what}", hint=hint)
    task = task or reader.info.tasks[0]
    if task not in reader.info.tasks:
        raise UsageError(
            f"dataset '{name}' has no ground truth for task '{task}'; it has {', '.join(reader.info.tasks)}"
        )
    for kind, chosen, known in (("split", split, reader.info.splits), ("field", field, reader.info.fields)):
        if chosen is not None and chosen not in known:
            raise UnknownNameError(f"{kind} of dataset '{name}'", chosen, known, hint=f"known: {', '.join(known)}")
    return reader(root, task=task, only=only, split=split, field=field)
