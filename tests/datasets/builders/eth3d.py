"""ETH3D's layout with 454 tiny images: JPEG photographs, and raw float32 maps under .JPG names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_builders import encoded, fill, picture

SCENES = {
    "courtyard": 38, "delivery_area": 44, "electro": 45, "facade": 76, "kicker": 31, "meadow": 15, "office": 26,
    "pipes": 14, "playground": 38, "relief": 31, "relief_2": 31, "terrace": 23, "terrains": 42,
}  # fmt: skip
GROUPS = set(SCENES)
IMAGES = 454
HEIGHT, WIDTH = 6, 9


def listed() -> list[str]:
    """``scene/name`` of all images: the numbers of the photographs are facts that only the list has."""
    shipped = Path(__file__).parents[3] / "dabench" / "datasets" / "splits" / "eth3d.txt"
    return shipped.read_text().split()


def raw_map(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    depth = np.random.default_rng(seed).uniform(0.5, 40, (height, width)).astype("<f4")
    depth[0] = np.inf
    return depth


def build(folder: Path) -> Path:
    root = folder / "eth3d"
    photographs = [encoded(picture(seed, HEIGHT, WIDTH), ".jpg") for seed in range(3)]
    maps = [raw_map(seed).tobytes() for seed in range(3)]
    for below, contents in (
        ("images/dslr_images", photographs),
        ("images/dslr_images_undistorted", photographs),
        ("ground_truth_depth/dslr_images", maps),
    ):
        fill((root / scene / below / f"{name}.JPG" for scene, name in (k.split("/") for k in listed())), contents)
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    scene, _, _, name = sample_id.split("/")
    return root / scene / "ground_truth_depth" / "dslr_images" / f"{name}.JPG"
