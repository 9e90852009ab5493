"""NYU Depth V2 as Marigold extracts it: PNG images, depth in millimetres, 1-based names of four digits."""

from __future__ import annotations

from pathlib import Path

from dataset_builders import encoded, fill
from dataset_builders.nyu_d import TEST, picture
from dataset_builders.nyu_d_bts import GROUPS, SCENES, millimetres

NAME = "nyu-d"
ABSENT = {("test", "filled"): "are raw depth again"}
__all__ = ["ABSENT", "GROUPS", "NAME", "build", "image_file", "truth_file"]


def build(folder: Path) -> Path:
    test = folder / "nyu-d" / "test"
    names = [f"{SCENES[i % 3]}/@_{i + 1:04d}.png" for i in TEST]
    fill((test / n.replace("@", "rgb") for n in names), [encoded(picture(i)) for i in range(3)])
    for kind in ("depth", "filled"):
        fill((test / n.replace("@", kind) for n in names), [millimetres(i) for i in range(3)])
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    return root / f"{sample_id.replace('/rgb_', '/depth_')}.png"


def image_file(root: Path, sample_id: str) -> Path:
    return root / f"{sample_id}.png"
