"""Rendered sets on disk: images, 16-bit depth, DA-2K-style annotations, metadata; written in parallel, resumable.

    images/<scene>/<id>.jpg   depth/<scene>/<id>.png   annotations.json   metadata.json   scenes/<number>.json

A depth PNG holds metres / depth_scale, 0 where no surface is seen. `scenes/` keeps what each finished scene
contributed; the two joint files are made from it, so that a set is the same whether or not it was interrupted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dabench.errors import DatasetError
from dabench.render.backend import load_mitsuba
from dabench.render.pairs import Candidate, balanced
from dabench.render.sample import GENERATOR_VERSION, Rendered, Settings, generator, render_scene

FORMAT = 1
MERGE_EVERY = 50


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is either absent or whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def encode_depth(depth: np.ndarray) -> tuple[bytes, float]:
    """16-bit PNG bytes and metres a unit for depth float32 [H, W] in metres, 0 where there is none."""
    scale = max(float(depth.max()), 1e-3) / 65000.0
    units = np.where(depth > 0, np.maximum(np.rint(depth / scale), 1), 0).astype(np.uint16)
    ok, data = cv2.imencode(".png", units, [cv2.IMWRITE_PNG_COMPRESSION, 7])
    assert ok
    return data.tobytes(), scale


def _store(out: Path, settings: Settings, index: int, rendered: list[Rendered]) -> None:
    record: dict[str, Any] = {}
    quality = generator(settings, index, 99)
    for sample in rendered:
        image = f"images/{sample.scene}/{sample.id}.jpg"
        ok, data = cv2.imencode(
            ".jpg", sample.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality.integers(84, 96))]
        )
        assert ok
        depth, scale = encode_depth(sample.depth)
        write_atomically(out / image, data.tobytes())
        write_atomically(out / "depth" / sample.scene / f"{sample.id}.png", depth)
        pairs = [[*pair.point1, *pair.point2, pair.closer] for pair in sample.pairs]
        record[image] = {
            "depth_scale": scale,
            "scene": sample.scene,
            "seed": [settings.seed, index],
            "families": list(sample.families),
            "pairs": pairs,
        }
    write_atomically(_scene_file(out, index), json.dumps(record).encode())


def _scene_file(out: Path, index: int) -> Path:
    return out / "scenes" / f"{index:06d}.json"


def _finished(out: Path, index: int) -> bool:
    path = _scene_file(out, index)
    if not path.is_file():
        return False
    record = json.loads(path.read_text())
    return all((out / name).is_file() and (out / depth_path(name)).is_file() for name in record)


def depth_path(image: str) -> str:
    """`depth/<scene>/<id>.png` for `images/<scene>/<id>.jpg`."""
    return "depth" + image.removeprefix("images").removesuffix(".jpg") + ".png"


def _start_worker() -> None:
    import drjit

    load_mitsuba()
    drjit.set_thread_count(1)
    cv2.setNumThreads(1)


def _work(out: str, settings: Settings, index: int) -> int:
    rendered = render_scene(settings, index)
    _store(Path(out), settings, index, rendered)
    return len(rendered)


def merge(out: Path, settings: Settings, scenes: int) -> int:
    """Write annotations.json and metadata.json from the finished scenes; the number of samples."""
    records: dict[str, Any] = {}
    for index in range(scenes):
        path = _scene_file(out, index)
        if path.is_file():
            records.update(json.loads(path.read_text()))
    return merge_samples(out, settings, records)


def merge_samples(out: Path, settings: Settings, records: dict[str, Any]) -> int:
    """Write the two joint files for image -> what its scene file holds, balancing the pairs; the number of samples."""
    offers: dict[str, tuple[str, list[Candidate]]] = {}
    samples: dict[str, Any] = {}
    for image, record in records.items():
        pairs = [Candidate((p[0], p[1]), (p[2], p[3]), p[4]) for p in record["pairs"]]
        offers[image] = (record["scene"], pairs)
        samples[image] = {key: value for key, value in record.items() if key != "pairs"}
    chosen = {image: [pair.entry() for pair in pairs] for image, pairs in balanced(offers).items()}
    metadata = {"format": FORMAT, "generator_version": GENERATOR_VERSION, **_identity(settings), "samples": samples}
    write_atomically(out / "annotations.json", json.dumps(chosen, indent=0).encode())
    write_atomically(out / "metadata.json", json.dumps(metadata, indent=0).encode())
    return len(samples)


def _identity(settings: Settings) -> dict[str, Any]:
    return {
        "seed": settings.seed,
        "split": settings.split,
        "size": list(settings.size),
        "views": settings.views,
        "samples_per_pixel": settings.samples,
        "scene_types": list(settings.scene_types),
    }


def generate(
    out: Path, scenes: int, settings: Settings, *, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> int:
    """Render `scenes` scenes into `out`, skipping finished ones; the number of samples in the set.

    `progress(done, scenes)` is called in this process. The bytes written do not depend on `workers`.
    """
    load_mitsuba()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    identity = {"generator_version": GENERATOR_VERSION, **_identity(settings)}
    marker = out / "scenes" / "settings.json"
    if marker.is_file() and json.loads(marker.read_text()) != identity:
        raise DatasetError(f"{out} was begun with other settings", hint=f"remove it, or see {marker}")
    write_atomically(marker, json.dumps(identity).encode())
    missing = [index for index in range(scenes) if not _finished(out, index)]
    done = scenes - len(missing)
    if progress:
        progress(done, scenes)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, workers), mp_context=context, initializer=_start_worker) as pool:
        waiting = iter(missing)
        running: set[Future[int]] = set()
        while True:
            for index in waiting:
                running.add(pool.submit(_work, str(out), settings, index))
                if len(running) >= 2 * max(1, workers):
                    break
            if not running:
                break
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                done += 1
                if done % MERGE_EVERY == 0:
                    merge(out, settings, scenes)
            if progress:
                progress(done, scenes)
    return merge(out, settings, scenes)
