"""Quickly drawn training scenes: rooms, streets, views from above, table tops and floating shapes, by ray casting.

They are crude next to the ray-traced scenes of `dabench render`, but a core makes ten a second, so that a network
that starts from nothing sees thousands of layouts before it sees fine light. Written in the same rendered-set layout:

    python -m model_zoo.depth_anything_v2.training.sketch --out DIR --scenes 4000 --seed 0
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from .furniture import FURNITURE, Group, person, random_texture, turn_about_y
from .raycast import Array, Camera, Solid, View, render

SIZE = (168, 224)
GENERATOR_VERSION = 1
DEPTH_STEPS = 65000


def random_axes(rng: np.random.Generator) -> Array:
    """A uniformly random orientation [3, 3]."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return (q * np.sign(np.diag(r))).astype(np.float32)


def look(rng: np.random.Generator, position: Array, yaw: float, pitch: float, field_of_view: float) -> Camera:
    """Camera at `position` (metres), angles in radians (pitch up positive), horizontal field of view in degrees."""
    roll = rng.normal(0, 0.02)
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    tilt = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]]) @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    focal = SIZE[1] / 2 / np.tan(np.deg2rad(field_of_view) / 2)
    return Camera(position.astype(np.float32), (turn_about_y(yaw) @ tilt).astype(np.float32), float(focal))


def sky(rng: np.random.Generator) -> Callable[[Array], Array]:
    """A gradient from horizon to zenith with soft clouds."""
    horizon, zenith = 0.6 + 0.4 * rng.random(3), np.array([0.3, 0.5, 0.9]) * rng.uniform(0.3, 1.1)
    if rng.random() < 0.3:
        zenith = np.full(3, rng.uniform(0.2, 0.95))
    waves, strength = rng.normal(0, 5, (6, 3)), rng.uniform(0, 0.35)

    def colour(direction: Array) -> Array:
        up = np.clip(direction[:, 1:2], 0, 1) ** 0.6
        clouds = np.maximum(np.sin(direction @ waves.T + 1).mean(1, keepdims=True), 0) * strength * 2
        return np.clip(horizon * (1 - up) + zenith * up + clouds, 0, 1).astype(np.float32)

    return colour


def room(rng: np.random.Generator) -> View:
    """A furnished room from inside: furniture along the walls and in the middle, pictures and doors on the walls."""
    w, h, d = rng.uniform(2.4, 8), rng.uniform(2.2, 3.6), rng.uniform(2.8, 9)
    wall, floor, ceiling = random_texture(rng), random_texture(rng), random_texture(rng)

    def surfaces(position: Array, normal: Array) -> Array:
        up = normal[:, 1:2]
        sides = wall(position, normal)
        return np.where(up > 0.5, floor(position, normal), np.where(up < -0.5, ceiling(position, normal), sides))

    solids = [Solid("room", np.array([0, h / 2, 0], np.float32), np.array([w, h, d], np.float32) / 2, surfaces)]
    for _ in range(rng.integers(5, 17)):
        at_wall = rng.random() < 0.65
        x, z, angle = rng.uniform(-0.42, 0.42) * w, rng.uniform(-0.3, 0.42) * d, rng.uniform(0, 2 * np.pi)
        if at_wall:
            side = rng.integers(3)
            x, z, angle = [(x, d / 2 - 0.4, np.pi), (-w / 2 + 0.4, z, np.pi / 2), (w / 2 - 0.4, z, -np.pi / 2)][side]
        group = Group(x, 0, z, angle + rng.normal(0, 0.08))
        FURNITURE[int(rng.integers(len(FURNITURE)))](group, rng, random_texture(rng))
        solids += group.solids
    for _ in range(rng.integers(0, 8)):  # pictures, doors, windows, wall cupboards
        width, height, thick = rng.uniform(0.3, 1.6), rng.uniform(0.3, 2.0), rng.choice([0.02, 0.05, 0.35])
        low = rng.uniform(0, max(0.05, h - height))
        x, z, angle = [
            (rng.uniform(-0.45, 0.45) * w, d / 2, 0.0),
            (-w / 2, rng.uniform(-0.3, 0.45) * d, np.pi / 2),
            (w / 2, rng.uniform(-0.3, 0.45) * d, np.pi / 2),
        ][rng.integers(3)]
        group = Group(x, 0, z, angle)
        group.add(random_texture(rng), (0, low, 0), (width, height, 2 * thick))
        solids += group.solids
    position = np.array([rng.uniform(-0.38, 0.38) * w, rng.uniform(0.8, 1.9), -d / 2 * rng.uniform(0.3, 0.95)])
    camera = look(rng, position, rng.normal(0, 0.5), rng.normal(-0.2, 0.18), rng.uniform(45, 80))
    light = np.array([rng.uniform(-0.4, 0.4) * w, h * rng.uniform(0.7, 0.97), rng.uniform(-0.4, 0.4) * d], np.float32)
    return render(solids, camera, light, rng.uniform(0.35, 0.8), sky(rng), SIZE)


def _sun(rng: np.random.Generator) -> Array:
    return np.array([rng.uniform(-400, 400), rng.uniform(120, 500), rng.uniform(-400, 400)], np.float32)


def _ground(rng: np.random.Generator) -> Solid:
    plain, road, width = random_texture(rng), random_texture(rng), rng.uniform(3, 9)

    def surface(position: Array, normal: Array) -> Array:
        return np.where(np.abs(position[:, :1]) < width, road(position, normal), plain(position, normal))

    return Solid("box", np.array([0, -0.5, 0], np.float32), np.array([2000, 0.5, 2000], np.float32), surface)


def street(rng: np.random.Generator) -> View:
    """Two rows of buildings with trees, cars, people and poles, under an open sky."""
    solids, width = [_ground(rng)], rng.uniform(5, 16)
    for side in (-1, 1):
        z = -10.0
        while z < 120:
            length, depth, height = rng.uniform(5, 25), rng.uniform(5, 15), rng.uniform(3, 30)
            if rng.random() < 0.75:
                group = Group(side * (width + depth / 2), 0, z + length / 2, 0)
                group.add(random_texture(rng), (0, 0, 0), (depth, height, length))
                for level in range(int(min(height / 3, 4))):
                    size = (depth + 0.3, rng.uniform(0.8, 2.0), length * 0.9)
                    if rng.random() < 0.6:
                        group.add(random_texture(rng), (0, 3 * level + 0.8, 0), size)
                solids += group.solids
            z += length + rng.uniform(0, 8)
    for _ in range(rng.integers(3, 16)):
        x, z = rng.uniform(-width, width), np.exp(rng.uniform(np.log(3), np.log(60)))
        group, t = Group(x, 0, z, rng.choice([0, np.pi]) + rng.normal(0, 0.2)), random_texture(rng)
        kind = rng.integers(4)
        if kind == 0:
            height = rng.uniform(2, 8)
            group.add(random_texture(rng), (0, 0, 0), (0.4, height, 0.4), "cylinder")
            for _ in range(rng.integers(1, 6)):
                at = (rng.normal(0, 0.8), height * rng.uniform(0.7, 1), rng.normal(0, 0.8))
                group.add(t, at, tuple(rng.uniform(1, 3.5, 3)), "ellipsoid")
        elif kind == 1:
            group.add(t, (0, 0.3, 0), (1.8, 0.7, 4.3))
            group.add(random_texture(rng), (0, 1.0, -0.2), (1.6, 0.6, 2.4))
            for sx in (-0.8, 0.8):
                for sz in (-1.4, 1.4):
                    group.add(lambda p, n: np.full_like(p, 0.1), (sx, 0, sz), (0.25, 0.65, 0.65), "ellipsoid")
        elif kind == 2:
            person(group, rng, t)
        else:
            group.add(t, (0, 0, 0), (0.12, rng.uniform(2, 7), 0.12), "cylinder")
            group.add(random_texture(rng), (0, 2, 0.1), (rng.uniform(0.3, 1), rng.uniform(0.3, 1), 0.05))
        solids += group.solids
    position = np.array([rng.uniform(-0.8, 0.8) * width, rng.uniform(1.0, 3.0), -4.0])
    camera = look(rng, position, rng.normal(0, 0.35), rng.normal(-0.03, 0.1), rng.uniform(45, 85))
    return render(solids, camera, _sun(rng), rng.uniform(0.3, 0.8), sky(rng), SIZE)


def from_above(rng: np.random.Generator) -> View:
    """Blocks of houses and trees seen from a height, obliquely or straight down."""
    solids = [_ground(rng)]
    for _ in range(rng.integers(15, 50)):
        group = Group(rng.uniform(-45, 45), 0, rng.uniform(-25, 90), rng.choice([0.0, rng.uniform(0, 3)]))
        if rng.random() < 0.6:
            group.add(random_texture(rng), (0, 0, 0), (rng.uniform(4, 16), rng.uniform(3, 25), rng.uniform(4, 16)))
        else:
            group.add(random_texture(rng), (0, 1, 0), tuple(rng.uniform(2, 8, 3)), "ellipsoid")
        solids += group.solids
    position = np.array([rng.uniform(-10, 10), rng.uniform(28, 80), -20.0])
    camera = look(rng, position, rng.normal(0, 0.3), -rng.uniform(0.35, 1.4), rng.uniform(45, 75))
    return render(solids, camera, _sun(rng), rng.uniform(0.3, 0.8), sky(rng), SIZE)


def table_top(rng: np.random.Generator) -> View:
    """Things standing on a surface, close up, with a wall or open space behind."""
    support = np.array([0, -0.5, 0], np.float32), np.array([30, 0.5, 30], np.float32)
    solids = [Solid("box", *support, random_texture(rng))]
    if rng.random() < 0.7:
        group = Group(0, 0, rng.uniform(0.8, 4), rng.normal(0, 0.4))
        group.add(random_texture(rng), (0, 0, 0), (60, 30, 0.1))
        solids += group.solids
    for _ in range(rng.integers(1, 9)):
        group = Group(rng.normal(0, 0.35), 0, rng.uniform(-0.3, 0.8), rng.uniform(0, 6))
        t = random_texture(rng)
        for _ in range(rng.integers(1, 4)):
            size = rng.uniform(0.08, 0.45, 3)
            at = tuple(rng.normal(0, 0.06, 3) * [1, 0, 1] + [0, rng.choice([0, 0.1, 0.2]), 0])
            group.add(t, at, tuple(size), rng.choice(["box", "cylinder", "ellipsoid"]))
        solids += group.solids
    position = np.array([rng.normal(0, 0.2), rng.uniform(0.25, 1.1), -rng.uniform(0.8, 1.6)])
    camera = look(rng, position, rng.normal(0, 0.15), -rng.uniform(0.1, 0.65), rng.uniform(35, 70))
    light = np.array([rng.uniform(-3, 3), rng.uniform(1.5, 4), rng.uniform(-3, 1)], np.float32)
    return render(solids, camera, light, rng.uniform(0.3, 0.8), sky(rng), SIZE)


def floating(rng: np.random.Generator) -> View:
    """Shapes of any orientation in a box: no floor to lean on, only occlusion, size and shading."""
    half = rng.uniform(3, 8, 3).astype(np.float32)
    solids = [Solid("room", np.zeros(3, np.float32), half, random_texture(rng))]
    for _ in range(rng.integers(4, 25)):
        centre = (rng.uniform(-0.9, 0.9, 3) * half).astype(np.float32)
        size = np.exp(rng.uniform(np.log(0.1), np.log(1.2), 3)).astype(np.float32)
        kind = str(rng.choice(["box", "ellipsoid", "cylinder"]))
        solids.append(Solid(kind, centre, size, random_texture(rng), random_axes(rng)))
    position = np.array([0, 0, -0.95 * half[2]])
    camera = look(rng, position, rng.normal(0, 0.4), rng.normal(0, 0.3), rng.uniform(45, 80))
    light = (rng.uniform(-0.8, 0.8, 3) * half).astype(np.float32)
    return render(solids, camera, light, rng.uniform(0.3, 0.8), sky(rng), SIZE)


KINDS: dict[str, tuple[Callable[[np.random.Generator], View], float, str]] = {
    "room": (room, 0.5, "indoor"),
    "street": (street, 0.16, "outdoor"),
    "above": (from_above, 0.1, "aerial"),
    "table": (table_top, 0.14, "object"),
    "floating": (floating, 0.1, "non_real"),
}
"""name: (maker, share, scene name of the rendered-set layout)."""


def draw(seed: int) -> tuple[View, str]:
    """The scene of one seed and its kind; redrawn while a surface fills the view or depth hardly varies."""
    rng = np.random.default_rng([seed, GENERATOR_VERSION])
    while True:
        kind = str(rng.choice(list(KINDS), p=[share for _, share, _ in KINDS.values()]))
        view = KINDS[kind][0](rng)
        surface = view.depth[view.depth > 0]
        if surface.size > 0.3 * view.depth.size and surface.min() > 0.1:
            low, high = np.percentile(surface, [10, 90])
            if high > 1.3 * low:
                return view, kind


def main(arguments: list[str] | None = None) -> None:
    """Command line: write scenes `seed` to `seed + scenes - 1` (10 million apart a seed); existing images are kept."""
    parser = argparse.ArgumentParser(prog="python -m model_zoo.depth_anything_v2.training.sketch", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    entries: dict[str, dict[str, object]] = {}
    for index in range(options.scenes):
        seed = options.seed * 10_000_000 + index
        view, kind = draw(seed)
        scene = KINDS[kind][2]
        name = f"sketch-{seed:08d}"
        image_path = options.out / "images" / scene / f"{name}.jpg"
        depth_path = options.out / "depth" / scene / f"{name}.png"
        image_path.parent.mkdir(parents=True, exist_ok=True)
        depth_path.parent.mkdir(parents=True, exist_ok=True)
        scale = float(min(view.depth.max(), 500.0)) / DEPTH_STEPS
        steps = np.where(view.depth > 500.0, 0, np.maximum(np.round(view.depth / scale), view.depth > 0))
        srgb = np.clip(view.image, 0, 1) ** (1 / 2.2) * 255
        cv2.imwrite(
            str(image_path), cv2.cvtColor(srgb.astype(np.uint8), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92]
        )
        cv2.imwrite(str(depth_path), steps.astype(np.uint16))
        entries[f"images/{scene}/{name}.jpg"] = {"depth_scale": scale, "scene": scene, "seed": seed, "families": [kind]}
        if index % 200 == 199 or index + 1 == options.scenes:
            _write_index(options.out, entries)


def _write_index(out: Path, entries: dict[str, dict[str, object]]) -> None:
    metadata = {"format": 1, "generator_version": GENERATOR_VERSION, "size": list(SIZE), "samples": entries}
    for name, content in (("annotations.json", {}), ("metadata.json", metadata)):
        partial = out / f"{name}.partial"
        partial.write_text(json.dumps(content))
        partial.replace(out / name)


if __name__ == "__main__":
    main()
