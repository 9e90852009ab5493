"""Things that hang, and sanitary ware, lamps and boxes; placed like furniture, hanging things from their top."""

from __future__ import annotations

import numpy as np

from dabench.render.finishes import ANY, CLOTH, PRINT, plain_metal
from dabench.render.joinery import upholstery, wooden
from dabench.render.kit import Kit, Material, Part, place, turned
from dabench.render.mesh import (
    box,
    cloth,
    cushion,
    cylinder,
    lathe,
    quad,
    rock,
    slab,
    sphere,
    tube,
)
from dabench.render.props import plant, table_lamp


def toilet(kit: Kit) -> list[Part]:
    """A toilet."""
    white = Material("plastic", kit.shade((0.9, 0.89, 0.86), 0.08), roughness=0.08)
    bowl = lathe([(0.12, 0), (0.1, 0.15), (0.19, 0.38), (0.2, 0.4), (0.15, 0.41), (0.1, 0.3)], 22).stretched(
        (1, 1.25, 1)
    )
    return [
        (bowl.moved((0, -0.45, 0)), white),
        (cushion(0.42, 0.2, 0.38, 0.8, 0, -0.1, 0.15), white),
        (cushion(0.38, 0.04, 0.4, 0.82, 0, -0.24, 0.4), white),
    ]


def washbasin(kit: Kit) -> list[Part]:
    """A pedestal basin with a tap."""
    white = Material("plastic", kit.shade((0.9, 0.89, 0.86), 0.08), roughness=0.08)
    rim = lathe([(0.05, 0.62), (0.2, 0.7), (0.27, 0.85), (0.24, 0.855), (0.12, 0.74), (0, 0.73)], 26).stretched(
        (1, 0.85, 1)
    )
    tap = np.array([[0, -0.06, 0.84], [0, -0.07, 0.95], [0, -0.17, 0.96]])
    return [
        (rim.moved((0, -0.24, 0)), white),
        (cylinder(0.1, 0, 0.68, 16, 0.07).moved((0, -0.22, 0)), white),
        (tube(tap, 0.016, 8), plain_metal(kit)),
    ]


def bathtub(kit: Kit) -> list[Part]:
    """A bath: rim, walls and a hollow."""
    w, d, h = kit.uniform(1.4, 1.7), 0.75, kit.uniform(0.5, 0.6)
    white = Material("plastic", kit.shade((0.9, 0.89, 0.86), 0.08), roughness=0.08)
    side = kit.material(("tiles",), plain=0.6, metres=(0.3, 0.7), kind="plastic")
    parts: list[Part] = [
        (slab(w, 0.08, 0, h, 0, -0.04), white),
        (slab(w, 0.08, 0, h, 0, -d + 0.04), side),
        (slab(w, d, 0, 0.15, 0, -d / 2), white),
    ]
    return parts + [(slab(0.1, d, 0, h, s * (w / 2 - 0.05), -d / 2), white) for s in (-1, 1)]


def floor_lamp(kit: Kit) -> list[Part]:
    """A standing lamp."""
    h = kit.uniform(1.2, 1.8)
    parts: list[Part] = [(cylinder(0.14, 0, 0.03, 18), plain_metal(kit)), (cylinder(0.012, 0, h, 8), plain_metal(kit))]
    return place(parts + place(table_lamp(kit)[1:], 0, 0, h - 0.35), 0, -0.25)


def bin_(kit: Kit) -> list[Part]:
    """A waste bin or a laundry basket with something in it."""
    r, h = kit.uniform(0.12, 0.24), kit.uniform(0.25, 0.6)
    wall = kit.material(("checker", "stripes", "fabric", "wood"), metres=(0.05, 0.2), plain=0.5)
    parts: list[Part] = [(lathe([(0, 0.01), (r * 0.8, 0), (r, h), (r * 0.95, h), (r * 0.78, 0.03)], 20), wall)]
    if kit.chance(0.6):
        parts.append((rock(kit.rng, r * 0.8, 0.3, 18).moved((0, 0, h)), upholstery(kit)))
    return place(parts, 0, -r - 0.03)


def cartons(kit: Kit) -> list[Part]:
    """Stacked boxes."""
    parts: list[Part] = []
    z = 0.0
    for _ in range(kit.integer(1, 4)):
        w, d, h = kit.uniform(0.25, 0.6), kit.uniform(0.25, 0.5), kit.uniform(0.15, 0.45)
        paper = kit.shade((0.66, 0.5, 0.34), 0.25) if kit.chance(0.6) else kit.colour()
        paint = kit.material((*PRINT, "clouds"), paper, plain=0.4, metres=(0.2, 0.8), kind="diffuse")
        parts += place([(slab(w, d, 0, h), paint)], kit.uniform(-0.05, 0.05), -0.3, z, kit.uniform(-0.3, 0.3))
        z += h
    return parts


def tall_plant(kit: Kit) -> list[Part]:
    """A large pot plant on the floor."""
    return place(plant(kit), 0, -0.35, 0, 0, kit.uniform(1.5, 2.6))


def curtain(kit: Kit, width: float, height: float) -> list[Part]:
    """A curtain hanging to z = 0."""
    cover = kit.material(CLOTH, metres=(0.3, 1.5), kind="diffuse", vivid=0.35)
    return [(cloth(kit.rng, width, height, kit.uniform(0.02, 0.06), width * kit.uniform(4, 9)), cover)]


def framed(kit: Kit, w: float, h: float) -> list[Part]:
    """A picture, poster or whiteboard in the xz plane, centred on the origin, facing -y."""
    art = Material("diffuse", kit.colour((0.05, 0.6)), kit.colour((0.5, 1.0)), kit.colour(), kit.texture(PRINT), 1.0)
    face = quad((-w / 2, -0.012, -h / 2), (w, 0, 0), (0, 0, h)).unit_uv()
    if kit.chance(0.15):
        art = Material("plastic", kit.shade((0.9, 0.9, 0.9), 0.08), roughness=0.1)
    frame = wooden(kit) if kit.chance(0.6) else plain_metal(kit)
    edge = kit.uniform(0.01, 0.05)
    bars: list[Part] = [(box((w + 2 * edge, 0.025, edge), (0, -0.008, s * (h / 2 + edge / 2))), frame) for s in (-1, 1)]
    bars += [(box((edge, 0.025, h), (s * (w / 2 + edge / 2), -0.008, 0)), frame) for s in (-1, 1)]
    return [(face, art), *bars]


def lampshade(kit: Kit, drop: float) -> list[Part]:
    """A hanging lamp; its cord starts at z = 0 and it hangs `drop` metres down."""
    r = kit.uniform(0.1, 0.35)
    paint = (
        kit.material(ANY, plain=0.6)
        if kit.chance(0.5)
        else Material("glow", kit.shade((0.95, 0.88, 0.72), 0.1), radiance=kit.uniform(2, 8))
    )
    shade = kit.pick(
        [
            sphere(r, 18).moved((0, 0, -drop + r)),
            lathe([(r, -drop), (r * kit.uniform(0.2, 0.9), -drop + r * kit.uniform(0.6, 1.4))], 20),
            cylinder(r, -drop, -drop + 0.4 * r, 20),
        ]
    )
    return [(cylinder(0.008, -drop + r * 0.5, 0, 6), plain_metal(kit)), (shade, paint)]


def ceiling_fan(kit: Kit) -> list[Part]:
    """A fan under the ceiling at z = 0."""
    wood, metal = wooden(kit), plain_metal(kit)
    parts: list[Part] = [
        (cylinder(0.02, -0.3, 0, 8), metal),
        (cylinder(0.1, -0.42, -0.3, 16), metal),
        (sphere(0.1, 12).moved((0, 0, -0.48)), Material("glow", (0.95, 0.9, 0.8), radiance=4.0)),
    ]
    count = kit.integer(3, 5)
    for k in range(count):
        parts += (
            turned([(box((0.55, 0.12, 0.012), (0.38, 0, -0.36)), wood)], np.eye(3))
            if k == 0
            else place([(box((0.55, 0.12, 0.012), (0.38, 0, -0.36)), wood)], 0, 0, 0, k * 2 * np.pi / count)
        )
    return parts
