"""Ray-cast sketches: exact depth of known shapes, and every kind of scene by seed."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_zoo.depth_anything_v2.training.raycast import FAR, Camera, Solid, hit, render
from model_zoo.depth_anything_v2.training.rendered import RenderedPool
from model_zoo.depth_anything_v2.training.sketch import KINDS, SIZE, draw, main


def grey(position: np.ndarray, normal: np.ndarray) -> np.ndarray:
    return np.full((len(position), 3), 0.5, np.float32)


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(("kind", "expected"), [("box", 4.0), ("ellipsoid", 4.0), ("cylinder", 4.0), ("room", 6.0)])
def test_distance_along_the_axis(kind: str, expected: float) -> None:
    solid = Solid(kind, array(0, 0, 5), array(1, 1, 1), grey)
    distance = hit(solid, array(0, 0, 0)[None], array(0, 0, 1)[None])
    assert distance[0] == pytest.approx(expected, abs=1e-4)
    assert hit(solid, array(0, 0, 0)[None], array(0, 0, -1)[None])[0] == FAR


def test_depth_is_z_not_ray_length() -> None:
    wall = Solid("box", array(0, 0, 5.5), array(50, 50, 0.5), grey)
    camera = Camera(array(0, 0, 0), np.eye(3, dtype=np.float32), 30.0)
    view = render([wall], camera, array(0, 0, -5), 0.5, lambda d: np.zeros_like(d), (40, 60))
    np.testing.assert_allclose(view.depth, 5.0, atol=1e-3)


def test_nearer_solid_hides_the_farther_and_empty_is_sky() -> None:
    far = Solid("ellipsoid", array(0, 0, 9), array(2, 2, 2), grey)
    near = Solid("box", array(0.5, 0, 4), array(0.5, 0.5, 0.5), grey)
    camera = Camera(array(0, 0, 0), np.eye(3, dtype=np.float32), 40.0)
    for order in ([far, near], [near, far]):
        view = render(order, camera, array(0, 5, 0), 0.5, lambda d: np.ones_like(d), (40, 60))
        assert view.depth[20, 34] == pytest.approx(3.5, abs=1e-3)
        assert view.depth[20, 28] == pytest.approx(7.0, abs=0.05)
        assert view.depth[0, 0] == 0 and (view.image[0, 0] == 1).all()


def test_window_of_a_solid_never_crops_it() -> None:
    rng = np.random.default_rng(0)
    camera = Camera(array(0, 0, 0), np.eye(3, dtype=np.float32), 50.0)
    rows, columns = np.mgrid[0:40, 0:60] + 0.5
    rays = np.stack([(columns - 30) / 50, (20 - rows) / 50, np.ones_like(rows)], 2).reshape(-1, 3).astype(np.float32)
    for _ in range(20):
        centre, half = rng.uniform([-2, -2, 0.5], [2, 2, 6]), rng.uniform(0.1, 1.5, 3)
        solid = Solid(str(rng.choice(["box", "ellipsoid", "cylinder"])), array(*centre), array(*half), grey)
        expected = hit(solid, np.zeros_like(rays), rays).reshape(40, 60)
        view = render([solid], camera, array(0, 5, 0), 0.5, lambda d: np.zeros_like(d), (40, 60))
        np.testing.assert_allclose(view.depth, np.where(expected < FAR, expected, 0), atol=1e-3)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_repeatable_and_has_depth(kind: str) -> None:
    first, again = (KINDS[kind][0](np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.depth, again.depth)
    assert first.image.shape == (*SIZE, 3) and first.image.min() >= 0 and first.image.max() <= 1
    assert (first.depth > 0).mean() > 0.2 and np.isfinite(first.depth).all()


def test_command_writes_a_set_the_pool_reads(tmp_path: Path) -> None:
    main(["--out", str(tmp_path), "--scenes", "3", "--seed", "2"])
    pool = RenderedPool((tmp_path,), holdout_every=10**9)
    assert pool.scan() == 3
    samples = json.loads((tmp_path / "metadata.json").read_text())["samples"]
    name, entry = next(iter(samples.items()))
    view, _ = draw(entry["seed"])
    depth = cv2.imread(str(tmp_path / name.replace("images", "depth").replace(".jpg", ".png")), cv2.IMREAD_UNCHANGED)
    seen = (view.depth > 0) & (view.depth <= 500)
    np.testing.assert_allclose(depth[seen] * entry["depth_scale"], view.depth[seen], atol=entry["depth_scale"])
    assert (depth[~seen] == 0).all() and (depth[seen] > 0).all()
