"""Six images in two scenes with one pair each, in DA-2K layout."""

from __future__ import annotations

import json
from pathlib import Path

from dataset_builders import encoded, picture

PAIR = {"point1": [1, 2], "point2": [15, 20], "closer_point": "point2"}
KEYS = [f"images/{scene}/view_{i}.png" for scene in ("indoor", "aerial") for i in range(3)]
GROUPS = {"indoor", "aerial"}
IMAGES = 6


def write_pairs(root: Path, counts: list[int]) -> None:
    """Write the set with so many copies of the pair on each image."""
    for number, key in enumerate(KEYS):
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(number, 20, 30)))
    annotations = {key: [PAIR] * count for key, count in zip(KEYS, counts, strict=True)}
    (root / "annotations.json").write_text(json.dumps(annotations))


def build(folder: Path) -> Path:
    write_pairs(folder, [1] * 6)
    return folder
