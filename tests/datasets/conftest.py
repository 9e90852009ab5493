"""Builders of tiny sets in DA-2K layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

MakePairs = Callable[..., Path]


@pytest.fixture
def make_pairs(tmp_path: Path) -> MakePairs:
    """Write a set: ``annotations`` as they are, and a ``size`` (rows, columns) image for every key not ``absent``."""

    def make(
        annotations: Any, *, name: str = "set", size: tuple[int, int] = (20, 30), absent: tuple[str, ...] = ()
    ) -> Path:
        root = tmp_path / name
        root.mkdir(parents=True)
        text = annotations if isinstance(annotations, str) else json.dumps(annotations, ensure_ascii=False)
        (root / "annotations.json").write_text(text, encoding="utf-8")
        for number, key in enumerate(annotations if isinstance(annotations, dict) else ()):
            path = root / key
            if key in absent or root.resolve() not in path.resolve().parents:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        return root

    return make
