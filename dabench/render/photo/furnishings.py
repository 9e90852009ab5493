"""Furniture of the photo split. Parts stand on z = 0, centred in x, their back on y = 0, their front towards -y."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dabench.render.kit import Kit, Material, Part, place, turned
from dabench.render.mesh import (
    box,
    cushion,
    cylinder,
    lathe,
    quad,
    rock,
    rotation_x,
    rotation_y,
    slab,
    sphere,
    superquadric,
    surface,
    torus,
    tube,
)
from dabench.render.photo.palette import masonry, metal, paint, plaster, print_, stone, textile, timber
from dabench.render.photo.things import strewn, thing


def settle(kit: Kit) -> list[Part]:
    """A long wooden bench with a high back and sides."""
    w, h, wood = kit.uniform(1.2, 2.2), kit.uniform(0.9, 1.3), timber(kit)
    parts: list[Part] = [
        (slab(w, 0.45, 0.4, 0.44, 0, -0.24), wood),
        (slab(w, 0.03, 0.2, h, 0, -0.02), wood),
        (cushion(w * 0.94, 0.42, 0.43, 0.5, 0, -0.25, 0.3), textile(kit)),
    ]
    return parts + [(slab(0.04, 0.48, 0, 0.68, s * w / 2, -0.24), wood) for s in (-1, 1)]


def pouf(kit: Kit) -> list[Part]:
    """A round pouf."""
    r, h = kit.uniform(0.25, 0.4), kit.uniform(0.3, 0.45)
    body = superquadric((r, r, h / 2), 0.5, 1.0, 26).moved((0, -r, h / 2))
    return [(body, textile(kit)), (torus(r * 0.93, 0.015, 26).moved((0, -r, h * 0.86)), textile(kit))]


def beanbag(kit: Kit) -> list[Part]:
    """A slumped bag to sit in."""
    r = kit.uniform(0.4, 0.55)
    t = np.linspace(0, 1, 9)
    bag = lathe([(r * float(np.sin(np.pi * a**0.6) + 0.02 * (1 - a)), r * 1.5 * float(a)) for a in t], 24)
    dent = bag.vertices.copy()
    dent[:, 1] += 0.12 * dent[:, 2]
    return [(type(bag)(dent, bag.normals, bag.uv, bag.faces).moved((0, -r - 0.1, 0)), textile(kit))]


def bunk(kit: Kit) -> list[Part]:
    """A bunk bed with a ladder."""
    w, d, wood = kit.uniform(1.9, 2.1), kit.uniform(0.85, 1.0), kit.pick([timber, metal])(kit)
    h = kit.uniform(1.4, 1.7)
    parts: list[Part] = [
        (slab(0.07, 0.07, 0, h + 0.35, sx * w / 2, -d / 2 + sy * d / 2), wood) for sx in (-1, 1) for sy in (-1, 1)
    ]
    for z in (0.3, h):
        parts += [
            (slab(w, d, z, z + 0.06, 0, -d / 2), wood),
            (cushion(w * 0.96, d * 0.94, z + 0.05, z + 0.22, 0, -d / 2, 0.2), textile(kit)),
            (cushion(0.4, d * 0.7, z + 0.2, z + 0.32, w * 0.36, -d / 2, 0.6), textile(kit)),
        ]
    parts.append((slab(w, 0.03, h + 0.22, h + 0.3, 0, -d), wood))
    x = -w * 0.3
    parts += [
        (tube(np.array([[x + s * 0.2, -d - 0.25, 0], [x + s * 0.2, -d - 0.02, h + 0.3]]), 0.022), wood) for s in (-1, 1)
    ]
    steps = np.linspace(0.2, 0.9, 6)
    parts += [(box((0.4, 0.05, 0.03), (x, -d - 0.25 + 0.23 * float(a), float(a) * (h + 0.3))), wood) for a in steps]
    return parts  # fmt: skip


def piano(kit: Kit) -> list[Part]:
    """An upright piano."""
    w, h, case = kit.uniform(1.35, 1.55), kit.uniform(1.05, 1.3), kit.pick([timber, paint])(kit)
    ivory, ebony = Material("diffuse", (0.88, 0.86, 0.8)), Material("diffuse", (0.05, 0.05, 0.05))
    parts: list[Part] = [
        (slab(w, 0.32, 0, h, 0, -0.16), case),
        (slab(w, 0.3, 0.6, 0.68, 0, -0.45), case),
        (slab(w * 0.92, 0.14, 0.68, 0.7, 0, -0.5), ivory),
        (box((w * 0.5, 0.02, 0.25), (0, -0.34, h - 0.18)), print_(kit)),
    ]
    keys = np.linspace(-w * 0.44, w * 0.44, 22)
    parts += [(slab(0.02, 0.08, 0.7, 0.712, float(x), -0.45), ebony) for k, x in enumerate(keys) if k % 7 not in (2, 6)]
    parts += [(slab(0.08, 0.08, 0, 0.6, s * (w / 2 - 0.05), -0.55), case) for s in (-1, 1)]
    return parts + strewn(kit, kit.integer(0, 4), (-w / 2, w / 2), (-0.32, 0), h, 0.4)


def wire_rack(kit: Kit) -> list[Part]:
    """Steel shelving, open on all sides, with things on it."""
    w, d, h, iron = kit.uniform(0.8, 1.6), kit.uniform(0.35, 0.5), kit.uniform(1.4, 2.2), metal(kit)
    parts: list[Part] = [
        (cylinder(0.015, 0, h, 8).moved((sx * w / 2, -d / 2 + sy * (d / 2 - 0.02), 0)), iron)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    for z in np.linspace(0.15, h - 0.05, kit.integer(3, 5)):
        parts += [(box((w, 0.012, 0.012), (0, float(y), float(z))), iron) for y in np.linspace(-d, 0, 7)]
        if kit.chance(0.85):
            parts += strewn(kit, kit.integer(2, 5), (-w / 2, w / 2), (-d, 0), float(z) + 0.007, 0.35)
    return parts


def lockers(kit: Kit) -> list[Part]:
    """A row of tall steel lockers."""
    count, h, iron = kit.integer(2, 5), kit.uniform(1.6, 1.95), paint(kit)
    w, vent = count * 0.34, Material("diffuse", (0.06, 0.06, 0.07))
    parts: list[Part] = [(slab(w, 0.48, 0.08, h, 0, -0.24), iron), (slab(w, 0.42, 0, 0.08, 0, -0.24), vent)]
    for k in range(count):
        x = -w / 2 + 0.34 * (k + 0.5)
        parts.append((box((0.32, 0.02, h - 0.14), (x, -0.49, h / 2 + 0.04)), iron))
        parts += [(box((0.18, 0.008, 0.012), (x, -0.502, h - 0.25 - 0.04 * j)), vent) for j in range(4)]
        parts.append((box((0.02, 0.03, 0.1), (x + 0.11, -0.51, h * 0.55)), metal(kit)))
    return parts


def range_cooker(kit: Kit) -> list[Part]:
    """A cooker with rings, an oven door and a hood above."""
    w, h, shell = kit.uniform(0.6, 1.0), kit.uniform(0.85, 0.95), kit.pick([paint, metal])(kit)
    black = Material("diffuse", (0.04, 0.04, 0.05))
    parts: list[Part] = [
        (slab(w, 0.6, 0.06, h, 0, -0.3), shell),
        (slab(w * 0.95, 0.54, 0, 0.06, 0, -0.29), black),
        (box((w * 0.7, 0.012, 0.3), (0, -0.606, h * 0.42)), black),
        (tube(np.array([[-w * 0.35, -0.65, h * 0.68], [w * 0.35, -0.65, h * 0.68]]), 0.012, 8), metal(kit)),
    ]
    for x in (-0.25, 0.25):
        for y in (-0.45, -0.17):
            parts.append((torus(0.085, 0.012, 18).moved((x * w, y, h + 0.008)), black))
            if kit.chance(0.3):
                parts += place(thing(kit), x * w, y, h + 0.02)
    if kit.chance(0.7):
        flue = lathe([(0.42 * w, h + 0.75), (0.42 * w, h + 0.82), (0.12, h + 1.0), (0.12, h + 1.5)], 4)
        parts.append((flue.moved((0, 0, 0), np.pi / 4).moved((0, -0.3, 0)), metal(kit)))
    return parts


def washer(kit: Kit) -> list[Part]:
    """A washing machine, its round door in front."""
    shell, ring = Material("diffuse", kit.shade((0.86, 0.86, 0.86), 0.12)), metal(kit)
    turn = rotation_x(np.pi / 2)
    parts: list[Part] = [
        (slab(0.6, 0.58, 0.02, 0.85, 0, -0.29), shell),
        (torus(0.19, 0.025, 26).rotated(turn, (0, -0.59, 0.42)), ring),
        (sphere(0.17, 18).stretched((1, 0.3, 1)).moved((0, -0.57, 0.42)), Material("diffuse", (0.08, 0.09, 0.1))),
        (box((0.55, 0.01, 0.1), (0, -0.585, 0.77)), paint(kit)),
        (cylinder(0.025, 0, 0.03, 12).rotated(turn, (0.18, -0.585, 0.77)), ring),
    ]
    return parts + strewn(kit, kit.integer(0, 4), (-0.3, 0.3), (-0.55, -0.02), 0.85, 0.4)


def radiator(kit: Kit) -> list[Part]:
    """A ribbed radiator."""
    n, h, white = kit.integer(6, 16), kit.uniform(0.45, 0.8), Material("diffuse", kit.shade((0.88, 0.87, 0.83), 0.1))
    parts: list[Part] = [(cushion(0.045, 0.14, 0.1, h + 0.1, 0.06 * (k - n / 2), -0.12, 0.5), white) for k in range(n)]
    return [*parts, (slab(0.06 * n, 0.04, 0, 0.14, -0.03, -0.12), white)]


def step_ladder(kit: Kit) -> list[Part]:
    """A folding ladder, open."""
    h, cover = kit.uniform(1.0, 2.0), kit.pick([metal, timber, paint])(kit)
    run = h * 0.28
    parts: list[Part] = []
    for s in (-1, 1):
        for foot in (-1, 1):
            path = np.array([[s * 0.24, -run - 0.05 + foot * run, 0], [s * 0.16, -run - 0.05, h]])
            parts.append((tube(path, 0.02, 6), cover))
    for a in np.linspace(0.12, 1.0, max(3, int(h / 0.28))):
        parts.append((box((0.46 - 0.15 * a, 0.09, 0.025), (0, -2 * run - 0.05 + run * float(a), float(a) * h)), cover))
    return parts


def airer(kit: Kit) -> list[Part]:
    """A clothes horse with washing on it."""
    w, h, iron = kit.uniform(0.7, 1.2), kit.uniform(0.8, 1.1), metal(kit)
    parts: list[Part] = []
    for s in (-1, 1):
        for a, b in ((-0.6, 0.0), (0.0, -0.6)):
            parts.append((tube(np.array([[s * w / 2, a, 0], [s * w / 2, b, h]]), 0.01, 6), iron))
    for y in np.linspace(-0.6, 0.0, 6):
        parts.append((tube(np.array([[-w / 2, y, h], [w / 2, y, h]]), 0.006, 5), iron))
        if kit.chance(0.55):
            wide, drop, x = kit.uniform(0.2, 0.5), kit.uniform(0.2, 0.6), kit.uniform(-0.2, 0.2) * w
            u, v = np.meshgrid(np.linspace(-wide / 2, wide / 2, 12), np.linspace(0, 1, 6))
            sheet = np.stack([u + x, y + 0.012 * np.sin(u * 30 + v * 3), h - drop * v], -1)
            parts.append((surface(sheet), textile(kit)))
    return parts


def easel(kit: Kit) -> list[Part]:
    """An easel with a canvas."""
    h, wood = kit.uniform(1.3, 1.8), timber(kit)
    w, t = kit.uniform(0.4, 0.9), kit.uniform(0.4, 0.8)
    tilt = rotation_x(-0.18)
    legs_: list[Part] = [(tube(np.array([[s * 0.35, -0.75, 0], [s * 0.06, -0.4, h]]), 0.02, 6), wood) for s in (-1, 1)]
    legs_.append((tube(np.array([[0, -0.05, 0], [0, -0.4, h]]), 0.02, 6), wood))
    art = quad((-w / 2, -0.02, 0), (w, 0, 0), (0, 0, t)).unit_uv()
    sheet: list[Part] = [
        (art, print_(kit)),
        (box((w, 0.03, t), (0, 0, t / 2)), Material("diffuse", (0.85, 0.82, 0.75))),
    ]
    return legs_ + turned(sheet, tilt, (0, -0.68, h * 0.42)) + [(box((0.6, 0.07, 0.03), (0, -0.68, h * 0.41)), wood)]


def trolley(kit: Kit) -> list[Part]:
    """A trolley with three trays on castors."""
    w, iron = kit.uniform(0.5, 0.8), kit.pick([metal, paint])(kit)
    parts: list[Part] = [
        (slab(0.025, 0.025, 0.06, 0.85, sx * w / 2, -0.25 + sy * 0.2), iron) for sx in (-1, 1) for sy in (-1, 1)
    ]
    parts += [
        (sphere(0.04, 10).moved((sx * w / 2, -0.25 + sy * 0.2, 0.04)), metal(kit)) for sx in (-1, 1) for sy in (-1, 1)
    ]
    for z in (0.15, 0.48, 0.8):
        parts.append((slab(w, 0.42, z, z + 0.03, 0, -0.25), iron))
        parts += strewn(kit, kit.integer(1, 5), (-w / 2, w / 2), (-0.44, -0.06), z + 0.03, 0.28)
    return parts  # fmt: skip


def trestle(kit: Kit) -> list[Part]:
    """A board on trestles: a workbench with things on it."""
    w, d, h, wood = kit.uniform(1.2, 2.4), kit.uniform(0.6, 0.9), kit.uniform(0.72, 0.95), timber(kit)
    parts: list[Part] = [(slab(w, d, h - 0.04, h, 0, -d / 2), wood)]
    for s in (-1, 1):
        x = s * w * 0.36
        for a in (-1, 1):
            path = np.array([[x + 0.12 * a, -d / 2 - 0.3, 0], [x, -d / 2 - 0.28, h - 0.04]])
            parts += [(tube(path, 0.022, 6), wood), (tube(path * [1, 1, 1] + [0, 0.58, 0], 0.022, 6), wood)]
        parts.append((slab(0.05, d * 0.8, h - 0.1, h - 0.04, x, -d / 2), wood))
    return parts + strewn(kit, kit.integer(4, 11), (-w / 2, w / 2), (-d, 0), h, 0.6)


def pedestal(kit: Kit) -> list[Part]:
    """A small round table on one leg, café style."""
    r, h = kit.uniform(0.28, 0.5), kit.uniform(0.68, 1.05)
    top, iron = kit.pick([stone, timber, metal])(kit), metal(kit)
    parts: list[Part] = [
        (cylinder(r, h - 0.025, h, 30), top),
        (lathe([(r * 0.6, 0), (r * 0.55, 0.03), (0.04, 0.06), (0.03, h * 0.5), (0.05, h - 0.02)], 18), iron),
    ]
    return place(parts + strewn(kit, kit.integer(1, 5), (-0.65 * r, 0.65 * r), (-0.65 * r, 0.65 * r), h, 0.4), 0, -r)


def bentwood(kit: Kit) -> list[Part]:
    """A café chair: round seat, hoop back."""
    wood, r, seat = kit.pick([timber, paint])(kit), kit.uniform(0.19, 0.23), kit.uniform(0.43, 0.47)
    parts: list[Part] = [(cylinder(r, seat - 0.03, seat, 24), wood)]
    for a in (0.8, 2.35, 3.95, 5.5):
        foot = [1.15 * r * np.cos(a), 1.15 * r * np.sin(a), 0]
        parts.append(
            (tube(np.array([[0.85 * r * np.cos(a), 0.85 * r * np.sin(a), seat - 0.02], foot]), 0.016, 6), wood)
        )
    t = np.linspace(0, np.pi, 14)
    for f in (1.0, 0.6):
        hoop = np.stack([f * r * np.cos(t), 0.9 * r + 0.05 * np.sin(t), seat - 0.02 + f * 0.48 * np.sin(t)], 1)
        parts.append((tube(hoop, 0.014, 7), wood))
    return place(parts, 0, -r - 0.06)


def fireplace(kit: Kit) -> list[Part]:
    """A chimney piece with a fire or a stove."""
    w, h, surround = kit.uniform(1.1, 1.6), kit.uniform(0.95, 1.25), kit.pick([masonry, stone, timber])(kit)
    soot = Material("diffuse", (0.05, 0.045, 0.04))
    glow = Material("glow", (1.0, 0.45, 0.12), radiance=kit.uniform(1, 6))
    parts: list[Part] = [(slab(0.25, 0.35, 0, h, s * (w / 2 - 0.12), -0.17), surround) for s in (-1, 1)]
    parts += [(slab(w, 0.35, h * 0.72, h, 0, -0.17), surround), (slab(w + 0.2, 0.42, h, h + 0.06, 0, -0.2), surround)]
    parts += [(slab(w - 0.45, 0.02, 0, h * 0.75, 0, -0.01), soot), (slab(w * 0.9, 0.6, 0, 0.04, 0, -0.3), stone(kit))]
    for _ in range(4):
        log = cylinder(0.04, -0.2, 0.2, 9).rotated(rotation_y(np.pi / 2), (kit.uniform(-0.1, 0.1), -0.15, 0.1))
        parts.append((log.moved((0, kit.uniform(-0.06, 0.06), kit.uniform(0, 0.12))), timber(kit)))
    if kit.chance(0.6):
        parts.append((rock(kit.rng, 0.12, 0.4, 14).moved((0, -0.15, 0.2)), glow))
    return parts + strewn(kit, kit.integer(1, 6), (-w / 2, w / 2), (-0.38, -0.03), h + 0.06, 0.4)


def bicycle(kit: Kit) -> list[Part]:
    """A bicycle, standing along x."""
    r, cover, tyre = 0.33, paint(kit), Material("diffuse", (0.07, 0.07, 0.07))
    turn = rotation_x(np.pi / 2)
    a, b, seat, head, crank = (np.array(p) for p in (
        (-0.52, 0, r), (0.52, 0, r), (-0.2, 0, 0.85), (0.33, 0, 0.85), (-0.08, 0, 0.3)))  # fmt: skip
    parts: list[Part] = [(torus(r - 0.02, 0.02, 30).rotated(turn, (s * 0.52, 0, r)), tyre) for s in (-1, 1)]
    for p, q in ((a, seat), (a, crank), (crank, seat), (crank, head), (seat, head), (head, b)):
        parts.append((tube(np.array([p, q]), 0.016, 8), cover))
    parts += [
        (cushion(0.24, 0.13, 0.9, 0.95, -0.23, 0, 0.6), tyre),
        (tube(np.array([[-0.2, 0, 0.84], [-0.22, 0, 0.92]]), 0.013), cover),
    ]
    parts += [
        (tube(np.array([[0.33, 0, 0.85], [0.31, 0, 0.98]]), 0.014, 6), cover),
        (tube(np.array([[0.25, -0.26, 0.96], [0.33, 0, 1.0], [0.25, 0.26, 0.96]]), 0.012, 6), metal(kit)),
        (cylinder(0.09, -0.008, 0.008, 18).rotated(turn, (-0.08, 0, 0.3)), metal(kit)),
    ]
    return place(parts, 0, -0.3)  # fmt: skip


def suitcases(kit: Kit) -> list[Part]:
    """A stack of suitcases or trunks."""
    parts: list[Part] = []
    z = 0.0
    for _ in range(kit.integer(1, 4)):
        w, d, h = kit.uniform(0.45, 0.8), kit.uniform(0.3, 0.5), kit.uniform(0.15, 0.28)
        cover, trim = kit.pick([paint, textile, timber])(kit), metal(kit)
        one: list[Part] = [(superquadric((w / 2, d / 2, h / 2), 0.15, 0.15, 24).moved((0, 0, h / 2)), cover)]
        one += [(slab(0.04, d + 0.006, 0.01, h - 0.01, s * w * 0.3), trim) for s in (-1, 1)]
        parts += place(one, kit.uniform(-0.05, 0.05), -0.3, z, kit.uniform(-0.2, 0.2))
        z += h
    return parts


def standing_figure(kit: Kit) -> list[Part]:
    """A tailor's dummy or statue: a turned torso on a stand."""
    h, cover = kit.uniform(1.4, 1.75), kit.pick([textile, stone, plaster])(kit)
    torso = lathe(
        [(0.1, 0.95), (0.17, 1.0), (0.13, 1.18), (0.19, 1.38), (0.16, 1.48), (0.06, 1.54), (0.06, 1.62), (0, 1.63)], 24
    )
    stand = lathe([(0.2, 0), (0.18, 0.03), (0.025, 0.06), (0.02, 0.96)], 16)
    return place([(torso.stretched((1.1, 0.75, 1)), cover), (stand, metal(kit))], 0, -0.25, 0, 0, h / 1.63)  # fmt: skip


FURNISHINGS: dict[str, Callable[[Kit], list[Part]]] = {
    "settle": settle,
    "pouf": pouf,
    "beanbag": beanbag,
    "bunk": bunk,
    "piano": piano,
    "wire_rack": wire_rack,
    "lockers": lockers,
    "range_cooker": range_cooker,
    "washer": washer,
    "radiator": radiator,
    "step_ladder": step_ladder,
    "airer": airer,
    "easel": easel,
    "trolley": trolley,
    "trestle": trestle,
    "pedestal": pedestal,
    "bentwood": bentwood,
    "fireplace": fireplace,
    "bicycle": bicycle,
    "suitcases": suitcases,
    "standing_figure": standing_figure,
}
