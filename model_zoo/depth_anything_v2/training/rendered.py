"""A growing folder of rendered scenes, decoded once and kept in memory.

Layout (written by `dabench render`): `images/<scene>/<id>.jpg`, `depth/<scene>/<id>.png` (uint16 times `depth_scale` =
metres, 0 = no surface), `annotations.json` (DA-2K pairs) and `metadata.json` (one entry per image, with its seed).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

DISPARITY_LEVELS = 65535
"""Labels are kept as uint16 of the min-max range: half precision would be 30 times coarser near 1."""

READ_ATTEMPTS = 3
"""A file that another process is still writing gets this many chances, one a scan."""


@dataclass(frozen=True)
class RenderedSample:
    """One image with dense labels.

    image: uint8 [H, W, 3] RGB. disparity: uint16 [H, W], 0 (farthest, or sky) to 65535 (nearest), valid everywhere.
    pairs: int [N, 4] of (near row, near column, far row, far column) in pixels of `image`.
    """

    id: str
    image: npt.NDArray[np.uint8]
    disparity: npt.NDArray[np.uint16]
    pairs: npt.NDArray[np.int64]


def disparity_from_depth(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Depth [H, W] in metres (0 = no surface) -> min-max normalised inverse depth in 65535 steps.

    Pixels without a surface are sky: disparity 0, and valid (arXiv 2401.10891, section 3.1). Without any, the farthest
    surface becomes 0.
    """
    surface = depth > 0
    inverse = np.where(surface, 1.0 / np.where(surface, depth, 1.0), 0.0)
    low, high = float(inverse.min()), float(inverse.max())
    scaled = (inverse - low) / max(high - low, 1e-12)
    return np.round(scaled * DISPARITY_LEVELS).astype(np.uint16)


def held_out(seed: int | str | list[int], every: int) -> bool:
    """Whether a scene seed belongs to the monitoring slice: one in `every`, the same for ever and in every folder."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    return int.from_bytes(digest[:4], "big") % every == 0


def _pairs(annotations: object) -> npt.NDArray[np.int64]:
    rows = []
    for pair in annotations if isinstance(annotations, list) else []:
        near, far = ("point1", "point2") if pair["closer_point"] == "point1" else ("point2", "point1")
        rows.append([*pair[near], *pair[far]])
    return np.array(rows, np.int64).reshape(-1, 4)


def drawn_pairs(disparity: npt.NDArray[np.uint16], seed: int, count: int = 4) -> npt.NDArray[np.int64]:
    """Pairs as in `RenderedSample` for an image that came without: clearly apart in disparity, and alternately won by

    the lower and the upper point, so that the location prior scores one half. May return fewer than `count`.
    """
    rng = np.random.default_rng(seed)
    height, width = disparity.shape
    points = rng.integers(0, [height, width, height, width], (400, 4))
    first = disparity[points[:, 0], points[:, 1]].astype(np.int64)
    second = disparity[points[:, 2], points[:, 3]].astype(np.int64)
    points = np.where((first > second)[:, None], points, points[:, [2, 3, 0, 1]])[np.abs(first - second) > 5000]
    lower = points[:, 0] > points[:, 2]
    half = min(count // 2, int(lower.sum()), int((~lower).sum()))
    return np.concatenate([points[lower][:half], points[~lower][:half]])


@dataclass
class RenderedPool:
    """Samples of one or more rendered-set folders; `scan` picks up what has been added since.

    `validation` comes from the first root only, and shares no scene seed with `train`. Both are sorted by id, so equal
    folders give equal pools.
    """

    roots: tuple[Path, ...]
    repeats: tuple[int, ...] = ()
    """How many times each root's images count when a batch is drawn; once where not given."""
    holdout_every: int = 24
    validation_limit: int = 96
    train: list[RenderedSample] = field(default_factory=list)
    validation: list[RenderedSample] = field(default_factory=list)
    unreadable: dict[str, int] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _root_of: dict[str, int] = field(default_factory=dict)

    def scan(self) -> int:
        """Decode what is new and return how many samples that were. Half-written index files are left for later."""
        before = len(self._known)
        for index, root in enumerate(self.roots):
            try:
                samples = json.loads((root / "metadata.json").read_text())["samples"]
                annotations = json.loads((root / "annotations.json").read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                continue
            for name in sorted(samples):
                key = f"{root}:{name}"
                if key in self._known or self.unreadable.get(key, 0) >= READ_ATTEMPTS:
                    continue
                self._add(index, name, samples[name], annotations.get(name, []), key)
        self.train = sorted(self.train, key=lambda sample: sample.id)
        self.validation = sorted(self.validation, key=lambda sample: sample.id)
        return len(self._known) - before

    def draw(self, rng: np.random.Generator, count: int) -> list[RenderedSample]:
        """`count` different training samples, each with a chance in proportion to its root's repeats."""
        train = self.train
        weights = np.array([self.repeats[self._root_of[s.id]] if self.repeats else 1 for s in train], np.float64)
        return [train[i] for i in rng.choice(len(train), count, replace=False, p=weights / weights.sum())]

    def _add(self, index: int, name: str, entry: Mapping[str, Any], annotations: object, key: str) -> None:
        is_held_out = held_out(entry["seed"], self.holdout_every)
        if is_held_out and (index > 0 or len(self.validation) >= self.validation_limit):
            self._known.add(key)  # never trained on; the monitor is the first root's, and large enough
            return
        root = self.roots[index]
        image = cv2.imread(str(root / name), cv2.IMREAD_COLOR_RGB)
        label_name = Path("depth", *Path(name).parts[1:]).with_suffix(".png")
        depth = cv2.imread(str(root / label_name), cv2.IMREAD_UNCHANGED)
        if image is None or depth is None or depth.dtype != np.uint16 or image.shape[:2] != depth.shape:
            self.unreadable[key] = self.unreadable.get(key, 0) + 1
            return
        disparity = disparity_from_depth(depth.astype(np.float32) * np.float32(entry["depth_scale"]))
        pairs = _pairs(annotations)
        if is_held_out and not len(pairs):
            pairs = drawn_pairs(disparity, zlib.crc32(name.encode()))
        sample = RenderedSample(str(Path(name).with_suffix("")), np.asarray(image, np.uint8), disparity, pairs)
        self._root_of[sample.id] = index
        (self.validation if is_held_out else self.train).append(sample)
        self._known.add(key)
