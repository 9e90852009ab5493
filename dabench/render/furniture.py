"""Furniture and fittings. Parts stand on z = 0, centred in x, their back on y = 0 and their front towards -y."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dabench.render.finishes import PRINT, plain_metal
from dabench.render.fittings import bathtub, bin_, cartons, floor_lamp, tall_plant, toilet, washbasin
from dabench.render.joinery import legs, upholstery, wooden
from dabench.render.kit import Kit, Material, Part, place
from dabench.render.mesh import (
    box,
    cylinder,
    lathe,
    quad,
    slab,
    sphere,
    tube,
)
from dabench.render.props import book_row, scatter
from dabench.render.seating import armchair, bed, chair, office_chair, person, sofa, stool

KITCHEN = ("bottle", "bowl", "plate", "cup", "can", "carton", "tool_jar", "vase", "plant", "solid", "teapot")

DESK = (
    "laptop",
    "papers",
    "book_pile",
    "book",
    "cup",
    "tool_jar",
    "table_lamp",
    "carton",
    "bottle",
    "plant",
    "toy",
    "robot",
)


def table(kit: Kit) -> list[Part]:
    """A dining, coffee or side table with things on it."""
    w, d, h = kit.uniform(0.5, 1.9), kit.uniform(0.45, 1.0), kit.pick([kit.uniform(0.35, 0.5), kit.uniform(0.7, 0.78)])
    wood = wooden(kit)
    if kit.chance(0.25):
        r = d * 0.6
        parts: list[Part] = [
            (cylinder(r, h - 0.03, h, 28), wood),
            (lathe([(r * 0.5, 0), (0.05, 0.05), (0.05, h - 0.03)], 14), wood),
        ]
        parts = place(parts, 0, -r)
        w = d = 1.3 * r
        return parts + scatter(kit, kit.integer(1, 6), (-w / 2, w / 2), (-r - d / 2, -r + d / 2), h, 0.5)
    parts = [
        *legs(w, d, h, kit.uniform(0.035, 0.08), wood, -d / 2),
        (slab(w, d, h - kit.uniform(0.02, 0.06), h, 0, -d / 2), wood),
    ]
    if kit.chance(0.2):
        parts.append((slab(w * 0.9, d * 0.9, h * 0.25, h * 0.25 + 0.02, 0, -d / 2), wood))
    if kit.chance(0.25):
        parts.append((slab(w * 0.6, d * 1.01, h, h + 0.004, 0, -d / 2), upholstery(kit)))
    return parts + scatter(kit, kit.integer(1, 9), (-w / 2, w / 2), (-d, 0), h, 0.5)


def screen(kit: Kit, w: float, h: float) -> list[Part]:
    """A flat display in the xz plane, bottom edge on z = 0."""
    black = Material("plastic", (0.03, 0.03, 0.035), roughness=0.05)
    on = Material("diffuse", kit.colour(), kit.colour((0.5, 1.0)), kit.colour(), kit.texture(PRINT), 1.0)
    face = quad((-w / 2 + 0.015, -0.021, 0.015), (w - 0.03, 0, 0), (0, 0, h - 0.03)).unit_uv()
    return [(box((w, 0.04, h), (0, 0, h / 2)), black), (face, on if kit.chance(0.4) else black)]


def desk(kit: Kit) -> list[Part]:
    """A desk with a monitor, drawers and clutter."""
    w, d, h = kit.uniform(1.0, 1.8), kit.uniform(0.55, 0.8), kit.uniform(0.7, 0.78)
    wood = wooden(kit)
    parts = [*legs(w, d, h, 0.05, wood, -d / 2), (slab(w, d, h - 0.04, h, 0, -d / 2), wood)]
    if kit.chance(0.6):
        side = kit.pick([-1, 1])
        parts += place(cabinet(kit, 0.4, d * 0.9, h - 0.05, bare=True), side * (w / 2 - 0.22), -0.02)
    if kit.chance(0.75):
        x, sw = kit.uniform(-0.3, 0.3), kit.uniform(0.4, 0.7)
        metal = plain_metal(kit)
        parts += place([(slab(0.24, 0.18, 0, 0.015), metal), (slab(0.05, 0.03, 0, 0.2), metal)], x, -0.2, h)
        parts += place(screen(kit, sw, sw * 0.6), x, -0.22, h + 0.12, kit.uniform(-0.3, 0.3))
        parts.append(
            (
                slab(0.42, 0.14, h, h + 0.02, x, -d + 0.2),
                kit.material(("checker",), (0.1, 0.1, 0.1), metres=(0.05, 0.1)),
            )
        )
    return parts + scatter(kit, kit.integer(2, 8), (-w / 2, w / 2), (-d, -0.1), h, 0.5, DESK)


def bookshelf(kit: Kit) -> list[Part]:
    """An open shelf full of books and things."""
    w, d, h = kit.uniform(0.5, 1.8), kit.uniform(0.24, 0.4), kit.uniform(0.8, 2.3)
    wood = wooden(kit)
    t = 0.025
    parts: list[Part] = [(slab(t, d, 0, h, s * (w / 2 - t / 2), -d / 2), wood) for s in (-1, 1)]
    if kit.chance(0.8):
        parts.append((slab(w, 0.01, 0, h, 0, -0.005), wood))
    levels = max(2, int(h / kit.uniform(0.28, 0.42)))
    gap = h / levels
    for k in range(levels + 1):
        parts.append((slab(w, d, min(k * gap, h - t), min(k * gap, h - t) + t, 0, -d / 2), wood))
    for k in range(levels):
        z, style = k * gap + t, kit.rng.random()
        if style < 0.55:
            length = (w - 0.08) * kit.uniform(0.4, 1.0)
            parts += place(book_row(kit, length, gap - 0.05, d * 0.8), -w / 2 + 0.04, -d * kit.uniform(0.85, 0.98), z)
        elif style < 0.92:
            parts += scatter(kit, kit.integer(2, 5), (-w / 2 + t, w / 2 - t), (-d, -0.02), z, gap - 0.06)
    return parts + scatter(kit, kit.integer(0, 4), (-w / 2, w / 2), (-d, 0), h, 0.4)


def cabinet(kit: Kit, w: float = 0.0, d: float = 0.0, h: float = 0.0, bare: bool = False) -> list[Part]:
    """A cabinet, dresser or chest: a carcass with doors or drawers and knobs."""
    w, d, h = w or kit.uniform(0.5, 1.6), d or kit.uniform(0.35, 0.55), h or kit.uniform(0.5, 1.3)
    wood, knob = wooden(kit), plain_metal(kit)
    parts: list[Part] = [(slab(w, d, 0.05, h, 0, -d / 2), wood), (slab(w * 0.94, d * 0.9, 0, 0.05, 0, -d / 2), knob)]
    if not bare:
        parts.append((slab(w + 0.04, d + 0.03, h, h + 0.03, 0, -d / 2), wood))
    columns = max(1, round(w / kit.uniform(0.35, 0.7)))
    rows = 1 if kit.chance(0.4) else max(1, round((h - 0.05) / kit.uniform(0.18, 0.35)))
    cw, rh = w / columns, (h - 0.05) / rows
    inset = kit.chance(0.4)
    for c in range(columns):
        for r in range(rows):
            x, z = -w / 2 + (c + 0.5) * cw, 0.05 + (r + 0.5) * rh
            parts.append((box((cw - 0.012, 0.02, rh - 0.012), (x, -d - 0.01, z)), wood))
            if inset:
                parts.append((box((cw * 0.7, 0.012, max(rh - 0.14, 0.03)), (x, -d - 0.02, z)), wood))
            side = x + (0 if rows > 1 else (0.38 if c % 2 == 0 else -0.38) * cw)
            parts.append((sphere(0.014, 8).moved((side, -d - 0.035, z)), knob))
    if not bare:
        parts += scatter(kit, kit.integer(0, 7), (-w / 2, w / 2), (-d, 0), h + 0.03, 0.5)
    return parts


def wardrobe(kit: Kit) -> list[Part]:
    """A tall cupboard with a cornice."""
    w, d, h = kit.uniform(0.9, 1.8), kit.uniform(0.5, 0.65), kit.uniform(1.8, 2.3)
    return [*cabinet(kit, w, d, h, bare=True), (slab(w + 0.1, d + 0.06, h, h + 0.09, 0, -d / 2), wooden(kit))]


def fridge(kit: Kit) -> list[Part]:
    """A refrigerator with two doors and handles."""
    w, d, h = kit.uniform(0.6, 0.9), kit.uniform(0.6, 0.75), kit.uniform(1.5, 1.9)
    shell = Material(
        "plastic", kit.shade(kit.pick([(0.92, 0.92, 0.9), (0.6, 0.6, 0.62), (0.1, 0.1, 0.1)]), 0.1), roughness=0.15
    )
    split, metal = h * kit.uniform(0.35, 0.7), plain_metal(kit)
    parts: list[Part] = [(slab(w, d, 0.03, h, 0, -d / 2), shell)]
    for z0, z1 in ((0.06, split - 0.005), (split + 0.005, h - 0.01)):
        parts.append((slab(w - 0.01, 0.05, z0, z1, 0, -d - 0.025), shell))
        parts.append((slab(0.02, 0.03, z0 + 0.2 * (z1 - z0), z0 + 0.8 * (z1 - z0), -w * 0.42, -d - 0.07), metal))
    for _ in range(kit.integer(0, 5)):
        card = quad((0, 0, 0), (kit.uniform(0.05, 0.2), 0, 0), (0, 0, kit.uniform(0.05, 0.25))).unit_uv()
        paper = Material("diffuse", kit.colour(), kit.colour((0.6, 1)), None, kit.texture(PRINT), 1.0)
        parts.append((card.moved((kit.uniform(-w * 0.3, w * 0.3), -d - 0.053, kit.uniform(0.7, h - 0.3))), paper))
    return parts + scatter(
        kit, kit.integer(0, 4), (-w / 2, w / 2), (-d, 0), h, 0.35, ("carton", "bowl", "can", "plant")
    )


def counter(kit: Kit) -> list[Part]:
    """A kitchen run: base units, worktop, sink, splash-back and often wall units above."""
    w, d, h = kit.uniform(1.4, 3.2), kit.uniform(0.55, 0.68), kit.uniform(0.85, 0.94)
    stone = kit.material(("marble", "speckle", "clouds", "wood", "tiles"), metres=(0.3, 1.2), plain=0.2, kind="plastic")
    parts = [*cabinet(kit, w, d, h - 0.04, bare=True), (slab(w, d + 0.05, h - 0.04, h, 0, -d / 2 - 0.02), stone)]
    parts.append(
        (
            slab(w, 0.012, h, h + kit.uniform(0.1, 0.55), 0, -0.006),
            kit.material(("tiles", "bricks", "checker"), metres=(0.3, 0.8), plain=0.2),
        )
    )
    free = [(-w / 2, w / 2)]
    if kit.chance(0.6):
        x, steel = kit.uniform(-w / 4, w / 4), plain_metal(kit)
        basin = lathe([(0.0, h - 0.16), (0.16, h - 0.15), (0.2, h + 0.004), (0.22, h + 0.006)], 24).stretched(
            (1.2, 0.9, 1)
        )
        parts.append((basin.moved((x, -d / 2, 0.002)), steel))
        arc = np.array(
            [[x, -0.1, h], [x, -0.1, h + 0.25], [x, -0.16, h + 0.32], [x, -0.25, h + 0.3], [x, -0.27, h + 0.24]]
        )
        parts.append((tube(arc, 0.014, 8), steel))
        free = [(-w / 2, x - 0.25), (x + 0.25, w / 2)]
    if kit.chance(0.75):
        upper = place(
            cabinet(kit, w * kit.uniform(0.5, 1.0), 0.34, kit.uniform(0.5, 0.8), bare=True),
            0,
            0,
            h + kit.uniform(0.45, 0.6),
        )
        parts += upper
    for a, b in free:
        if b - a > 0.3:
            parts += scatter(kit, kit.integer(2, 8), (a, b), (-d, -0.05), h, 0.42, KITCHEN)
    return parts


def television(kit: Kit) -> list[Part]:
    """A television on a low board."""
    w = kit.uniform(0.7, 1.4)
    low = kit.uniform(0.35, 0.6)
    parts = cabinet(kit, w * 1.2, 0.4, low, bare=True)
    parts += [
        *place(screen(kit, w, w * 0.58), 0, -0.18, low + 0.06),
        (slab(w * 0.4, 0.2, low, low + 0.02, 0, -0.2), plain_metal(kit)),
    ]
    return [*parts, (slab(0.1, 0.05, low, low + 0.1, 0, -0.18), plain_metal(kit))]


FURNITURE: dict[str, Callable[[Kit], list[Part]]] = {
    "bed": bed,
    "sofa": sofa,
    "armchair": armchair,
    "chair": chair,
    "stool": stool,
    "office_chair": office_chair,
    "table": table,
    "desk": desk,
    "bookshelf": bookshelf,
    "cabinet": cabinet,
    "wardrobe": wardrobe,
    "fridge": fridge,
    "counter": counter,
    "television": television,
    "toilet": toilet,
    "washbasin": washbasin,
    "bathtub": bathtub,
    "floor_lamp": floor_lamp,
    "bin": bin_,
    "cartons": cartons,
    "tall_plant": tall_plant,
    "person": person,
}
