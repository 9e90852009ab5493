"""The two domains on disk, as rendered sets: S (clean and synthetic) and R (the stand-in for real photographs).

R's exact depth is for scoring, and for the labels of the noisy arms, which a made-up sensor spoils. A set's folder
carries a hash of everything that makes it, so another recipe of a set is another folder and nothing is ever mixed up.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dabench.render.camera_pipeline import photograph
from model_zoo.depth_anything_v2.training import sketch
from model_zoo.depth_anything_v2.training.raycast import View

from . import grammars
from .noisy_labels import corrupt

VERSION = 1
"""Of everything here and in `grammars.py`, the camera and the sensor: raise it when any image or label changes."""

FAR = 500.0
"""Metres; what is beyond counts as sky."""

STEPS = 65000
CHUNK = 50
GAMMA = 2.2

Maker = Callable[[np.random.Generator], View]


@dataclass(frozen=True)
class SetSpec:
    """A set of images.

    grammars: names, drawn with equal chance. stream: first number of the generators' keys, one a set, so no two sets
    share a scene. size: (rows, columns) in pixels. camera: whether the picture goes through the camera. sensor:
    whether labels are what a sensor gives (a hole has depth 0, and so has the sky).
    """

    name: str
    grammars: tuple[str, ...]
    count: int
    stream: int
    size: tuple[int, int]
    camera: bool = False
    sensor: bool = False

    @property
    def folder(self) -> str:
        """`NAME-HASH`."""
        facts = json.dumps([VERSION, sketch.GENERATOR_VERSION, asdict(self)], sort_keys=True)
        return f"{self.name}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Domains:
    """All sets of a study: one for the encoder that all start from; training sets of S, and of R twice (same images;
    depth unused, or as a sensor gives it); test sets of S, of R with grammars that no training set has, and of R with
    those of its pool."""

    start: SetSpec
    s_train: SetSpec
    r_pool: SetSpec
    r_noisy: SetSpec
    s_test: SetSpec
    r_test: SetSpec
    r_seen: SetSpec

    def all(self) -> list[SetSpec]:
        """In the order in which they are made."""
        return [self.start, self.s_train, self.r_pool, self.r_noisy, self.s_test, self.r_test, self.r_seen]

    @property
    def tests(self) -> dict[str, SetSpec]:
        """By the names that results use."""
        return {"R": self.r_test, "S": self.s_test, "R-seen": self.r_seen}


START_GRAMMARS = ("floating", "above", "table")
S_GRAMMARS = ("room", "street")


def domains(train: int, test: int, size: tuple[int, int]) -> Domains:
    """`train` images in each training set and `test` in R's test set, the others being smaller."""
    pool, new = tuple(grammars.POOL), tuple(grammars.TEST)
    return Domains(
        start=SetSpec("start", START_GRAMMARS, train, 6, size),
        s_train=SetSpec("s-train", S_GRAMMARS, train, 1, size),
        r_pool=SetSpec("r-pool", pool, train, 2, size, camera=True),
        r_noisy=SetSpec("r-noisy", pool, train, 2, size, camera=True, sensor=True),
        s_test=SetSpec("s-test", S_GRAMMARS, max(2, test * 2 // 3), 3, size),
        r_test=SetSpec("r-test", new, test, 4, size, camera=True),
        r_seen=SetSpec("r-seen", pool, max(2, test // 3), 5, size, camera=True),
    )


def makers() -> dict[str, Maker]:
    """Every grammar by name."""
    return {**{name: sketch.KINDS[name][0] for name in START_GRAMMARS + S_GRAMMARS}, **grammars.POOL, **grammars.TEST}


def draw(spec: SetSpec, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], str]:
    """Image `index` of a set: uint8 RGB [H, W, 3], depth float32 [H, W] in metres with 0 for sky (and holes), grammar.

    Rendered at four times the pixels: the picture is averaged down, depth is that of one of the four.
    """
    rng = np.random.default_rng([VERSION, spec.stream, index])
    known = makers()
    while True:
        grammar = str(rng.choice(spec.grammars))
        view = known[grammar](rng)
        if _worth_seeing(view.depth):
            break
    # Own generators, so that the sensor does not move the picture.
    light, spoilt = (np.random.default_rng([VERSION, spec.stream, index, number]) for number in (1, 2))
    linear = cv2.resize(view.image, spec.size[::-1], interpolation=cv2.INTER_AREA)
    depth = cv2.resize(view.depth, spec.size[::-1], interpolation=cv2.INTER_NEAREST)
    depth = np.where(depth > FAR, 0, depth).astype(np.float32)
    if spec.camera:
        image = photograph(linear, light, depth)
    else:
        image = np.rint(np.clip(linear, 0, 1) ** (1 / GAMMA) * 255).astype(np.uint8)
    if spec.sensor:
        depth, _ = corrupt(depth, spoilt)
    return np.asarray(image, np.uint8), np.asarray(depth, np.float32), grammar


def make_sets(specs: Sequence[SetSpec], root: Path, pool: Executor, progress: Callable[[int, int], None]) -> None:
    """Write the sets that are absent below `root`, sharing the work out; `progress` is told (images done, in all)."""
    missing = [spec for spec in specs if not (root / spec.folder).exists()]
    total, done = sum(spec.count for spec in missing), 0
    for spec in missing:
        partial = root / f"{spec.folder}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for folder in ("images", "depth"):
            for grammar in spec.grammars:
                (partial / folder / grammar).mkdir(parents=True)
        chunks = [range(start, min(start + CHUNK, spec.count)) for start in range(0, spec.count, CHUNK)]
        samples: dict[str, Any] = {}
        for chunk in [pool.submit(write_images, spec, partial, chunk) for chunk in chunks]:
            made = chunk.result()
            samples.update(made)
            done += len(made)
            progress(done, total)
        for name, content in (("annotations", {}), ("metadata", {"format": 1, "samples": samples})):
            (partial / f"{name}.json").write_text(json.dumps(content))
        partial.rename(root / spec.folder)


def write_images(spec: SetSpec, root: Path, indices: range) -> dict[str, Any]:
    """Write some images of a set with their depth; entries of `metadata.json`."""
    entries = {}
    for index in indices:
        image, depth, grammar = draw(spec, index)
        name = f"{grammar}/{spec.stream}-{index:06d}"
        scale = max(float(depth.max()), 1e-3) / STEPS
        codes = np.maximum(np.round(depth / scale), depth > 0).astype(np.uint16)
        path = root / "images" / f"{name}.png"
        cv2.imwrite(str(path), image[..., ::-1])
        cv2.imwrite(str(root / "depth" / f"{name}.png"), codes)
        entries[f"images/{name}.png"] = {"depth_scale": scale, "seed": [spec.stream, index], "scene": grammar}
    return entries


def read_truth(root: Path) -> list[tuple[str, npt.NDArray[np.uint8], npt.NDArray[np.float32]]]:
    """(name, image, depth in metres with 0 for none) of every image of a set, by name."""
    samples = json.loads((root / "metadata.json").read_text())["samples"]
    found = []
    for name in sorted(samples):
        image = cv2.imread(str(root / name), cv2.IMREAD_COLOR_RGB)
        codes = cv2.imread(str(root / "depth" / os.path.relpath(name, "images")), cv2.IMREAD_UNCHANGED)
        depth = np.asarray(codes, np.float32) * np.float32(samples[name]["depth_scale"])
        found.append((name, np.asarray(image, np.uint8), depth))
    return found


def _worth_seeing(depth: npt.NDArray[np.floating[Any]]) -> bool:
    """Not filled by one surface, nor by the sky."""
    surface = depth[(depth > 0) & (depth < FAR)]
    if surface.size < 0.3 * depth.size or surface.min() < 0.1:
        return False
    low, high = np.percentile(surface, [10, 90])
    return bool(high > 1.3 * low)
