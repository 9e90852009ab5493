"""Procedural textures: grey patterns from small seeded families, coloured when a material is made.

A pattern is float32 [128, 128] in 0..1 and tiles in both directions where its nature allows. Families named in
`HELDOUT_PATTERNS` are never used for the train split, those of `PHOTO_PATTERNS` by the photo split only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from dabench.render.noise import SIZE, spectral_noise
from dabench.render.noise import grid as _grid
from dabench.render.photo.patterns import PHOTO_PATTERNS

HELDOUT_PATTERNS = frozenset({"herringbone", "voronoi", "leaves", "polka"})


def _clouds(rng: np.random.Generator) -> np.ndarray:
    return spectral_noise(rng, rng.uniform(0.9, 2.4))


def _speckle(rng: np.random.Generator) -> np.ndarray:
    return spectral_noise(rng, rng.uniform(0.0, 0.9))


def _wood(rng: np.random.Generator) -> np.ndarray:
    _, v = _grid()
    warp = spectral_noise(rng, 2.0, 8.0)
    rings = np.sin((v * rng.integers(3, 9) + warp * rng.uniform(0.5, 2.0)) * 2 * np.pi)
    fibre = spectral_noise(rng, 0.6, 12.0)
    return 0.5 + 0.3 * rings + 0.35 * (fibre - 0.5)


def _planks(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    rows = int(rng.integers(3, 7))
    row = np.floor(v * rows).astype(int)
    shift = rng.random(rows)[row]
    column = np.floor((u + shift) % 1.0 * 2).astype(int)
    tone = rng.random((rows, 2))[row, column]
    gap = (v * rows % 1.0 < 0.06) | ((u + shift) % 0.5 < 0.012)
    return np.where(gap, 0.05, 0.3 + 0.45 * tone + 0.3 * (spectral_noise(rng, 0.8, 10.0) - 0.5))


def _tiles(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    n = int(rng.integers(2, 6))
    tone = rng.random((n, n))[np.floor(v * n).astype(int), np.floor(u * n).astype(int)]
    joint = (u * n % 1 < 0.06) | (v * n % 1 < 0.06)
    face = 0.65 + rng.uniform(0.05, 0.4) * (tone - 0.5) + 0.25 * (spectral_noise(rng, 1.4) - 0.5)
    return np.where(joint, rng.choice([0.1, 1.0]), face)


def _bricks(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    rows, columns = int(rng.integers(3, 6)) * 2, int(rng.integers(2, 5))
    row = np.floor(v * rows).astype(int)
    x = (u * columns + 0.5 * (row % 2)) % columns
    tone = rng.random((rows, columns))[row, np.floor(x).astype(int)]
    joint = (x % 1 < 0.07) | (v * rows % 1 < 0.14)
    return np.where(joint, 0.95, 0.25 + 0.4 * tone + 0.25 * (spectral_noise(rng, 0.9) - 0.5))


def _stripes(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    phase = (u if rng.random() < 0.5 else v) * int(rng.integers(2, 12))
    edges = np.sort(rng.random(int(rng.integers(1, 4)) * 2))
    levels = rng.random(len(edges) + 1)
    return levels[np.searchsorted(edges, phase % 1.0)]


def _checker(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    n = int(rng.integers(1, 6)) * 2
    return ((np.floor(u * n) + np.floor(v * n)) % 2) * 0.8 + 0.2 * spectral_noise(rng, 1.0)


def _plaid(rng: np.random.Generator) -> np.ndarray:
    return 0.5 * _stripes(rng) + 0.5 * _stripes(rng).T


def _fabric(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    n = int(rng.integers(12, 32))
    weave = 0.5 + 0.25 * np.sin(u * n * 2 * np.pi) + 0.25 * np.sin(v * n * 2 * np.pi)
    return 0.6 * weave + 0.4 * spectral_noise(rng, 1.0)


def _marble(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    vein = np.abs(np.sin((u + v * rng.uniform(0.2, 1.0) + 1.5 * spectral_noise(rng, 1.7)) * np.pi * 3))
    return vein ** rng.uniform(0.2, 0.7)


def _glyphs(rng: np.random.Generator) -> np.ndarray:
    page = np.ones((SIZE, SIZE))
    height = int(rng.integers(3, 9))
    y = height
    while y < SIZE - height:
        x = int(rng.integers(4, 12))
        end = SIZE - int(rng.integers(4, 50))
        while x < end:
            width = int(rng.integers(2, max(3, height)))
            if rng.random() < 0.82:
                ink = rng.random((height, width)) < 0.65
                page[y : y + height, x : x + width][ink[:, : SIZE - x]] = 0.1
            x += width + 1
        y += int(height * rng.uniform(1.4, 2.2)) + 1
    return page


def _shapes(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    page = np.full((SIZE, SIZE), rng.random())
    for _ in range(int(rng.integers(4, 22))):
        cx, cy, a, b, turn = rng.random(), rng.random(), *rng.uniform(0.03, 0.35, 2), rng.uniform(0, np.pi)
        x = (u - cx) * np.cos(turn) + (v - cy) * np.sin(turn)
        y = (v - cy) * np.cos(turn) - (u - cx) * np.sin(turn)
        inside = (np.abs(x) < a) & (np.abs(y) < b) if rng.random() < 0.5 else (x / a) ** 2 + (y / b) ** 2 < 1
        page[inside] = rng.random()
    return page


def _landscape(rng: np.random.Generator) -> np.ndarray:
    """A view such as hangs framed on a wall or lies behind a window: sky, ridges, ground."""
    _u, v = _grid()
    page = 0.75 + 0.25 * (1 - v) * spectral_noise(rng, 1.8)
    level = rng.uniform(0.35, 0.6)
    for step in range(4):
        ridge = level + 0.14 * (spectral_noise(rng, 1.3)[0] - 0.5)
        page = np.where(v > ridge, (0.6 - 0.15 * step) * (0.6 + 0.6 * spectral_noise(rng, 0.9)), page)
        level += rng.uniform(0.06, 0.2)
    return page


def _flowers(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    page = np.full((SIZE, SIZE), 0.2) + 0.2 * spectral_noise(rng, 1.0)
    for _ in range(int(rng.integers(6, 26))):
        cx, cy, radius, petals = rng.random(), rng.random(), rng.uniform(0.03, 0.12), int(rng.integers(4, 8))
        dx, dy = (u - cx + 0.5) % 1 - 0.5, (v - cy + 0.5) % 1 - 0.5
        edge = radius * (0.65 + 0.35 * np.cos(petals * np.arctan2(dy, dx)))
        page = np.where(np.hypot(dx, dy) < edge, rng.uniform(0.6, 1.0), page)
    return page


def _facade(rng: np.random.Generator) -> np.ndarray:
    """Windows in a wall: rows of dark panes with light frames."""
    u, v = _grid()
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(2, 6))
    x, y = u * columns % 1, v * rows % 1
    half_w, half_h = rng.uniform(0.15, 0.4), rng.uniform(0.2, 0.4)
    inside = (np.abs(x - 0.5) < half_w) & (np.abs(y - 0.5) < half_h)
    frame = (np.abs(x - 0.5) < half_w + 0.05) & (np.abs(y - 0.5) < half_h + 0.05)
    bars = (np.abs(x - 0.5) < 0.02) | (np.abs(y - 0.4) < 0.02)
    tone = rng.random((rows, columns))[np.floor(v * rows).astype(int), np.floor(u * columns).astype(int)]
    wall = 0.62 + 0.2 * (spectral_noise(rng, 1.2) - 0.5)
    return np.where(inside & ~bars, 0.05 + 0.25 * tone, np.where(frame, 0.95, wall))


def _foliage(rng: np.random.Generator) -> np.ndarray:
    return 0.7 * spectral_noise(rng, 0.3) * (0.4 + 0.6 * spectral_noise(rng, 1.5)) + 0.3 * spectral_noise(rng, 1.2)


def _caustics(rng: np.random.Generator) -> np.ndarray:
    net = 1 - np.abs(2 * spectral_noise(rng, 2.2) - 1)
    return np.clip(net, 0, 1) ** 6


def _herringbone(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    n = int(rng.integers(3, 6)) * 2
    zig = np.abs((u * n) % 2 - 1)
    band = (v * n + zig) % 1
    tone = rng.random((n + 2, n))[np.floor(v * n + zig).astype(int), np.floor(u * n).astype(int)]
    return np.where(band < 0.12, 0.05, 0.35 + 0.5 * tone)


def _voronoi(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    points = rng.random((int(rng.integers(15, 70)), 2))
    dx = np.abs(u[..., None] - points[:, 0])
    dy = np.abs(v[..., None] - points[:, 1])
    distance = np.hypot(np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy))
    two = np.partition(distance, 1, axis=-1)
    tone = rng.random(len(points))[distance.argmin(axis=-1)]
    return np.where(two[..., 1] - two[..., 0] < 0.015, 0.05, 0.3 + 0.6 * tone)


def _leaves(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    page = 0.3 * spectral_noise(rng, 1.2)
    for _ in range(60):
        cx, cy, turn, length = rng.random(), rng.random(), rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.12)
        dx, dy = (u - cx + 0.5) % 1 - 0.5, (v - cy + 0.5) % 1 - 0.5
        x, y = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        inside = (np.abs(x) < length) & (np.abs(y) < 0.35 * length * (1 - (x / length) ** 2))
        page = np.where(inside, rng.uniform(0.35, 1.0) - 0.3 * (np.abs(y) < 0.004), page)
    return page


def _polka(rng: np.random.Generator) -> np.ndarray:
    u, v = _grid()
    n = int(rng.integers(3, 9))
    row = np.floor(v * n * 2)
    x = (u * n + 0.5 * (row % 2)) % 1 - 0.5
    y = ((v * n * 2) % 1 - 0.5) / 2
    return np.where(np.hypot(x, y) < rng.uniform(0.12, 0.24), 1.0, 0.1 + 0.1 * spectral_noise(rng, 1.0))


PATTERNS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "clouds": _clouds,
    "speckle": _speckle,
    "wood": _wood,
    "planks": _planks,
    "tiles": _tiles,
    "bricks": _bricks,
    "stripes": _stripes,
    "checker": _checker,
    "plaid": _plaid,
    "fabric": _fabric,
    "marble": _marble,
    "glyphs": _glyphs,
    "shapes": _shapes,
    "landscape": _landscape,
    "flowers": _flowers,
    "facade": _facade,
    "foliage": _foliage,
    "caustics": _caustics,
    "herringbone": _herringbone,
    "voronoi": _voronoi,
    "leaves": _leaves,
    "polka": _polka,
    **PHOTO_PATTERNS,
}


@lru_cache(maxsize=512)
def pattern(family: str, variant: int) -> np.ndarray:
    """The `variant`-th texture of a family: float32 [128, 128] in 0..1, the same in every process."""
    seed = np.random.SeedSequence([int.from_bytes(family.encode()[:8], "little"), variant])
    page = np.clip(PATTERNS[family](np.random.default_rng(seed)), 0, 1).astype(np.float32)
    page.flags.writeable = False
    return page


def coloured(page: np.ndarray, dark: np.ndarray, light: np.ndarray, accent: np.ndarray | None = None) -> np.ndarray:
    """A grey pattern as sRGB uint8 [H, W, 3] along dark -> light, or dark -> accent -> light (each sRGB 0..1 [3])."""
    t = page[..., None]
    if accent is None:
        rgb = dark + (light - dark) * t
    else:
        rgb = np.where(t < 0.5, dark + (accent - dark) * 2 * t, accent + (light - accent) * (2 * t - 1))
    return (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)
