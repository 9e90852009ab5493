"""Houses, colonnades, bridges and ruins of the photo split, on z = 0, front towards -y."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Kit, Material, Part
from dabench.render.mesh import (
    box,
    cylinder,
    faceted,
    lathe,
    slab,
    tube,
)
from dabench.render.photo.palette import (
    PLASTERS,
    masonry,
    metal,
    paint,
    plaster,
    skin,
    stone,
    timber,
)


def facade(kit: Kit) -> Material:
    """Walls with painted-on windows: arcades in plaster, or a curtain wall."""
    if kit.chance(0.6):
        wall, dark = kit.shade(kit.pick(PLASTERS), 0.2), kit.shade((0.1, 0.11, 0.13), 0.3)
        return Material(
            "diffuse", dark, kit.shade((0.9, 0.88, 0.82), 0.1), wall, kit.texture(("arcade",)), kit.uniform(5, 11)
        )
    dark, light = kit.shade((0.13, 0.17, 0.2), 0.3), kit.shade((0.7, 0.78, 0.83), 0.15)
    return Material("diffuse", dark, light, None, kit.texture(("glazing",)), kit.uniform(8, 20))  # fmt: skip


def roofing(kit: Kit) -> Material:
    """Slates, tiles or sheet."""
    tone = kit.pick([(0.5, 0.27, 0.2), (0.33, 0.34, 0.37), (0.42, 0.36, 0.3), (0.45, 0.5, 0.47)])
    return skin(kit, tone, ("shingles", "shingles", "corrugated", "scales"), (1.0, 3.0), 0.35)


def gable_house(kit: Kit, w: float, d: float, h: float, detail: bool = True) -> list[Part]:
    """A narrow house whose stepped or pointed gable faces the street."""
    wall, trim, cover = facade(kit), plaster(kit), roofing(kit)
    rise = w * kit.uniform(0.4, 0.8)
    parts: list[Part] = [(slab(w, d, 0, h, 0, d / 2), wall)]
    ridge = np.array([[-w / 2 - 0.15, -0.1, h], [0, -0.1, h + rise], [w / 2 + 0.15, -0.1, h],
                      [-w / 2 - 0.15, d + 0.1, h], [0, d + 0.1, h + rise], [w / 2 + 0.15, d + 0.1, h]])  # fmt: skip
    parts.append((faceted(ridge, np.array([[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4], [0, 2, 1], [3, 4, 5]])), cover))
    if kit.chance(0.5):  # stepped parapet
        steps = kit.integer(3, 5)
        for k in range(steps):
            parts.append(
                (slab(w * (1 - k / steps), 0.35, h + rise * k / steps, h + rise * (k + 1) / steps + 0.2, 0, 0.0), trim)
            )
    if not detail:
        return parts  # fmt: skip
    storey = kit.uniform(2.7, 3.4)
    glass = Material("diffuse", kit.shade((0.12, 0.15, 0.18), 0.35))
    parts += [
        (box((w * 0.32, 0.1, storey * 0.75), (kit.pick([-1, 1]) * w * 0.25, -0.02, storey * 0.37)), timber(kit)),
        (box((w * 0.36, 0.08, storey * 0.5), (0.0, -0.02, storey * 0.5)), glass),
        (slab(w * 0.9, 0.5, 0, 0.3, 0, -0.25), stone(kit)),
    ]
    shutter = paint(kit)
    for z in np.arange(storey, h - 2.0, storey):
        for x in (-w * 0.27, w * 0.27):
            if kit.chance(0.6):
                parts += [(box((0.42, 0.06, 1.3), (x + s * 0.65, -0.04, float(z) + 1.2)), shutter) for s in (-1, 1)]
                parts += [(box((0.85, 0.04, 1.3), (x, -0.01, float(z) + 1.2)), glass)]
            if kit.chance(0.25):
                parts.append(
                    (
                        slab(1.1, 0.3, float(z) + 0.3, float(z) + 0.5, x, -0.15),
                        skin(kit, (0.35, 0.45, 0.2), ("leaf_litter",), (0.3, 0.6), 0.7),
                    )
                )
    if kit.chance(0.6):
        parts.append((slab(0.5, 0.5, h, h + rise + kit.uniform(0.3, 1.0), w * 0.28, d * 0.4), masonry(kit)))
    return parts  # fmt: skip


def block(kit: Kit, w: float, d: float, h: float) -> list[Part]:
    """A flat-roofed block with balconies in front and machines on the roof."""
    wall, slab_, rail = facade(kit), plaster(kit), metal(kit)
    parts: list[Part] = [(slab(w, d, 0, h, 0, d / 2), wall), (slab(w + 0.3, d + 0.3, h, h + 0.5, 0, d / 2), slab_)]
    storey = kit.uniform(2.8, 3.3)
    if kit.chance(0.7):
        for k in range(1, int(h / storey)):
            z = k * storey
            parts += [
                (slab(w * 0.9, 1.2, z, z + 0.15, 0, -0.6), slab_),
                (slab(w * 0.9, 0.04, z + 0.15, z + 1.0, 0, -1.18), rail),
            ]
    for _ in range(kit.integer(0, 3)):
        parts.append(
            (
                slab(kit.uniform(1, 3), 1.5, h + 0.5, h + kit.uniform(1.2, 3), kit.uniform(-0.3, 0.3) * w, d / 2),
                metal(kit),
            )
        )
    return parts  # fmt: skip


def colonnade(kit: Kit, length: float, h: float) -> list[Part]:
    """Columns along x under an entablature, a wall behind."""
    cover, n = stone(kit), max(3, int(length / kit.uniform(2.0, 3.2)))
    r = kit.uniform(0.2, 0.35)
    shaft = lathe([(r * 1.4, 0), (r * 1.4, 0.2), (r, 0.35), (r * 0.85, h - 0.4), (r * 1.3, h - 0.15), (r * 1.3, h)], 18)
    parts: list[Part] = [(shaft.moved((float(x), 0, 0)), cover) for x in np.linspace(-length / 2, length / 2, n)]
    parts.append((slab(length + 1, 1.0, h, h + 0.9, 0, 0.1), cover))
    return [*parts, (slab(length + 1, 0.4, 0, h + kit.uniform(0.9, 5), 0, 2.4), facade(kit))]


def footbridge(kit: Kit, span: float) -> list[Part]:
    """A humped bridge along x with railings."""
    t = np.linspace(-1, 1, 19)
    h, w, cover = kit.uniform(0.6, 1.6), kit.uniform(2.0, 3.2), kit.pick([stone, timber, metal])(kit)
    deck = h * (1 - t * t)
    parts: list[Part] = []
    for k in range(18):
        low, high = np.array([t[k] * span / 2, 0, deck[k]]), np.array([t[k + 1] * span / 2, 0, deck[k + 1]])
        near, far = np.array([0, -w / 2, 0]), np.array([0, w / 2, 0])
        corners = np.array([low + near, high + near, high + far, low + far])
        under = corners - [0, 0, 0.35]
        faces = np.array([[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6], [0, 5, 1], [0, 4, 5], [3, 2, 6], [3, 6, 7]])
        parts.append((faceted(np.concatenate([corners, under]), faces), cover))
    rail = metal(kit)
    for s in (-1, 1):
        path = np.stack([t * span / 2, 0 * t + s * w / 2, deck + 1.0], 1)
        parts.append((tube(path, 0.035, 6), rail))
        parts += [
            (
                cylinder(0.02, float(deck[k]), float(deck[k]) + 1.0, 5).moved((float(t[k]) * span / 2, s * w / 2, 0)),
                rail,
            )
            for k in range(0, 19, 2)
        ]
    return parts  # fmt: skip


def ruin_wall(kit: Kit) -> list[Part]:
    """A broken wall along x with a gap for a window."""
    w, h, cover = kit.uniform(2.5, 6), kit.uniform(1.5, 4), masonry(kit)
    parts: list[Part] = []
    for x in np.arange(-w / 2, w / 2, 0.6):
        top = h * kit.uniform(0.45, 1.0)
        if kit.chance(0.2) and top > 1.6:
            parts += [(slab(0.6, 0.5, 0, 0.9, float(x)), cover), (slab(0.6, 0.5, 1.9, top + 0.5, float(x)), cover)]
        else:
            parts.append((slab(0.6, 0.5, 0, top, float(x)), cover))
    return parts
