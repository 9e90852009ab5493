"""NYU Depth V2 as sparse-to-dense and FastDepth have it: one HDF5 file an image, 1-based names, filled depth."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
from dataset_builders import fill
from dataset_builders.nyu_d import TEST, depth, picture

NAME = "nyu-d"
ABSENT = {("test", "raw"): "its depth is the filled one"}
SOLID = True


def content(seed: int) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("rgb", data=np.ascontiguousarray(picture(seed).transpose(2, 0, 1)), compression="gzip")
        file.create_dataset("depth", data=depth(seed, "filled"), compression="gzip")
    return stream.getvalue()


def build(folder: Path) -> Path:
    fill((folder / "nyu-d" / f"val/official/{i + 1:05d}.h5" for i in TEST), [content(i) for i in range(3)])
    return folder


def image_file(root: Path, sample_id: str) -> Path:
    return root / f"{sample_id}.h5"


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    return image_file(root, sample_id)
