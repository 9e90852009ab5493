"""MPI-Sintel: three folders of 23 scenes, written from the readme of the depth package."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from dataset_builders import encoded, fill

SCENES = {
    "alley_1": 50, "alley_2": 50, "ambush_2": 21, "ambush_4": 33, "ambush_5": 50, "ambush_6": 20, "ambush_7": 50,
    "bamboo_1": 50, "bamboo_2": 50, "bandage_1": 50, "bandage_2": 50, "cave_2": 50, "cave_4": 50, "market_2": 50,
    "market_5": 50, "market_6": 40, "mountain_1": 50, "shaman_2": 50, "shaman_3": 50, "sleeping_1": 50,
    "sleeping_2": 50, "temple_2": 50, "temple_3": 50,
}  # fmt: skip
SOLID = True
SEQUENCES = True


def depth_map(seed: int, height: int = 436, width: int = 1024) -> bytes:
    """Depth that grows downwards, with a sky of 1e5 m in the first rows."""
    values = np.linspace(1 + seed, 60, height * width, dtype="<f4")
    values[: 5 * width] = 1e5
    return b"PIEH" + struct.pack("<2i", width, height) + values.tobytes()


def camera(focal: float) -> bytes:
    numbers = [focal, 0, 511.5, 0, focal, 217.5, 0, 0, 1, *[1, 0, 0, 4, 0, 1, 0, 5, 0, 0, 1, 6]]
    return b"PIEH" + struct.pack("<21d", *numbers)


def build(folder: Path) -> Path:
    training = folder / "sintel" / "training"
    frames = [f"{scene}/frame_{i:04d}" for scene, count in SCENES.items() for i in range(1, count + 1)]
    ramp = np.tile((np.arange(1024) // 4).astype(np.uint8), (436, 1))
    for number, rendering in enumerate(("final", "clean")):
        pictures = [encoded(np.dstack([ramp, ramp // 2, np.full_like(ramp, 9 * i + number)])) for i in range(3)]
        fill((training / rendering / f"{f}.png" for f in frames), pictures)
    fill((training / "depth" / f"{f}.dpt" for f in frames), [depth_map(i) for i in range(2)])
    fill((training / "camdata_left" / f"{f}.cam" for f in frames), [camera(1120.0), camera(800.5)])
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    *_, scene, frame = sample_id.split("/")
    return root / "training" / "depth" / scene / f"{frame}.dpt"
