"""DIODE's layout with 771 tiny images, float32 depth of three axes and masks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from dataset_builders import encoded, fill, picture

HEIGHT, WIDTH = 6, 8


def listed(half: str) -> list[str]:
    shipped = Path(__file__).parents[3] / "dabench" / "datasets" / "splits" / f"diode-{half}.txt"
    return shipped.read_text().split()


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def depth_and_mask(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.6, 300, (HEIGHT, WIDTH, 1)).astype(np.float32)
    mask = (rng.random((HEIGHT, WIDTH)) < 0.7).astype(np.float64 if seed else np.float32)
    mask[0, :2], mask[1, 1] = (0, 1), 0
    depth[2, 3], mask[2, 3] = 0, 1
    return depth, mask


def build(folder: Path) -> Path:
    ids = [key for half in ("indoor", "outdoor") for key in listed(half)]
    pairs = [depth_and_mask(seed) for seed in range(3)]
    for suffix, contents in (
        (".png", [encoded(picture(seed, HEIGHT, WIDTH)) for seed in range(3)]),
        ("_depth.npy", [npy(depth) for depth, _ in pairs]),
        ("_depth_mask.npy", [npy(mask) for _, mask in pairs]),
    ):
        fill((folder / "diode" / "val" / f"{key}{suffix}" for key in ids), contents)
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    return root / f"{sample_id}_depth{'_mask' if field == 'masked' else ''}.npy"
