"""Streets' furniture: buildings, vehicles, poles, signs, fences, benches; standing on z = 0, front towards -y."""

from __future__ import annotations

import numpy as np

from dabench.render.finishes import ANY, PRINT, plain_metal
from dabench.render.joinery import wooden
from dabench.render.kit import Kit, Material, Part, place
from dabench.render.mesh import (
    Mesh,
    box,
    cushion,
    cylinder,
    extrude,
    faceted,
    lathe,
    merge,
    quad,
    rotation_x,
    slab,
    sphere,
    tube,
)
from dabench.render.props import scatter


def wall_material(kit: Kit) -> Material:
    """A facade: windows in plaster, brick or concrete."""
    tone = kit.shade(
        kit.pick(
            [
                (0.75, 0.68, 0.55),
                (0.6, 0.35, 0.27),
                (0.7, 0.7, 0.7),
                (0.85, 0.82, 0.75),
                (0.5, 0.5, 0.5),
                (0.45, 0.4, 0.36),
            ]
        ),
        0.25,
    )
    if kit.chance(0.75):
        dark = kit.shade((0.12, 0.14, 0.17), 0.3)
        return Material(
            "diffuse", dark, kit.shade((0.9, 0.9, 0.88), 0.1), tone, kit.texture(("facade",), 40), kit.uniform(4, 12)
        )
    return kit.material(("bricks", "clouds", "tiles", "planks"), tone, metres=(1.0, 4.0), plain=0.1, kind="diffuse")


def roof(kit: Kit, w: float, d: float, z: float) -> list[Part]:
    """A gable roof over w by d metres."""
    rise, over = kit.uniform(0.25, 0.6) * min(w, d), 0.3
    x, y = w / 2 + over, d / 2 + over
    vertices = np.array([[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z], [-x, 0, z + rise], [x, 0, z + rise]])
    faces = np.array([[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5], [1, 2, 5], [3, 0, 4], [0, 2, 1], [0, 3, 2]])
    tone = kit.shade(kit.pick([(0.55, 0.25, 0.18), (0.3, 0.3, 0.33), (0.45, 0.33, 0.25)]), 0.25)
    return [
        (
            faceted(vertices, faces),
            kit.material(("bricks", "tiles", "stripes"), tone, metres=(1.0, 3.0), plain=0.1, kind="diffuse"),
        )
    ]


def building(kit: Kit, w: float, d: float, h: float, detail: bool = True) -> list[Part]:
    """A building of footprint w by d and height h metres, its front on y = 0."""
    wall, trim = wall_material(kit), kit.material((), kit.shade((0.8, 0.78, 0.74), 0.25), kind="diffuse")
    parts: list[Part] = [(slab(w, d, 0, h, 0, d / 2), wall)]
    if h < 12 and kit.chance(0.6):
        parts += place(roof(kit, w, d, h), 0, d / 2)
    else:
        parts.append((slab(w + 0.4, d + 0.4, h, h + kit.uniform(0.2, 0.8), 0, d / 2), trim))
        if kit.chance(0.5):
            parts.append((slab(w * 0.3, d * 0.3, h, h + kit.uniform(1, 3), kit.uniform(-0.2, 0.2) * w, d / 2), trim))
    if not detail:
        return parts
    floor = kit.uniform(2.8, 3.6)
    shop = kit.material(PRINT, metres=(1.0, 4.0), plain=0.5, vivid=0.5)
    if kit.chance(0.6):
        parts.append((slab(w * 0.9, 0.12, floor * 0.78, floor, 0, -0.06), shop))
        parts.append(
            (slab(w * 0.8, 0.05, 0.4, floor * 0.75, 0, -0.02), Material("diffuse", kit.shade((0.13, 0.15, 0.18), 0.4)))
        )
    if kit.chance(0.5):
        awning = surface_awning(w * kit.uniform(0.3, 0.8), kit.uniform(0.8, 1.6))
        parts.append(
            (
                awning.moved((kit.uniform(-0.1, 0.1) * w, 0, floor * 0.85)),
                kit.material(("stripes",), plain=0.3, vivid=0.6, metres=(0.5, 2)),
            )
        )
    if kit.chance(0.5):
        for k in range(1, int(h / floor)):
            for x in np.linspace(-w * 0.35, w * 0.35, kit.integer(1, 3)):
                parts.append((slab(1.6, 0.9, k * floor, k * floor + 0.12, float(x), -0.45), trim))
                parts.append((slab(1.6, 0.05, k * floor, k * floor + 0.95, float(x), -0.88), trim))
    for k in range(int(h / floor)):
        if kit.chance(0.6):
            parts.append((slab(w + 0.1, 0.2, k * floor + floor - 0.15, k * floor + floor, 0, -0.05), trim))
    parts.append((box((1.1, 0.15, 2.2), (kit.uniform(-0.35, 0.35) * w, -0.05, 1.1)), wooden(kit)))
    return parts


def surface_awning(w: float, d: float) -> Mesh:
    """A sloping canopy of width w reaching d metres towards -y, its wall edge at z = 0."""
    return quad((-w / 2, -d, -0.35 * d), (w, 0, 0), (0, d, 0.35 * d))


def dome(kit: Kit, w: float) -> list[Part]:
    """A domed building."""
    wall = wall_material(kit)
    t = np.linspace(0, np.pi / 2, 9)
    cap = lathe([(w / 2 * float(np.cos(a)), w * 0.6 + w / 2 * float(np.sin(a))) for a in t], 28)
    return place(
        [(cylinder(w / 2, 0, w * 0.6, 28), wall), (cap, kit.material(("clouds", "tiles"), metres=(1, 4)))], 0, w / 2
    )


def car(kit: Kit) -> list[Part]:
    """A saloon or hatchback, heading +x."""
    length, w = kit.uniform(3.8, 4.8), kit.uniform(1.65, 1.85)
    paint = Material("diffuse", kit.colour((0.08, 0.95), 0.35))
    dark, tyre = Material("diffuse", (0.07, 0.08, 0.1)), Material("diffuse", (0.05, 0.05, 0.05))
    a, b = length / 2, kit.uniform(0.15, 0.3) * length
    profile = np.array([[-a, 0.35], [a, 0.35], [a, 0.7], [a * 0.92, 0.85], [b, 0.95], [-a * 0.9, 1.0], [-a, 0.8]])
    cabin = np.array([[b + 0.35, 0.93], [b - 0.25, 1.45], [-a * 0.55, 1.5], [-a * 0.85, 0.95]])
    parts: list[Part] = [(_across(profile, w), paint), (_across(cabin, w * 0.86), dark)]
    parts.append((slab(b - 0.3 + a * 0.5, w * 0.8, 1.44, 1.5, (b - 0.3 - a * 0.5) / 2, 0), paint))
    parts += _wheels(length, w, 0.32, tyre, plain_metal(kit))
    for s in (-1, 1):
        parts.append((box((0.05, 0.3, 0.14), (a + 0.01, s * w * 0.35, 0.68)), Material("diffuse", (0.95, 0.95, 0.9))))
        parts.append((box((0.05, 0.3, 0.14), (-a - 0.01, s * w * 0.35, 0.72)), Material("diffuse", (0.7, 0.08, 0.06))))
    return parts


def _across(profile: np.ndarray, width: float) -> Mesh:
    """A side profile [N, 2] (x, z) extruded over y."""
    flat = extrude(profile, -width / 2, width / 2)
    other = extrude(profile[::-1] * [1, 1], -width / 2, width / 2)
    turn = rotation_x(np.pi / 2)
    return merge([flat.rotated(turn), other.rotated(turn)])


def _wheels(length: float, w: float, r: float, tyre: Material, hub: Material) -> list[Part]:
    parts: list[Part] = []
    turn = rotation_x(np.pi / 2)
    for sx in (-0.3, 0.3):
        for sy in (-1, 1):
            at = (sx * length, sy * (w / 2 - 0.08), r)
            parts += [
                (cylinder(r, -0.11, 0.11, 18).rotated(turn, at), tyre),
                (cylinder(r * 0.55, -0.12, 0.12, 12).rotated(turn, at), hub),
            ]
    return parts


def bus(kit: Kit) -> list[Part]:
    """A bus or lorry: a long box on wheels with a band of windows."""
    length, w, h = kit.uniform(6, 11), 2.4, kit.uniform(2.7, 3.3)
    paint = kit.material(PRINT, metres=(1, 4), plain=0.6, vivid=0.6, kind="diffuse")
    dark = Material("diffuse", (0.08, 0.09, 0.11))
    parts: list[Part] = [
        (slab(length, w, 0.4, h), paint),
        (slab(length * 0.96, w + 0.02, h * 0.5, h * 0.8), dark),
        (slab(length + 0.02, w * 0.9, h * 0.4, h * 0.85), dark),
    ]
    return parts + _wheels(length, w, 0.48, Material("diffuse", (0.05, 0.05, 0.05)), plain_metal(kit))


def van(kit: Kit) -> list[Part]:
    """A van with a short bonnet."""
    length, w = kit.uniform(4.6, 5.6), 1.95
    paint, dark = Material("diffuse", kit.colour((0.3, 0.95), 0.3)), Material("diffuse", (0.08, 0.09, 0.11))
    a = length / 2
    profile = np.array([[-a, 0.4], [a, 0.4], [a, 0.95], [a * 0.75, 1.15], [a * 0.5, 2.0], [-a, 2.1]])
    window = np.array([[a * 0.72, 1.2], [a * 0.5, 1.9], [a * 0.2, 1.9], [a * 0.2, 1.2]])
    parts: list[Part] = [(_across(profile, w), paint), (_across(window, w + 0.02), dark)]
    return parts + _wheels(length, w, 0.34, Material("diffuse", (0.05, 0.05, 0.05)), plain_metal(kit))


VEHICLES = {"car": car, "bus": bus, "van": van}


def lamp_post(kit: Kit) -> list[Part]:
    """A street lamp on a curved arm."""
    h, metal = kit.uniform(3.5, 7), plain_metal(kit)
    arm = np.array([[0, 0, h * 0.8], [0, -0.1, h], [0, -1.0, h * 1.04]])
    return [
        (cylinder(0.08, 0, h, 10, 0.05), metal),
        (tube(arm, 0.04, 6), metal),
        (cushion(0.5, 0.25, h, h + 0.12, 0, -1.1), metal),
    ]


def sign(kit: Kit) -> list[Part]:
    """A road sign or a hanging board."""
    h, metal = kit.uniform(2.0, 3.0), plain_metal(kit)
    art = Material("diffuse", kit.colour(vivid=0.7), kit.colour((0.6, 1.0), 0.5), None, kit.texture(PRINT), 1.0)
    w, t = kit.uniform(0.4, 1.2), kit.uniform(0.4, 0.9)
    face = quad((-w / 2, -0.06, h - t), (w, 0, 0), (0, 0, t)).unit_uv()
    return [(cylinder(0.035, 0, h, 8), metal), (box((w, 0.02, t), (0, -0.045, h - t / 2)), metal), (face, art)]


def bench(kit: Kit) -> list[Part]:
    """A park bench."""
    w, wood, metal = kit.uniform(1.2, 2.0), wooden(kit), plain_metal(kit)
    parts: list[Part] = [(box((w, 0.1, 0.03), (0, -0.12 * k - 0.1, 0.45)), wood) for k in range(4)]
    parts += [(box((w, 0.03, 0.1), (0, 0.0, 0.6 + 0.13 * k)), wood) for k in range(3)]
    return parts + [(box((0.05, 0.5, 0.45), (s * w * 0.4, -0.25, 0.22)), metal) for s in (-1, 1)]


def fence(kit: Kit, length: float = 0.0) -> list[Part]:
    """A fence along x."""
    length, h = length or kit.uniform(2, 8), kit.uniform(0.8, 1.6)
    wood, step = wooden(kit), kit.uniform(0.14, 0.5)
    parts: list[Part] = [(box((length, 0.04, 0.08), (0, 0, h * f)), wood) for f in (0.3, 0.85)]
    return parts + [
        (box((min(0.1, step * 0.6), 0.03, h), (float(x), -0.03, h / 2)), wood)
        for x in np.arange(-length / 2, length / 2, step)
    ]


def hydrant(kit: Kit) -> list[Part]:
    """A hydrant, bollard or urn."""
    paint = kit.material((), vivid=0.7)
    return [
        (lathe([(0.18, 0), (0.14, 0.06), (0.12, 0.5), (0.15, 0.55), (0.1, 0.68), (0, 0.74)], 14), paint),
        (sphere(0.06, 8).moved((0.14, 0, 0.42)), paint),
    ]


def stall(kit: Kit) -> list[Part]:
    """A market stall with a roof and crates."""
    w, metal = kit.uniform(1.8, 3.0), plain_metal(kit)
    parts: list[Part] = [
        (slab(0.05, 0.05, 0, 2.3, sx * w / 2, sy * 0.7 - 0.8), metal) for sx in (-1, 1) for sy in (-1, 1)
    ]
    parts.append((box((w * 1.1, 1.9, 0.06), (0, -0.8, 2.33)), kit.material(("stripes", "plaid"), vivid=0.6, plain=0.2)))
    parts.append((slab(w, 0.8, 0.75, 0.8, 0, -0.8), wooden(kit)))
    return parts + scatter(kit, kit.integer(3, 8), (-w / 2, w / 2), (-1.2, -0.4), 0.8, 0.5)


def arch(kit: Kit) -> list[Part]:
    """A free-standing arch over x."""
    w, h = kit.uniform(2.5, 5), kit.uniform(3, 6)
    stone = kit.material(("bricks", "clouds", "tiles"), metres=(1, 3), plain=0.1, kind="diffuse")
    t = np.linspace(0, np.pi, 17)
    path = np.stack([np.cos(t) * w / 2, 0 * t, h * 0.6 + np.sin(t) * h * 0.4], 1)
    return [(tube(path, 0.35, 8), stone)] + [(slab(0.7, 0.7, 0, h * 0.62, s * w / 2), stone) for s in (-1, 1)]


def tent(kit: Kit) -> list[Part]:
    """A ridge tent."""
    return roof(kit, kit.uniform(1.5, 2.5), kit.uniform(1.5, 2.5), 0.0)


def crates(kit: Kit) -> list[Part]:
    """A pile of crates, barrels or bricks."""
    skin = kit.material(("planks", "wood", *ANY), metres=(0.3, 1.0), plain=0.1)
    parts: list[Part] = []
    for _ in range(kit.integer(2, 6)):
        x, y = kit.rng.normal(0, 0.5, 2)
        parts += place(
            [(slab(0.6, 0.6, 0, 0.6) if kit.chance(0.5) else cylinder(0.3, 0, 0.85, 16), skin)], x, y, 0, kit.heading()
        )
    return parts


STREET_THINGS = {
    "lamp_post": lamp_post,
    "sign": sign,
    "bench": bench,
    "fence": fence,
    "hydrant": hydrant,
    "stall": stall,
    "crates": crates,
    "arch": arch,
    "tent": tent,
}
