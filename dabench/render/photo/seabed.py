"""Under water in the photo split: meadows, sponges, anemones, urchins, turtles, eels, squid, hulls, arches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dabench.render.kit import Camera, Colour, Kit, Light, Material, Part, Scene, direction, place, turned
from dabench.render.mesh import (
    cylinder,
    lathe,
    random_rotation,
    rock,
    rotation_x,
    rotation_y,
    sphere,
    superquadric,
    surface,
    torus,
    tube,
)
from dabench.render.photo.light import glance
from dabench.render.photo.palette import LEAVES, SOILS, metal, skin, stone, timber
from dabench.render.photo.structures import rowing_boat
from dabench.render.photo.terrain import PLANTS, ridged, sown

REEFS: tuple[Colour, ...] = (
    (0.75, 0.35, 0.3), (0.8, 0.6, 0.25), (0.55, 0.35, 0.55), (0.7, 0.55, 0.5), (0.4, 0.5, 0.35), (0.85, 0.75, 0.6),
)  # fmt: skip


def _flesh(kit: Kit, families: tuple[str, ...] = ("lichen", "scales", "carpet", "sand_ripples")) -> Material:
    return skin(kit, kit.pick(REEFS), families, (0.1, 0.5), 0.4)


def seagrass(kit: Kit) -> list[Part]:
    """A tuft of flat leaves that all bend one way."""
    leaf, t = skin(kit, kit.pick(LEAVES), ("furrows", "brushed"), (0.1, 0.3), 0.4), np.linspace(0, 1, 6)
    lean = kit.rng.normal(0, 0.3, 2)
    parts: list[Part] = []
    for _ in range(kit.integer(8, 16)):
        x, y = kit.around(0.16)
        h, wide, a = kit.uniform(0.3, 1.0), kit.uniform(0.008, 0.02), kit.heading()
        middle = np.stack([x + lean[0] * t**2, y + lean[1] * t**2, h * t], 1)
        side = np.array([np.cos(a), np.sin(a), 0]) * wide
        parts.append((surface(np.stack([middle - side, middle + side], 1)), leaf))
    return parts


def barrel_sponge(kit: Kit) -> list[Part]:
    """Hollow ribbed barrels."""
    cover = _flesh(kit, ("furrows", "corrugated", "cracked"))
    parts: list[Part] = []
    for _ in range(kit.integer(1, 3)):
        r, h = kit.uniform(0.12, 0.4), kit.uniform(0.3, 0.9)
        body = [(r * 0.5, -0.05), (r, h * 0.4), (r * 0.9, h), (r * 0.7, h), (r * 0.65, h * 0.4), (0, h * 0.25)]
        parts.append((lathe(body, 18).moved((*kit.around(0.25), 0)), cover))
    return parts


def anemone(kit: Kit) -> list[Part]:
    """A column with a crown of waving arms."""
    r, cover, tips = kit.uniform(0.08, 0.25), _flesh(kit), _flesh(kit)
    parts: list[Part] = [(lathe([(r * 0.9, -0.05), (r * 0.7, r), (r, r * 1.5), (0, r * 1.45)], 18), cover)]
    for _ in range(kit.integer(16, 34)):
        a, f = kit.heading(), kit.uniform(0.2, 1.0)
        way = np.array([np.cos(a), np.sin(a), 0.0])
        path = np.array([way * r * f * 0.8 + [0, 0, r * 1.4], way * r * (f + 0.3) + [0, 0, r * 2.0],
                         way * r * (f + kit.uniform(0.2, 0.9)) + [0, 0, r * kit.uniform(2.0, 2.9)]])  # fmt: skip
        parts.append((tube(path, [r * 0.1, r * 0.09, r * 0.05], 6), tips))
    return parts


def urchin(kit: Kit) -> list[Part]:
    """A ball of spines."""
    r, dark = kit.uniform(0.06, 0.14), Material("diffuse", kit.shade((0.12, 0.08, 0.14), 0.5))
    parts: list[Part] = [(sphere(r, 14).moved((0, 0, r)), dark)]
    for _ in range(60):
        way = kit.rng.normal(size=3)
        way[2] = abs(way[2]) - 0.2
        way /= np.linalg.norm(way)
        path = np.outer([0.9, kit.uniform(1.8, 2.8)], way) * r + np.array([0, 0, r])
        parts.append((tube(path, [r * 0.06, r * 0.015], 4), dark))
    return parts


def plate_reef(kit: Kit) -> list[Part]:
    """Overlapping brackets, as on a fungus."""
    cover = _flesh(kit, ("sand_ripples", "lichen", "furrows"))
    parts: list[Part] = []
    for k in range(kit.integer(3, 8)):
        r, z, a = kit.uniform(0.2, 0.6), 0.1 + 0.14 * k, kit.heading()
        disc = lathe([(0.02, z - 0.12), (r * 0.7, z), (r, z + 0.07), (r * 0.95, z + 0.09), (0, z)], 18)
        parts.append((disc.moved((0.25 * np.cos(a), 0.25 * np.sin(a), 0)), cover))
    return parts


def whip(kit: Kit) -> list[Part]:
    """Spiral wires and rods standing up."""
    cover, t = _flesh(kit), np.linspace(0, 1, 26)
    parts: list[Part] = []
    for _ in range(kit.integer(2, 6)):
        h, r, n = kit.uniform(0.6, 1.8), kit.uniform(0.02, 0.15), kit.uniform(1, 4)
        x, y = kit.around(0.2)
        path = np.stack([x + r * t * np.cos(n * 6.28 * t), y + r * t * np.sin(n * 6.28 * t), h * t - 0.03], 1)
        parts.append((tube(path, 0.018, 6), cover))
    return parts


def turtle(kit: Kit) -> list[Part]:
    """A turtle heading +x."""
    r = kit.uniform(0.3, 0.6)
    shell = skin(kit, (0.42, 0.36, 0.22), ("cracked", "hexagons", "scales"), (0.25, 0.5), 0.5)
    hide = skin(kit, (0.5, 0.5, 0.35), ("scales", "cracked"), (0.08, 0.2), 0.4)
    parts: list[Part] = [
        (superquadric((r, 0.8 * r, 0.32 * r), 0.9, 1, 24), shell),
        (superquadric((0.24 * r, 0.17 * r, 0.15 * r), 1, 1, 14).moved((1.15 * r, 0, 0.05 * r)), hide),
    ]
    for s in (-1, 1):
        beat = kit.uniform(-0.6, 0.6)
        fin = superquadric((0.22 * r, 0.55 * r, 0.05 * r), 0.9, 0.9, 16)
        parts.append((fin.rotated(rotation_x(s * beat), (0.5 * r, s * 1.1 * r, 0.3 * r * beat)), hide))
        parts.append((superquadric((0.2 * r, 0.22 * r, 0.05 * r), 1, 1, 12).moved((-0.85 * r, s * 0.55 * r, 0)), hide))
    return turned(parts, rotation_y(kit.uniform(-0.4, 0.4)))


def eel(kit: Kit) -> list[Part]:
    """A long body in waves."""
    length, t = kit.uniform(0.7, 1.8), np.linspace(0, 1, 30)
    wave = 0.12 * length * np.sin(t * kit.uniform(7, 13) + kit.heading()) * (0.3 + t)
    path = np.stack([length * (t - 0.5), wave, 0.04 * np.sin(t * 5)], 1)
    radius = 0.035 * length * (np.sin(np.pi * np.clip(t * 0.9 + 0.08, 0, 1)) ** 0.5 + 0.02)
    return [(tube(path, radius, 10), skin(kit, kit.pick(REEFS), ("lichen", "scales", "furrows"), (0.1, 0.3), 0.45))]


def squid(kit: Kit) -> list[Part]:
    """A mantle, fins and arms, drifting at any angle."""
    r, cover = kit.uniform(0.06, 0.16), _flesh(kit)
    body = lathe(
        [(0.02, 3.6 * r), (0.55 * r, 2.6 * r), (r, 1.0 * r), (0.8 * r, 0), (0.6 * r, -0.3 * r), (0, -0.4 * r)], 16
    )
    parts: list[Part] = [(body, cover)]
    parts += [
        (superquadric((0.6 * r, 0.05 * r, 0.7 * r), 1, 1, 12).moved((s * 0.7 * r, 0, 2.8 * r)), cover) for s in (-1, 1)
    ]
    for k in range(8):
        a = k * np.pi / 4
        way = np.array([np.cos(a), np.sin(a), 0])
        path = np.array(
            [
                way * 0.4 * r - [0, 0, 0.2 * r],
                way * 0.7 * r - [0, 0, 1.6 * r],
                way * kit.uniform(0.3, 1.2) * r - [0, 0, 3 * r],
            ]
        )
        parts.append((tube(path, [0.14 * r, 0.1 * r, 0.03 * r], 6), cover))
    return turned(parts, random_rotation(kit.rng))


def wrasse(kit: Kit) -> list[Part]:
    """A deep flat fish with a long fin along its back, heading +x."""
    length = kit.uniform(0.15, 0.6)
    cover = skin(
        kit, kit.pick([*REEFS, (0.3, 0.45, 0.6), (0.7, 0.7, 0.72)]), ("scales", "furrows", "brushed"), (0.08, 0.3), 0.4
    )
    t = np.linspace(0, 1, 15)
    tall = length * kit.uniform(0.18, 0.34)
    x = length * (0.5 - t)
    upper = tall * np.sin(np.pi * t**0.75) ** 0.8
    bulge = superquadric((length * 0.46, length * 0.09, tall * 0.95), 1, 1, 18)
    fin = surface(
        np.stack(
            [
                np.stack([x[3:12], 0 * x[3:12], upper[3:12] * 0.9], 1),
                np.stack([x[3:12] - 0.03, 0 * x[3:12], upper[3:12] + tall * 0.3], 1),
            ]
        )
    )
    tail = surface(np.array([[[-0.42 * length, 0, -0.05 * length], [-0.42 * length, 0, 0.05 * length]],
                             [[-0.66 * length, 0, -0.16 * length], [-0.66 * length, 0, 0.16 * length]]]))  # fmt: skip
    return [(bulge, cover), (fin, cover), (tail, cover)]


def hull(kit: Kit) -> list[Part]:
    """A sunk boat, heeled over, or upside down."""
    lean = kit.pick([kit.uniform(0.3, 1.0), kit.uniform(2.4, 3.1)])
    return turned(rowing_boat(kit), rotation_x(lean), (0, 0, 0.5))


def anchor(kit: Kit) -> list[Part]:
    """An anchor with a chain leading off."""
    iron = skin(kit, (0.4, 0.28, 0.2), ("rust", "lichen"), (0.3, 0.8), 0.5)
    t = np.linspace(-1.1, 1.1, 12)
    arc = np.stack([0.6 * np.sin(t), 0 * t, 0.6 - 0.6 * np.cos(t)], 1)
    parts: list[Part] = [
        (tube(arc, 0.06, 8), iron),
        (cylinder(0.06, 0, 1.5, 10), iron),
        (torus(0.15, 0.04, 16).rotated(rotation_x(np.pi / 2), (0, 0, 1.6)), iron),
    ]
    parts = turned(parts, rotation_x(kit.uniform(0.5, 1.2)), (0, 0, 0.25))
    return parts + [(torus(0.1, 0.03, 12).moved((0.12 * k, -1.4 - 0.1 * k, 0.06)), metal(kit)) for k in range(8)]


REEF: dict[str, Callable[[Kit], list[Part]]] = {
    "seagrass": seagrass,
    "barrel_sponge": barrel_sponge,
    "anemone": anemone,
    "urchin": urchin,
    "plate_reef": plate_reef,
    "whip": whip,
}
SWIMMERS: dict[str, Callable[[Kit], list[Part]]] = {"turtle": turtle, "eel": eel, "squid": squid, "wrasse": wrasse}


def seabed_scene(kit: Kit) -> Scene:
    """A sea floor with growth at all heights, rock arches, wrecks, and animals in the water."""
    kit.families.add("seabed")
    land = ridged(kit, 100, kit.uniform(24, 60), kit.uniform(0.5, 6), kit.uniform(1.6, 2.3))
    sand = skin(
        kit,
        kit.pick([*SOILS, (0.8, 0.76, 0.66)]),
        ("sand_ripples", "gravel", "sand_ripples", "lichen"),
        (1.0, 4.0),
        0.35,
    )
    parts: list[Part] = [(land.mesh(), sand)]
    parts += sown(kit, REEF, kit.integer(25, 80), land, kit.uniform(5, 10), 0.7, (0.7, 2.0))
    parts += sown(kit, {n: PLANTS[n] for n in ("crag", "slab_rock")}, kit.integer(5, 18), land, 10, 1.6, (0.5, 1.8))
    if kit.chance(0.6):
        parts += sown(kit, {"seagrass": seagrass}, 60, land, 8, 0.8, (0.8, 1.6))
    if kit.chance(0.5):
        parts += sown(kit, {"hull": hull, "anchor": anchor}, kit.integer(1, 3), land, 6, 2.2)
    base = land.at(0, 0)
    if kit.chance(0.4):  # an arch or a swim-through
        cover, a = stone(kit), kit.heading()
        away = direction(a) * kit.uniform(2.5, 5)
        t = np.linspace(0, np.pi, 9)
        for k in range(9):
            at = away + np.array(
                [np.cos(a) * 2.2 * np.cos(t[k]), np.sin(a) * 2.2 * np.cos(t[k]), base + 2.4 * np.sin(t[k])]
            )
            parts.append((rock(kit.rng, kit.uniform(0.6, 0.95), 0.3, 16).moved(at), cover))
    school = wrasse(kit)
    kit.families.add("wrasse")
    centre, yaw = kit.rng.normal(0, 1.8, 3), kit.heading()
    for _ in range(kit.integer(0, 30)):
        at = centre + kit.rng.normal(0, 0.8, 3) + [0, 0, base + 1.8]
        if np.hypot(at[0], at[1]) > 0.8 and at[2] > base + 0.4:
            parts += place(
                school, float(at[0]), float(at[1]), float(at[2]), yaw + kit.rng.normal(0, 0.25), kit.uniform(0.7, 1.2)
            )
    for _ in range(kit.integer(1, 6)):
        animal = SWIMMERS[kit.choose(SWIMMERS)](kit)
        x, y = kit.around(2.6)
        if np.hypot(x, y) > 0.9:
            parts += place(animal, x, y, land.at(x, y) + kit.uniform(0.6, 3.0), kit.heading())
    if kit.chance(0.2):
        x, y = kit.uniform(2, 5), kit.uniform(-4, 4)
        post = timber(kit)
        parts += [(cylinder(0.2, -1, 9, 12).moved((x, y + 2.2 * k, land.at(x, y))), post) for k in range(3)]
    scene = Scene(parts, ambient=(kit.uniform(0.2, 0.45),) * 3)
    down = -direction(kit.heading(), kit.uniform(0.7, 1.5))
    power = kit.uniform(1.0, 3.5)
    scene.lights = [Light("sun", (float(down[0]), float(down[1]), float(down[2])), (power, power, power))]
    glow = np.clip(np.linspace(1.4, 0.1, 24), 0.15, 1.2).astype(np.float32)
    scene.sky = np.repeat(np.repeat(glow[:, None, None], 48, axis=1), 3, axis=2)

    def propose(rng: np.random.Generator) -> Camera:
        x, y = rng.normal(0, 1.2, 2)
        eye = np.array([x, y, land.at(x, y) + rng.uniform(0.3, 2.4)])
        kind = rng.random()
        pitch = rng.normal(-6, 8) if kind < 0.55 else rng.uniform(-60, -20) if kind < 0.8 else rng.uniform(8, 40)
        return glance(eye, rng.uniform(0, 2 * np.pi), float(np.radians(pitch)), rng, 6.0)

    scene.propose = propose
    return scene
