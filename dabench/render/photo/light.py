"""Skies, suns and lenses of the photo split."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Camera, Colour, Kit, Light, Scene, direction
from dabench.render.noise import spectral_noise

_AIRS: dict[str, tuple[Colour, Colour, tuple[float, float], tuple[float, float]]] = {
    # zenith, horizon (linear), sun's height in radians, sun's power
    "noon": ((0.08, 0.2, 0.55), (0.5, 0.65, 0.85), (0.7, 1.35), (2.5, 5.0)),
    "afternoon": ((0.15, 0.28, 0.55), (0.8, 0.76, 0.66), (0.35, 0.8), (1.8, 4.0)),
    "golden": ((0.22, 0.28, 0.45), (1.1, 0.66, 0.32), (0.09, 0.3), (1.5, 3.5)),
    "veiled": ((0.6, 0.66, 0.74), (0.9, 0.92, 0.93), (0.4, 1.2), (0.5, 1.4)),
    "overcast": ((0.52, 0.55, 0.6), (0.72, 0.74, 0.76), (0.9, 1.3), (0.02, 0.25)),
    "stormy": ((0.2, 0.23, 0.28), (0.5, 0.5, 0.47), (0.3, 0.9), (0.0, 1.2)),
}


def daylight(kit: Kit, scene: Scene, ground: Colour = (0.3, 0.28, 0.24)) -> None:
    """Give a scene a sky, its sun and the light between them; `ground` (linear) fills the lower half."""
    zenith, horizon, heights, powers = _AIRS[kit.pick(sorted(_AIRS))]
    height, side, power = kit.uniform(*heights), kit.heading(), kit.uniform(*powers)
    rows, columns = 80, 160
    elevation = np.linspace(np.pi / 2, -np.pi / 2, rows)[:, None]
    up = np.clip(np.sin(elevation), 0, 1)[..., None] ** kit.uniform(0.4, 0.9)
    image = np.asarray(horizon) * (1 - up) + np.asarray(zenith) * up
    turn = np.linspace(-np.pi, np.pi, columns)[None]
    near = np.cos(elevation) * np.cos(height) * np.cos(turn) + np.sin(elevation) * np.sin(height)
    warm = np.array([1.0, 0.55 + 0.4 * min(height, 1.0), 0.25 + 0.7 * min(height, 1.0)])
    image = image + (0.5 * power / 4) * np.exp((near[..., None] - 1) * kit.uniform(4, 14)) * warm
    # two layers of cloud: heaps, flattened towards the horizon, and streaks
    heaps = np.tile(spectral_noise(kit.rng, kit.uniform(1.3, 1.8), kit.uniform(0.35, 0.7)), (1, 2))[:rows, :columns]
    streaks = np.tile(spectral_noise(kit.rng, 1.6, 0.12), (1, 2))[40 : 40 + rows, :columns]
    cover, veil = kit.uniform(0.35, 1.1), kit.uniform(0.0, 0.5)
    heap = np.clip((heaps - cover) * 4, 0, 1)[..., None]
    lit = (0.55 + 0.6 * (heaps - 0.5))[..., None] * (0.5 * np.asarray(horizon) + 0.6) * (0.6 + 0.15 * power)
    image = image * (1 - veil * streaks[..., None]) + veil * streaks[..., None] * np.asarray(horizon)
    image = image * (1 - heap) + heap * lit
    image = np.where(elevation[..., None] < 0, np.asarray(ground) * float(np.mean(horizon)), image)
    # the glow is in the middle column, but Mitsuba's map has +y in column 0 and turns the other way
    image = np.roll(image, round(-side / (2 * np.pi) * columns + columns / 2), axis=1)
    way = -direction(side, height)
    colour = (power * float(warm[0]), power * float(warm[1]), power * float(warm[2]))
    scene.sky = image.astype(np.float32)
    scene.lights = [Light("sun", (float(way[0]), float(way[1]), float(way[2])), colour)] if power > 0.05 else []
    fill = kit.uniform(0.3, 0.8)
    scene.ambient = (fill * 0.92, fill * 0.97, fill * 1.1)


def lens(rng: np.random.Generator) -> float:
    """Horizontal field of view in degrees: long, normal and very wide lenses."""
    kind = rng.random()
    if kind < 0.3:
        return float(rng.uniform(28, 42))
    return float(rng.uniform(50, 68)) if kind < 0.7 else float(rng.uniform(76, 100))


def shot(eye: np.ndarray, target: np.ndarray, rng: np.random.Generator, steady: float = 2.0) -> Camera:
    """A camera at `eye` towards `target` (metres) with a lens of chance and a roll of `steady` degrees."""
    roll = float(rng.normal(0, steady)) if rng.random() < 0.85 else float(rng.uniform(-25, 25))
    e, t = np.asarray(eye, dtype=float), np.asarray(target, dtype=float)
    return Camera((float(e[0]), float(e[1]), float(e[2])), (float(t[0]), float(t[1]), float(t[2])), lens(rng), roll)


def glance(eye: np.ndarray, yaw: float, pitch: float, rng: np.random.Generator, steady: float = 2.0) -> Camera:
    """A camera at `eye`, yaw about z from +y and pitch above the horizon in radians."""
    return shot(eye, np.asarray(eye) + direction(yaw, pitch), rng, steady)
