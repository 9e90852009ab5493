"""MD-3K's layout: DA-2K's JSON with points as [x, y] and a label for the second layer."""

from __future__ import annotations

import json
from pathlib import Path

from dataset_builders import encoded, picture

LABELS = [1, 2, 2, 1, 2, 1, 2, 1, 0]


def build(folder: Path) -> Path:
    root = folder / "md-3k"
    (root / "images").mkdir(parents=True)
    annotations = {}
    for number, label in enumerate(LABELS):
        (root / f"images/{number}.png").write_bytes(encoded(picture(number, 20, 30)))
        annotations[f"./images/{number}.png"] = [{"point1": [29, number], "point2": [3, 19], "label": label}]
    (root / "annotations.json").write_text(json.dumps(annotations))
    return folder
