"""A small pair set, and a small dense set with sequences, splits and fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from dabench import protocols
from dabench.datasets import registry
from dabench.datasets.base import Dataset, DatasetInfo
from dabench.datasets.formats import read_image
from dabench.protocols import Protocol
from dabench.types import GroundTruth

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


class Toy(Dataset):
    """A dense set on disk: ``images/<clip>/<n>.png``, ``near|far/<clip>/<n>.npy``; clips are sequences and groups.

    Attributes:
        reads: what was read, in order, as ``(kind, id)``; shared by all instances.
    """

    info = DatasetInfo(
        name="toy",
        title="toy",
        summary="a small dense set",
        tasks=("depth",),
        licence="none",
        source="made by the tests",
        layout="images and depth",
        how_to_get="make it",
        splits=("all", "even"),
        fields=("near", "far"),
    )
    reads: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, root: Path | None, *, task: str, only: Any = None, split: Any = None, field: Any = None) -> None:
        super().__init__(root, task=task, only=only, split=split, field=field)
        assert root is not None
        found = sorted(str(p.relative_to(root).with_suffix("")) for p in (root / "images").rglob("*.png"))
        self._all = [i for i in found if self.split == "all" or int(i[-2:]) % 2 == 0]
        self._ids = tuple(i for i in self._all if only is None or i in only)

    @property
    def ids(self) -> tuple[str, ...]:
        return self._ids

    @property
    def total_samples(self) -> int:
        return len(self._all)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.split} {self.field} {self._all}".encode()).hexdigest()

    def image(self, sample_id: str) -> np.ndarray:
        self.reads.append(("image", sample_id))
        assert self.root is not None
        return read_image(self.root / f"{sample_id}.png")

    def ground_truth(self, sample_id: str) -> GroundTruth:
        self.reads.append((self.field, sample_id))
        assert self.root is not None
        depth = np.load(self.root / self.field / f"{sample_id.removeprefix('images/')}.npy")
        return GroundTruth(depth, depth > 0)

    def sequence(self, sample_id: str) -> str:
        return sample_id.split("/")[1]

    def group(self, sample_id: str) -> str:
        return self.sequence(sample_id)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Register the set ``toy`` and write it below a data root; returns the root.

    The image tells the depth: ``near`` is 1 + (red + 256 * green) / 1000 metres, ``far`` twice that, with holes.
    """
    monkeypatch.setitem(registry()._items, "toy", Toy)
    monkeypatch.setattr(Toy, "reads", [])

    def make(clips: Sequence[int] = (3, 4), size: tuple[int, int] = (12, 16), depth_size: Any = None) -> Path:
        for clip, frames in enumerate(clips):
            for frame in range(frames):
                rng = np.random.default_rng([clip, frame])
                codes = rng.integers(0, 4000, size, dtype=np.uint16)
                name = f"clip{clip}/{frame:02}"
                for folder in ("images", "near", "far"):
                    (tmp_path / "toy" / folder / f"clip{clip}").mkdir(parents=True, exist_ok=True)
                blue = np.full(size, 10 * clip + frame)
                pixels = np.dstack([codes % 256, codes // 256, blue]).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "toy" / "images" / f"{name}.png")
                depth = (1.0 + codes / 1000.0).astype(np.float32)
                depth[rng.random(size) < 0.1] = 0.0
                if depth_size is not None:
                    rows = np.arange(depth_size[0]) * size[0] // depth_size[0]
                    columns = np.arange(depth_size[1]) * size[1] // depth_size[1]
                    depth = depth[rows][:, columns]
                np.save(tmp_path / "toy" / "near" / f"{name}.npy", depth)
                np.save(tmp_path / "toy" / "far" / f"{name}.npy", 2 * depth)
        return tmp_path

    return make


TOY_PROTOCOL = """
name = "{name}"
version = 1
task = "depth"
title = "a recipe of the tests"
status = "house"
description = "made by the tests"
sources = ["the tests"]
metrics = ["abs_rel", "delta1", "rmse"]
{top}
[dataset]
name = "toy"
split = "{split}"
[valid]
field = "{field}"
{valid}
[alignment]
disparity_floor = 1e-3
depth_range = [1e-3, 100.0]
{alignment}
[aggregation]
total = "{total}"
group_interval = "bootstrap-by-image"
{more}
"""


@pytest.fixture
def recipe() -> Callable[..., Protocol]:
    """Make a protocol of the set ``toy``."""

    def make(name: str = "toy-a", **parts: str) -> Protocol:
        defaults = {
            "split": "all",
            "field": "near",
            "valid": "",
            "alignment": "",
            "total": "mean-of-images",
            "more": "",
            "top": "",
        }
        return protocols.parse(TOY_PROTOCOL.format(name=name, **{**defaults, **parts}), name)

    return make
