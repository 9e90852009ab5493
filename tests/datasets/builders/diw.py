"""DIW's layout: a CSV of two lines an image, coordinates from 1, JPEG files named .thumb."""

from __future__ import annotations

from pathlib import Path

from dataset_builders import encoded, picture

GROUPS = {"symmetric", "unconstrained"}
IMAGES = 6
RECORDS = ["20,30,1,1,>,30,20", "5,3,5,28,<,30,20", "1,30,20,1,<,30,20", "9,9,9,22,>,30,20", "2,3,4,5,<,30,20",
           "7,10,7,20,>,30,20"]  # fmt: skip


def build(folder: Path) -> Path:
    root = folder / "diw"
    (root / "DIW_test").mkdir(parents=True)
    lines = []
    for number, record in enumerate(RECORDS):
        (root / f"DIW_test/{number:08x}.thumb").write_bytes(encoded(picture(number, 20, 30), ".jpg"))
        lines += [f"./DIW_test/{number:08x}.thumb", record]
    (root / "DIW_test.csv").write_text("\n".join(lines) + "\n")
    return folder
