"""A folder with a dataset.toml: nested images, raw 16-bit maps in millimetres under another suffix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_builders import encoded, picture

GROUPS = {"kitchen", "yard"}
IMAGES = 6
SEQUENCES = True
TEXT = """
expected = 6

[images]
folder = "rgb"
suffix = "_color.png"

[depth]
folder = "maps"
suffix = "_depth.png"
metres_per_value = 0.001
invalid = [65535]
"""


def build(folder: Path) -> Path:
    root = folder / "mine"
    for number in range(IMAGES):
        place, name = ("kitchen/a", "yard")[number % 2], f"v.{number}"
        image, depth = root / "rgb" / place / f"{name}_color.png", root / "maps" / place / f"{name}_depth.png"
        for path in (image, depth):
            path.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(encoded(picture(number, 10, 14)))
        codes = np.random.default_rng(number).integers(1, 65535, (10, 14), dtype=np.uint16)
        codes[0], codes[1] = 0, 65535
        depth.write_bytes(encoded(codes))
    (root / "dataset.toml").write_text(TEXT)
    return root


def truth_file(root: Path, sample_id: str, split: str, field: str) -> Path:
    return root / f"{sample_id.replace('rgb/', 'maps/', 1).removesuffix('_color')}_depth.png"
