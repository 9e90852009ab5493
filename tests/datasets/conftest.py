"""Builders of tiny sets: in DA-2K layout with given annotations, and the official layouts as ``dataset_builders``."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


def _name_the_builders() -> None:
    """Make builders/ importable as ``dataset_builders`` for the tests here, whatever folder pytest was started in."""
    folder = Path(__file__).parent / "builders"
    spec = importlib.util.spec_from_file_location(
        "dataset_builders", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["dataset_builders"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_name_the_builders()
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
