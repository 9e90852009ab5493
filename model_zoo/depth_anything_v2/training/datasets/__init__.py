"""Labelled images for training, each set in its official layout, by the names that recipes use."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dabench.errors import UsageError

if TYPE_CHECKING:
    from dabench.registry import Registry

    from ..sample import TrainingDataset

_HERE = "model_zoo.depth_anything_v2.training.datasets"

DATASETS = {
    "blended-mvs": f"{_HERE}.blended_mvs:BlendedMVS",
    "folder-depth": f"{_HERE}.folder_depth:FolderDepth",
    "hypersim": f"{_HERE}.hypersim:Hypersim",
    "irs": f"{_HERE}.irs:IRS",
    "pseudo-labelled": "model_zoo.depth_anything_v2.training.pseudo_labelled:PseudoLabelled",
    "rendered": f"{_HERE}.rendered:Rendered",
    "tartanair": f"{_HERE}.tartanair:TartanAir",
    "unreal-stereo-4k": f"{_HERE}.unreal_stereo_4k:UnrealStereo4K",
    "virtual-kitti-2": f"{_HERE}.virtual_kitti_2:VirtualKitti2",
}
"""Name -> "module:class"; a class is imported when it is first asked for."""


@cache
def registry() -> Registry[type[TrainingDataset]]:
    """All training sets by name."""
    from dabench.registry import Registry

    from ..sample import TrainingDataset

    known: Registry[type[TrainingDataset]] = Registry(
        "training set", lambda value: isinstance(value, type) and issubclass(value, TrainingDataset)
    )
    for name, path in DATASETS.items():
        known.register(name, path)
    return known


def open_dataset(name: str, root: Path | Sequence[Path], **options: Any) -> TrainingDataset:
    """The training set `name` that lies at `root`, with the options of its reader.

    Raises:
        UnknownNameError: no such set; the message has the nearest names.
        UsageError: an option that its reader does not have, a missing one, or a value it does not know.
        DatasetError: `root` has not the layout of the set; the message names the folder that was expected.
    """
    reader = registry().get(name)
    parameters = [p for p in inspect.signature(reader).parameters.values() if p.kind is p.KEYWORD_ONLY]
    known = [parameter.name for parameter in parameters]
    for option in options:
        if option not in known:
            raise UsageError(f"training set '{name}' has no option '{option}'", hint=f"it has {', '.join(known)}")
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if missing:
        raise UsageError(f"training set '{name}' needs the option '{missing[0]}'")
    return reader(root, **options)  # type: ignore[call-arg]
