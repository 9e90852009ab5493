"""DA-2K's layout with its 2068 pairs on six images."""

from __future__ import annotations

from pathlib import Path

from dataset_builders.pairs import GROUPS, IMAGES, write_pairs

__all__ = ["GROUPS", "IMAGES", "build"]


def build(folder: Path) -> Path:
    write_pairs(folder / "da-2k", [2068 // 6 + (i < 2068 % 6) for i in range(6)])
    return folder
