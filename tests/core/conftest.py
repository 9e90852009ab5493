"""A small pair set and models that fail in the ways models fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PairSet = Callable[..., Path]


@pytest.fixture
def pair_set(tmp_path: Path) -> PairSet:
    """Write ``images`` 24x32 images in two scenes, each brighter where it is nearer, with three correct pairs each.

    The mean brightness of image number i is near 10 * i, so that a model can tell the images apart.
    """

    def make(images: int = 6, name: str = "set") -> Path:
        root = tmp_path / name
        annotations = {}
        for number in range(images):
            rng = np.random.default_rng(number)
            pixels = (np.arange(24 * 32).reshape(24, 32) % 37 + 10 * (number % 20)).astype(np.uint8)
            key = f"images/{'indoor' if number % 2 else 'aerial'}/rgb_{number:03}.png"
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.dstack([pixels] * 3)).save(path)
            pairs = []
            while len(pairs) < 3:
                a, b = ([int(rng.integers(24)), int(rng.integers(32))] for _ in range(2))
                if pixels[tuple(a)] != pixels[tuple(b)]:
                    first = bool(pixels[tuple(a)] > pixels[tuple(b)])
                    pairs.append({"point1": a, "point2": b, "closer_point": "point1" if first else "point2"})
            annotations[key] = pairs
        (root / "annotations.json").write_text(json.dumps(annotations))
        return root

    return make
