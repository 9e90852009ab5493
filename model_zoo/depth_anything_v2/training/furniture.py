"""Random surfaces, and furniture put together from boxes, ellipsoids and cylinders, for sketched scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .raycast import Array, Solid, Texture


def random_texture(rng: np.random.Generator) -> Texture:
    """A surface: plain, checks, stripes, bricks or blotches, in two or three related or unrelated colours."""
    base = rng.random(3) ** rng.choice([0.5, 1.0, 1.5])
    base = base.mean() + (base - base.mean()) * rng.choice([0.15, 0.4, 1.0], p=[0.35, 0.4, 0.25])
    other = rng.random(3) if rng.random() < 0.25 else np.clip(base + rng.normal(0, 0.12, 3), 0, 1)
    kind = rng.choice(["plain", "checks", "stripes", "bricks", "blotches"], p=[0.4, 0.12, 0.16, 0.1, 0.22])
    period = float(np.exp(rng.uniform(np.log(0.05), np.log(0.8))))
    turn, phase = rng.uniform(0, np.pi), rng.uniform(0, 10, 3)
    grain = rng.uniform(0, 0.08)
    waves = rng.normal(0, 1, (5, 3)) * 2 / period

    def colour(position: Array, normal: Array) -> Array:
        axis = np.abs(normal).argmax(1)
        u = np.where(axis == 0, position[:, 2], position[:, 0]) + phase[0]
        v = np.where(axis == 1, position[:, 2], position[:, 1]) + phase[1]
        if kind == "checks":
            mix = (np.floor(u / period) + np.floor(v / period)) % 2
        elif kind == "stripes":
            mix = ((u * np.cos(turn) + v * np.sin(turn)) / period) % 1 > 0.5
        elif kind == "bricks":
            row = np.floor(v / period)
            mix = (((u / period / 2 + 0.5 * (row % 2)) % 1) < 0.06) | ((v / period) % 1 < 0.1)
        elif kind == "blotches":
            mix = 0.5 + 0.5 * np.sin(position @ waves.T + phase[2]).mean(1) * 1.5
        else:
            mix = np.zeros_like(u)
        mix = np.clip(mix, 0, 1)[:, None]
        fine = grain * np.sin(u * 97.3 + 31.7 * np.sin(v * 61.1))[:, None]
        return np.clip(base * (1 - mix) + other * mix + fine, 0, 1).astype(np.float32)

    return colour


def turn_about_y(angle: float) -> Array:
    """Rotation [3, 3] about the vertical."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


class Group:
    """Solids placed in the frame of one piece of furniture: origin on the floor, turned about the vertical."""

    def __init__(self, x: float, y: float, z: float, angle: float) -> None:
        self.origin, self.axes = np.array([x, y, z], np.float32), turn_about_y(angle)
        self.solids: list[Solid] = []

    def add(
        self, texture: Texture, at: tuple[float, float, float], size: tuple[float, float, float], kind: str = "box"
    ) -> None:
        """A shape of full `size`, whose bottom centre is `at` in the group's frame (metres)."""
        centre = np.array([at[0], at[1] + size[1] / 2, at[2]], np.float32)
        half = np.maximum(np.array(size, np.float32) / 2, 1e-3)
        self.solids.append(Solid(kind, self.axes @ centre + self.origin, half, texture, self.axes))


def _table(g: Group, rng: np.random.Generator, t: Texture) -> None:
    w, d, h = rng.uniform(0.5, 2.0), rng.uniform(0.4, 1.1), rng.uniform(0.35, 0.95)
    g.add(t, (0, h, 0), (w, rng.uniform(0.02, 0.08), d))
    leg, kind = rng.uniform(0.03, 0.1), rng.choice(["box", "cylinder"])
    for sx in (-1, 1):
        for sz in (-1, 1):
            g.add(t, (sx * (w / 2 - leg), 0, sz * (d / 2 - leg)), (leg, h, leg), kind)
    _clutter(g, rng, w, d, h + 0.05, int(rng.integers(0, 6)))


def _clutter(g: Group, rng: np.random.Generator, w: float, d: float, height: float, count: int) -> None:
    for _ in range(count):
        size = rng.uniform(0.05, 0.35, 3) * [1, rng.uniform(0.5, 1.5), 1]
        at = (rng.uniform(-0.45, 0.45) * w, height, rng.uniform(-0.45, 0.45) * d)
        g.add(random_texture(rng), at, tuple(size), rng.choice(["box", "cylinder", "ellipsoid"]))


def _chair(g: Group, rng: np.random.Generator, t: Texture) -> None:
    w, h, back = rng.uniform(0.35, 0.6), rng.uniform(0.35, 0.55), rng.uniform(0.3, 0.7)
    g.add(t, (0, h, 0), (w, 0.05, w))
    g.add(t, (0, h + 0.05 + rng.choice([0, 0.15]), -w / 2), (w, back, 0.05))
    for sx in (-1, 1):
        for sz in (-1, 1):
            g.add(t, (sx * (w / 2 - 0.03), 0, sz * (w / 2 - 0.03)), (0.04, h, 0.04))


def _sofa(g: Group, rng: np.random.Generator, t: Texture) -> None:
    w, d, h = rng.uniform(0.8, 2.4), rng.uniform(0.7, 1.1), rng.uniform(0.3, 0.5)
    g.add(t, (0, 0, 0), (w, h, d))
    g.add(t, (0, h, -d / 2 + 0.12), (w, rng.uniform(0.25, 0.55), 0.24))
    for sx in (-1, 1):
        g.add(t, (sx * (w / 2 - 0.1), h, 0), (0.2, rng.uniform(0.1, 0.3), d))
    for _ in range(rng.integers(0, 4)):
        g.add(random_texture(rng), (rng.uniform(-0.35, 0.35) * w, h, -d / 4), (0.4, 0.35, 0.2), "ellipsoid")


def _bed(g: Group, rng: np.random.Generator, t: Texture) -> None:
    w, d, h = rng.uniform(0.9, 2.0), rng.uniform(1.8, 2.2), rng.uniform(0.3, 0.6)
    g.add(t, (0, 0, 0), (w, h * 0.6, d))
    g.add(random_texture(rng), (0, h * 0.6, 0), (w * 0.98, h * 0.4, d * 0.98))
    g.add(t, (0, 0, -d / 2), (w, h + rng.uniform(0.2, 0.7), 0.08))
    for x in (-w / 4, w / 4):
        g.add(random_texture(rng), (x, h, -d / 2 + 0.3), (w / 2.4, 0.15, 0.4), "ellipsoid")


def _shelf(g: Group, rng: np.random.Generator, t: Texture) -> None:
    w, d, h, n = rng.uniform(0.5, 1.8), rng.uniform(0.25, 0.5), rng.uniform(0.7, 2.3), int(rng.integers(2, 6))
    g.add(t, (0, 0, -d / 2), (w, h, 0.03))
    for sx in (-1, 1):
        g.add(t, (sx * w / 2, 0, 0), (0.04, h, d))
    for level in range(n + 1):
        g.add(t, (0, level * (h - 0.03) / n, 0), (w, 0.03, d))
        if level < n and rng.random() < 0.8:
            for _ in range(rng.integers(1, 6)):
                size = (rng.uniform(0.03, 0.25), rng.uniform(0.4, 0.9) * h / n, d * rng.uniform(0.4, 0.8))
                g.add(random_texture(rng), (rng.uniform(-0.42, 0.42) * w, level * (h - 0.03) / n + 0.03, 0), size)


def _cabinet(g: Group, rng: np.random.Generator, t: Texture) -> None:
    w, d, h = rng.uniform(0.4, 2.0), rng.uniform(0.35, 0.7), rng.uniform(0.4, 2.2)
    g.add(t, (0, 0, 0), (w, h, d))
    n, front = int(rng.integers(1, 5)), random_texture(rng) if rng.random() < 0.4 else t
    for i in range(n):
        g.add(front, ((i + 0.5) * w / n - w / 2, 0.05, d / 2), (0.92 * w / n, h - 0.1, 0.03))
    if h < 1.3:
        _clutter(g, rng, w, d, h, int(rng.integers(0, 5)))


def _lamp(g: Group, rng: np.random.Generator, t: Texture) -> None:
    h = rng.uniform(1.0, 1.9)
    g.add(t, (0, 0, 0), (0.3, 0.03, 0.3), "cylinder")
    g.add(t, (0, 0, 0), (0.04, h, 0.04), "cylinder")
    g.add(random_texture(rng), (0, h, 0), (0.35, 0.3, 0.35), rng.choice(["cylinder", "ellipsoid"]))


def person(g: Group, rng: np.random.Generator, t: Texture) -> None:
    h = rng.uniform(1.1, 1.95)
    legs, skin = random_texture(rng), random_texture(rng)
    for sx in (-1, 1):
        g.add(legs, (sx * 0.1, 0, 0), (0.16, 0.48 * h, 0.18), "cylinder")
        g.add(t, (sx * 0.27, 0.42 * h, 0), (0.1, 0.4 * h, 0.12), "ellipsoid")
    g.add(t, (0, 0.46 * h, 0), (0.46, 0.4 * h, 0.28), "ellipsoid")
    g.add(skin, (0, 0.85 * h, 0), (0.2, 0.15 * h, 0.22), "ellipsoid")


def _plant(g: Group, rng: np.random.Generator, t: Texture) -> None:
    h = rng.uniform(0.3, 1.5)
    g.add(t, (0, 0, 0), (0.35, 0.3, 0.35), "cylinder")
    for _ in range(rng.integers(3, 10)):
        at = (rng.normal(0, 0.15), 0.3 + rng.random() * h, rng.normal(0, 0.15))
        g.add(t, at, tuple(rng.uniform(0.06, 0.35, 3)), "ellipsoid")


def _boxes(g: Group, rng: np.random.Generator, t: Texture) -> None:
    height = 0.0
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform(0.15, 0.8, 3)
        g.add(random_texture(rng), (rng.normal(0, 0.05), height, rng.normal(0, 0.05)), tuple(size))
        height += float(size[1])


FURNITURE: tuple[Callable[[Group, np.random.Generator, Texture], None], ...] = (
    _table, _table, _chair, _chair, _sofa, _bed, _shelf, _cabinet, _cabinet, _lamp, person, _plant, _boxes,
)  # fmt: skip
