"""A rendered set: DA-2K's layout, uint16 depth maps with a scale for each in metadata.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from dataset_builders import encoded
from dataset_builders.pairs import GROUPS, IMAGES, KEYS, write_pairs

__all__ = ["GROUPS", "IMAGES", "build"]


def build(folder: Path) -> Path:
    root = folder / "mini"
    write_pairs(root, [1] * 6)
    for number, key in enumerate(KEYS):
        path = root / key.replace("images", "depth")
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = np.random.default_rng(number).integers(1, 65536, (20, 30), dtype=np.uint16)
        raw[0] = 0
        path.write_bytes(encoded(raw))
    samples = {key: {"depth_scale": 0.001 * (i + 1)} for i, key in enumerate(KEYS)}
    (root / "metadata.json").write_text(json.dumps({"format": 1, "samples": samples}))
    return folder


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    return root / f"{sample_id.replace('images', 'depth', 1)}.png"
