"""Ground and plants of the photo split: ridged relief, trunks, ferns, reeds, cypresses, logs, crags."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dabench.render.kit import Kit, Material, Part, place
from dabench.render.mesh import (
    Mesh,
    cylinder,
    faceted,
    height_field,
    lathe,
    rock,
    rotation_x,
    rotation_y,
    superquadric,
    surface,
    tube,
)
from dabench.render.noise import spectral_noise
from dabench.render.photo.palette import SOILS, leafage, rind, skin, stone


class Land:
    """A square height field of `size` metres around the origin; `heights` float [N, N] in metres, rows along y."""

    def __init__(self, heights: np.ndarray, size: float):
        self.heights, self.size = heights, size

    def at(self, x: float, y: float) -> float:
        """Height (m) by bilinear interpolation, clamped at the border."""
        n = self.heights.shape[0] - 1
        row, column = np.clip((np.array([y, x]) / self.size + 0.5) * n, 0, n - 1e-6)
        i, j = int(row), int(column)
        fy, fx = row - i, column - j
        h = self.heights
        low = h[i, j] * (1 - fx) + h[i, j + 1] * fx
        high = h[i + 1, j] * (1 - fx) + h[i + 1, j + 1] * fx
        return float(low * (1 - fy) + high * fy)

    def mesh(self) -> Mesh:
        """The ground as a mesh."""
        return height_field(self.heights, (self.size, self.size))


def ridged(kit: Kit, cells: int, size: float, height: float, slope: float = 1.9) -> Land:
    """Ridges and valleys, 0..height metres."""
    noise = 1 - np.abs(2 * spectral_noise(kit.rng, slope, kit.uniform(0.6, 1.7), 128).astype(float) - 1)
    index = np.linspace(0, 127, cells).astype(int)
    return Land(noise[np.ix_(index, index)] * height, size)


def soil(
    kit: Kit, families: tuple[str, ...] = ("turf", "leaf_litter", "gravel", "cracked", "sand_ripples")
) -> Material:
    """Open ground."""
    tone = kit.pick([*SOILS, (0.36, 0.42, 0.2), (0.45, 0.46, 0.25)])
    return skin(kit, tone, families, (1.2, 4.0), 0.45)


def pine_trunk(kit: Kit) -> list[Part]:
    """A tall bare trunk with a crown high up."""
    h, r = kit.uniform(7, 14), kit.uniform(0.12, 0.3)
    sway = kit.rng.normal(0, 0.25, (5, 2)).cumsum(axis=0) * np.linspace(0, 1, 5)[:, None]
    path = np.column_stack([sway, np.linspace(0, h, 5)])
    leaf = leafage(kit)
    parts: list[Part] = [(tube(path, np.linspace(r, r * 0.4, 5), 10), rind(kit))]
    for _ in range(kit.integer(3, 6)):
        at = path[-1] + np.array([*kit.around(0.9), kit.uniform(-2.2, 0.4)])
        parts.append((rock(kit.rng, kit.uniform(0.7, 1.3), 0.3, 14).stretched((1, 1, 0.45)).moved(at), leaf))
    for _ in range(kit.integer(0, 4)):
        z, a = kit.uniform(0.25, 0.6) * h, kit.heading()
        stub = np.array([[sway[2, 0], sway[2, 1], z], [np.cos(a) * 0.8, np.sin(a) * 0.8, z + 0.15]])
        parts.append((tube(stub, [0.04, 0.015], 5), rind(kit)))
    return parts


def cypress(kit: Kit) -> list[Part]:
    """A narrow dark flame of a tree."""
    h = kit.uniform(4, 9)
    r = h * kit.uniform(0.08, 0.13)
    t = np.linspace(0, 1, 9)
    crown = lathe([(r * float(np.sin(np.pi * a**0.7) + 0.03), 0.4 + (h - 0.4) * float(a)) for a in t], 12)
    shake = kit.rng.normal(0, 0.07 * r, crown.vertices.shape)
    return [(Mesh(crown.vertices + shake, crown.normals, crown.uv, crown.faces), leafage(kit)),
            (cylinder(r * 0.3, 0, 0.7, 8), rind(kit))]  # fmt: skip


def olive(kit: Kit) -> list[Part]:
    """A low tree: forked twisted trunk, an umbrella of leaves."""
    h, wood, leaf = kit.uniform(2.5, 4.5), rind(kit), leafage(kit)
    parts: list[Part] = []
    for _ in range(kit.integer(2, 4)):
        a = kit.heading()
        way = np.array([np.cos(a), np.sin(a), 0]) * h * kit.uniform(0.2, 0.4)
        path = np.array([[0, 0, 0], [0.1, 0.05, h * 0.3], [*(way[:2] * 0.6), h * 0.5], [*way[:2], h * 0.75]])
        parts.append((tube(path, [0.2, 0.15, 0.09, 0.04], 8), wood))
        for _ in range(2):
            at = path[-1] + np.array([*kit.around(0.5), kit.uniform(0, 0.4)])
            parts.append(
                (rock(kit.rng, h * kit.uniform(0.14, 0.22), 0.28, 16).stretched((1.2, 1.2, 0.6)).moved(at), leaf)
            )
    return parts


def fern(kit: Kit) -> list[Part]:
    """A rosette of arching fronds."""
    leaf, length = leafage(kit), kit.uniform(0.4, 1.0)
    t = np.linspace(0, 1, 7)
    parts: list[Part] = []
    for a in np.linspace(0, 2 * np.pi, kit.integer(8, 14), endpoint=False):
        lift = kit.uniform(0.7, 1.2)
        out, up = length * t * np.cos(lift * 0.8), length * (np.sin(lift) * t - 0.75 * t**2.2) + 0.03
        wide = 0.13 * length * np.sin(np.pi * np.clip(t + 0.06, 0, 1))
        frond = surface(
            np.stack(
                [np.stack([out, -wide, up], 1), np.stack([out, 0 * t, up + 0.02], 1), np.stack([out, wide, up], 1)], 1
            )
        )
        parts.append((frond.moved((0, 0, 0), float(a) + kit.uniform(-0.2, 0.2)), leaf))
    return parts  # fmt: skip


def reeds(kit: Kit) -> list[Part]:
    """A tuft of blades and heads."""
    blade, head = leafage(kit), rind(kit)
    parts: list[Part] = []
    for _ in range(kit.integer(10, 24)):
        x, y = kit.around(0.18)
        h, lean = kit.uniform(0.5, 1.5), kit.rng.normal(0, 0.25, 2)
        path = np.array([[x, y, 0], [x + lean[0] * 0.3, y + lean[1] * 0.3, h * 0.6], [x + lean[0], y + lean[1], h]])
        parts.append((tube(path, [0.012, 0.009, 0.003], 4), blade))
        if kit.chance(0.25):
            parts.append((superquadric((0.02, 0.02, 0.09), 0.8, 1, 8).moved(path[-1]), head))
    return parts


def fallen_log(kit: Kit) -> list[Part]:
    """A log on the ground with broken branches."""
    length, r, bark = kit.uniform(1.5, 5), kit.uniform(0.12, 0.35), rind(kit)
    body = cylinder(r, -length / 2, length / 2, 14, r * 0.75).rotated(rotation_y(np.pi / 2), (0, 0, r * 0.8))
    parts: list[Part] = [(body, bark)]
    for _ in range(kit.integer(1, 4)):
        x = kit.uniform(-0.4, 0.4) * length
        tip = [x + kit.uniform(-0.3, 0.3), kit.uniform(-0.6, 0.6), r + kit.uniform(0.3, 0.8)]
        parts.append((tube(np.array([[x, 0, r], tip]), [0.06, 0.02], 6), bark))
    return parts


def crag(kit: Kit) -> list[Part]:
    """An angular rock: a squashed, faceted lump."""
    lump = rock(kit.rng, kit.uniform(0.4, 1.4), kit.uniform(0.25, 0.45), 9).rotated(rotation_x(kit.uniform(-0.5, 0.5)))
    low = float(lump.vertices[:, 2].min())
    return [(faceted(lump.vertices, lump.faces).moved((0, 0, -0.45 * low)), stone(kit))]


def slab_rock(kit: Kit) -> list[Part]:
    """Layered slabs."""
    cover = stone(kit)
    parts: list[Part] = []
    z = -0.1
    for _ in range(kit.integer(2, 5)):
        thick = kit.uniform(0.15, 0.5)
        plate = superquadric((kit.uniform(0.5, 1.4), kit.uniform(0.4, 1.1), thick / 2), 0.35, 0.6, 18)
        parts.append((plate.moved((*kit.around(0.15), z + thick / 2), kit.heading()), cover))
        z += thick * 0.9
    return parts


def hedge(kit: Kit) -> list[Part]:
    """A clipped hedge along x."""
    length, h = kit.uniform(2, 6), kit.uniform(0.6, 1.8)
    body = superquadric((length / 2, 0.4, h / 2), 0.25, 0.25, 40).moved((0, 0, h / 2))
    shake = kit.rng.normal(0, 0.03, body.vertices.shape)
    return [(Mesh(body.vertices + shake, body.normals, body.uv, body.faces), leafage(kit))]


PLANTS: dict[str, Callable[[Kit], list[Part]]] = {
    "pine_trunk": pine_trunk,
    "cypress": cypress,
    "olive": olive,
    "fern": fern,
    "reeds": reeds,
    "fallen_log": fallen_log,
    "crag": crag,
    "slab_rock": slab_rock,
    "hedge": hedge,
}


def sown(
    kit: Kit,
    makers: dict[str, Callable[[Kit], list[Part]]],
    count: int,
    land: Land,
    reach: float,
    clear: float = 2.0,
    scale: tuple[float, float] = (0.8, 1.3),
) -> list[Part]:
    """`count` things on the land within `reach` metres of the origin, none within `clear`; copies share shapes."""
    made: dict[str, list[list[Part]]] = {}
    parts: list[Part] = []
    for _ in range(count):
        a, r = kit.heading(), clear + (reach - clear) * kit.uniform(0, 1) ** 0.8
        x, y = float(r * np.cos(a)), float(r * np.sin(a))
        name = kit.choose(makers)
        shelf = made.setdefault(name, [])
        if len(shelf) < 3:
            shelf.append(makers[name](kit))
        parts += place(kit.pick(shelf), x, y, land.at(x, y) - 0.04, kit.heading(), kit.uniform(*scale))
    return parts  # fmt: skip
