"""A small rendered set on disk, in the layout of `dabench render`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

SIZE = (42, 56)
DEPTH_SCALE = 0.001


@pytest.fixture
def write_rendered_set() -> Callable[..., None]:
    """(root, seeds, prefix="a") -> writes one image per seed: a tilted ground whose slope depends on the seed."""

    def write(root: Path, seeds: Sequence[int], prefix: str = "a") -> None:
        samples = {}
        for folder in ("images", "depth"):
            (root / folder / "indoor").mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
            depth = 1 + (SIZE[0] - rows) * rng.uniform(0.02, 0.1) + columns * rng.uniform(0, 0.02)
            image = np.clip(255 / depth[..., None] * rng.uniform(0.3, 1, 3), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / f"images/indoor/{prefix}_{seed:04d}.jpg"), image)
            cv2.imwrite(str(root / f"depth/indoor/{prefix}_{seed:04d}.png"), (depth / DEPTH_SCALE).astype(np.uint16))
            samples[f"images/indoor/{prefix}_{seed:04d}.jpg"] = {
                "depth_scale": DEPTH_SCALE,
                "scene": "indoor",
                "seed": seed,
                "families": [],
            }
        (root / "annotations.json").write_text("{}")
        (root / "metadata.json").write_text(json.dumps({"format": 1, "samples": samples}))

    return write
