"""Scene grammars of domain R, the stand-in for real photographs: other objects, surfaces and skies than `sketch.py`.

The first three are for the pool that a teacher labels, the last three for the test images alone. Each takes a generator
and returns a view of `SIZE`; lengths are metres, x is right, y is up, z is forward.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from model_zoo.depth_anything_v2.training.furniture import Group, person
from model_zoo.depth_anything_v2.training.raycast import Array, Solid, Texture, View, render
from model_zoo.depth_anything_v2.training.sketch import SIZE, look, random_axes

OCTAVES = 4


def weathered(rng: np.random.Generator) -> Texture:
    """A surface with grain at several scales, from stone to wood to foliage; `sketch.py` has clean patterns instead."""
    base = rng.uniform(0.12, 0.75) * np.array([1.0, rng.uniform(0.75, 1.05), rng.uniform(0.5, 1.05)])
    if rng.random() < 0.3:  # leaves and paint
        base = base[rng.permutation(3)]
    contrast, first = rng.uniform(0.1, 0.5), np.exp(rng.uniform(np.log(0.7), np.log(5)))
    stretch = np.array([1, rng.choice([1.0, 0.15, 5.0]), 1])  # along the grain of wood, across courses of stone
    waves = [rng.normal(0, 1, (4, 3)) * stretch * first * 2.3**octave for octave in range(OCTAVES)]
    phases, stains = rng.uniform(0, 6.28, (OCTAVES, 4)), rng.uniform(0, 0.35)

    def colour(position: Array, normal: Array) -> Array:
        noise = np.zeros(len(position))
        for octave, (wave, phase) in enumerate(zip(waves, phases, strict=True)):
            noise += np.sin(position @ wave.T + phase).mean(1) / 1.5**octave
        dirt = stains * (np.sin(position @ waves[0][:2].T * 0.5 + phases[0, :2]).mean(1, keepdims=True) > 0.3)
        shade = 1 + contrast * noise[:, None] - dirt
        return np.clip(base * shade, 0, 1).astype(np.float32)

    return colour


def cloudy(rng: np.random.Generator) -> Callable[[Array], Array]:
    """A sky full of clouds, or grey all over; `sketch.py` has a clean gradient."""
    clear, cloud = np.array([0.35, 0.55, 0.9]) * rng.uniform(0.5, 1), np.full(3, rng.uniform(0.55, 1.0))
    waves = [rng.normal(0, 2.2 * 2.0**octave, (4, 3)) for octave in range(OCTAVES)]
    phases, cover = rng.uniform(0, 6.28, (OCTAVES, 4)), rng.uniform(-0.5, 0.9)

    def colour(direction: Array) -> Array:
        flat = direction / np.maximum(np.abs(direction[:, 1:2]) + 0.25, 0.05)  # clouds lie in a layer
        noise = sum(np.sin(flat @ w.T + p).mean(1) / 1.6**k for k, (w, p) in enumerate(zip(waves, phases, strict=True)))
        share = np.clip((noise + cover) * 1.5 + 0.5, 0, 1)[:, None]
        return np.asarray(np.clip(clear * (1 - share) + cloud * share, 0, 1), np.float32)

    return colour


def _sun(rng: np.random.Generator) -> Array:
    return np.array([rng.uniform(-300, 300), rng.uniform(80, 400), rng.uniform(-300, 200)], np.float32)


def _ground(texture: Texture) -> Solid:
    return Solid("box", np.array([0, -0.5, 0], np.float32), np.array([1500, 0.5, 1500], np.float32), texture)


def _far(rng: np.random.Generator, near: float, far: float) -> float:
    return float(np.exp(rng.uniform(np.log(near), np.log(far))))


def forest(rng: np.random.Generator) -> View:
    """Trunks with branches and crowns, bushes and mounds, from eye height."""
    solids, bark, leaves = [_ground(weathered(rng))], weathered(rng), weathered(rng)
    for _ in range(rng.integers(14, 40)):
        z = _far(rng, 2.5, 70)
        group, height, thick = (
            Group(rng.uniform(-0.8, 0.8) * (z + 3), 0, z, 0),
            rng.uniform(4, 14),
            rng.uniform(0.15, 0.7),
        )
        group.add(bark, (0, 0, 0), (thick, height, thick), "cylinder")
        for _ in range(rng.integers(1, 4)):
            at = (rng.normal(0, 0.8), height * rng.uniform(0.5, 1), rng.normal(0, 0.8))
            group.add(leaves, at, tuple(rng.uniform(1.2, 4.5, 3)), "ellipsoid")
        solids += group.solids
    for _ in range(rng.integers(3, 14)):
        z = _far(rng, 2, 40)
        group = Group(rng.uniform(-0.7, 0.7) * (z + 2), -rng.uniform(0.1, 0.5), z, 0)
        group.add(weathered(rng), (0, 0, 0), tuple(rng.uniform(0.5, 2.5, 3)), "ellipsoid")
        solids += group.solids
    camera = look(
        rng, np.array([0, rng.uniform(1.2, 2.2), -1.0]), rng.normal(0, 0.3), rng.normal(0, 0.1), rng.uniform(45, 75)
    )
    return render(solids, camera, _sun(rng), rng.uniform(0.3, 0.7), cloudy(rng), SIZE)


def colonnade(rng: np.random.Generator) -> View:
    """A hall or court between rows of columns that carry beams, with pedestals and vases."""
    solids, stone, other = [_ground(weathered(rng))], weathered(rng), weathered(rng)
    width, height, step = rng.uniform(2.5, 6), rng.uniform(3, 6), rng.uniform(2, 4.5)
    count, thick = int(rng.integers(4, 10)), rng.uniform(0.35, 0.9)
    kind = str(rng.choice(["cylinder", "box"]))
    for side in (-1, 1):
        for number in range(count):
            group = Group(side * width, 0, 1.5 + number * step, 0)
            group.add(other, (0, 0, 0), (1.5 * thick, 0.25, 1.5 * thick))
            group.add(stone, (0, 0.25, 0), (thick, height - 0.25, thick), kind)
            group.add(other, (0, height, 0), (1.5 * thick, 0.3, 1.5 * thick))
            solids += group.solids
        beam = Group(side * width, height + 0.3, count * step / 2, 0)
        beam.add(stone, (0, 0, 0), (1.3 * thick, 0.6, count * step + 3))
        solids += beam.solids
        if rng.random() < 0.6:
            wall = Group(side * (width + rng.uniform(2, 5)), 0, count * step / 2, 0)
            wall.add(weathered(rng), (0, 0, 0), (0.4, height + 1, count * step + 20))
            solids += wall.solids
    if rng.random() < 0.7:
        end = Group(0, 0, count * step + rng.uniform(2, 6), 0)
        end.add(weathered(rng), (0, 0, 0), (60, height + rng.uniform(0, 4), 0.5))
        solids += end.solids
    for _ in range(rng.integers(1, 6)):
        group = Group(rng.uniform(-0.7, 0.7) * width, 0, rng.uniform(2, count * step), rng.uniform(0, 3))
        base = rng.uniform(0.3, 1.2)
        group.add(stone, (0, 0, 0), (0.6, base, 0.6))
        group.add(weathered(rng), (0, base, 0), (0.5, rng.uniform(0.4, 1.2), 0.5), "ellipsoid")
        solids += group.solids
    position = np.array([rng.uniform(-0.6, 0.6) * width, rng.uniform(1.2, 2.2), -1.5])
    camera = look(rng, position, rng.normal(0, 0.25), rng.normal(0, 0.08), rng.uniform(45, 80))
    return render(solids, camera, _sun(rng), rng.uniform(0.3, 0.7), cloudy(rng), SIZE)


def warehouse(rng: np.random.Generator) -> View:
    """Racks with crates, barrels and pallets in a hall."""
    half = np.array([rng.uniform(5, 12), rng.uniform(2, 4), rng.uniform(8, 20)], np.float32)
    solids = [Solid("room", np.array([0, half[1], 0], np.float32), half, weathered(rng))]
    steel = weathered(rng)
    for row in range(int(rng.integers(1, 4))):
        x = (row - 1) * rng.uniform(2.8, 4.5) + rng.normal(0, 0.4)
        for bay in range(int(rng.integers(2, 6))):
            group = Group(x, 0, -0.3 * half[2] + bay * 2.6, 0)
            levels = int(rng.integers(2, 4))
            for sx in (-0.55, 0.55):
                for sz in (-1.2, 1.2):
                    group.add(steel, (sx, 0, sz), (0.1, 1.3 * levels, 0.1))
            for level in range(levels):
                group.add(steel, (0, 1.3 * level + 0.1, 0), (1.2, 0.08, 2.5))
                for _ in range(rng.integers(0, 4)):
                    crate = tuple(rng.uniform(0.3, 1.0, 3))
                    group.add(weathered(rng), (rng.normal(0, 0.1), 1.3 * level + 0.18, rng.uniform(-0.9, 0.9)), crate)
            solids += group.solids
    for _ in range(rng.integers(2, 10)):
        group = Group(rng.uniform(-0.85, 0.85) * half[0], 0, rng.uniform(-0.5, 0.9) * half[2], rng.uniform(0, 3))
        texture, top = weathered(rng), 0.0
        for _ in range(rng.integers(1, 4)):
            size = rng.uniform(0.4, 1.2, 3)
            group.add(texture, (rng.normal(0, 0.05), top, 0), tuple(size), str(rng.choice(["box", "cylinder"])))
            top += float(size[1])
        solids += group.solids
    position = np.array([rng.uniform(-0.7, 0.7) * half[0], rng.uniform(1.2, 2.5), -0.9 * half[2]])
    camera = look(rng, position, rng.normal(0, 0.3), rng.normal(-0.05, 0.1), rng.uniform(50, 80))
    lamp = np.array([rng.uniform(-0.5, 0.5) * half[0], 1.8 * half[1], rng.uniform(-0.5, 0.5) * half[2]], np.float32)
    return render(solids, camera, lamp, rng.uniform(0.3, 0.7), cloudy(rng), SIZE)


def stairs(rng: np.random.Generator) -> View:
    """Steps that rise between walls, with railings, landings and people."""
    solids, tread, side = [_ground(weathered(rng))], weathered(rng), weathered(rng)
    width, rise, run = rng.uniform(1.5, 6), rng.uniform(0.13, 0.22), rng.uniform(0.25, 0.45)
    count, start = int(rng.integers(6, 22)), rng.uniform(0.5, 4)
    for number in range(count):
        group = Group(0, 0, start + (number + 0.5) * run, 0)
        group.add(tread, (0, 0, 0), (width, (number + 1) * rise, run))
        solids += group.solids
    top, far = count * rise, start + count * run
    landing = Group(0, 0, far + 3, 0)
    landing.add(tread, (0, 0, 0), (width, top, 6))
    landing.add(weathered(rng), (0, 0, 3.2), (40, top + rng.uniform(1, 6), 0.4))
    solids += landing.solids
    for sign in (-1, 1):
        if rng.random() < 0.7:
            wall = Group(sign * (width / 2 + 0.15), 0, (start + far) / 2 + 2, 0)
            wall.add(side, (0, 0, 0), (0.3, top + rng.uniform(0.2, 3), far - start + 4))
            solids += wall.solids
        for number in range(0, count, int(rng.integers(2, 5))):
            post = Group(sign * (width / 2 - 0.1), (number + 1) * rise, start + (number + 0.5) * run, 0)
            post.add(side, (0, 0, 0), (0.06, rng.uniform(0.8, 1.0), 0.06), "cylinder")
            solids += post.solids
    for _ in range(rng.integers(0, 4)):
        number = int(rng.integers(0, count))
        group = Group(
            rng.uniform(-0.4, 0.4) * width, (number + 1) * rise, start + (number + 0.5) * run, rng.uniform(0, 6)
        )
        person(group, rng, weathered(rng))
        solids += group.solids
    position = np.array([rng.uniform(-0.4, 0.4) * width, rng.uniform(1.2, 2.0), -rng.uniform(0.5, 3)])
    camera = look(rng, position, rng.normal(0, 0.25), rng.normal(0.1, 0.12), rng.uniform(45, 75))
    return render(solids, camera, _sun(rng), rng.uniform(0.3, 0.7), cloudy(rng), SIZE)


def market(rng: np.random.Generator) -> View:
    """Stalls with awnings on posts, goods in heaps and people, in front of a facade or open country."""
    solids = [_ground(weathered(rng))]
    for _ in range(rng.integers(3, 9)):
        z = _far(rng, 2.5, 25)
        group = Group(rng.uniform(-0.7, 0.7) * (z + 2), 0, z, rng.normal(0, 0.4))
        w, d, h = rng.uniform(1.5, 3.5), rng.uniform(0.8, 1.5), rng.uniform(0.7, 1.0)
        group.add(weathered(rng), (0, h - 0.06, 0), (w, 0.06, d))
        post, roof = weathered(rng), rng.uniform(2.0, 2.8)
        for sx in (-0.48, 0.48):
            for sz in (-0.45, 0.45):
                group.add(post, (sx * w, 0, sz * d), (0.07, roof, 0.07), "cylinder")
        group.add(weathered(rng), (0, roof, 0), (1.15 * w, 0.08, 1.3 * d))
        for _ in range(rng.integers(3, 10)):
            size = rng.uniform(0.12, 0.4, 3)
            at = (rng.uniform(-0.42, 0.42) * w, h, rng.uniform(-0.35, 0.35) * d)
            group.add(weathered(rng), at, tuple(size), str(rng.choice(["ellipsoid", "box"])))
        solids += group.solids
    for _ in range(rng.integers(2, 9)):
        z = _far(rng, 2, 20)
        group = Group(rng.uniform(-0.6, 0.6) * (z + 1), 0, z, rng.uniform(0, 6))
        person(group, rng, weathered(rng))
        solids += group.solids
    if rng.random() < 0.7:
        facade = Group(0, 0, rng.uniform(15, 45), rng.normal(0, 0.15))
        facade.add(weathered(rng), (0, 0, 0), (90, rng.uniform(4, 14), 1))
        solids += facade.solids
    position = np.array([0, rng.uniform(1.3, 2.2), -rng.uniform(0, 1.5)])
    camera = look(rng, position, rng.normal(0, 0.3), rng.normal(-0.05, 0.08), rng.uniform(45, 75))
    return render(solids, camera, _sun(rng), rng.uniform(0.3, 0.7), cloudy(rng), SIZE)


def boulders(rng: np.random.Generator) -> View:
    """Rocks and leaning slabs of all sizes on open ground."""
    solids, stone = [_ground(weathered(rng))], weathered(rng)
    for _ in range(rng.integers(15, 50)):
        z = _far(rng, 1.8, 60)
        x, size = rng.uniform(-0.9, 0.9) * (z + 2), np.exp(rng.uniform(np.log(0.12), np.log(1.8)))
        half = (size * rng.uniform(0.5, 1.4, 3)).astype(np.float32)
        kind = "ellipsoid" if rng.random() < 0.75 else "box"
        if kind == "box":
            half[0] *= 0.3
        centre = np.array([x, size * rng.uniform(0.1, 0.5), z], np.float32)
        texture = stone if rng.random() < 0.6 else weathered(rng)
        solids.append(Solid(kind, centre, half, texture, random_axes(rng)))
    position = np.array([0, rng.uniform(0.8, 2.2), -0.5])
    camera = look(rng, position, rng.normal(0, 0.4), rng.normal(-0.06, 0.1), rng.uniform(45, 75))
    return render(solids, camera, _sun(rng), rng.uniform(0.3, 0.7), cloudy(rng), SIZE)


POOL: dict[str, Callable[[np.random.Generator], View]] = {
    "forest": forest,
    "colonnade": colonnade,
    "warehouse": warehouse,
}
TEST: dict[str, Callable[[np.random.Generator], View]] = {"stairs": stairs, "market": market, "boulders": boulders}
