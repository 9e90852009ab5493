"""Boats, machines, people and street things of the photo split, on z = 0, front towards -y."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dabench.render.kit import Kit, Material, Part, place, turned
from dabench.render.mesh import (
    Mesh,
    box,
    cylinder,
    extrude,
    lathe,
    merge,
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
from dabench.render.photo.buildings import roofing
from dabench.render.photo.palette import (
    STONES,
    metal,
    paint,
    print_,
    skin,
    stone,
    textile,
    timber,
)


def fountain(kit: Kit) -> list[Part]:
    """A basin with a tiered pillar."""
    r, cover = kit.uniform(1.5, 3.0), stone(kit)
    water = skin(kit, (0.25, 0.38, 0.4), ("sand_ripples",), (0.8, 2.0), 0.25)
    parts: list[Part] = [
        (lathe([(r, 0), (r, 0.6), (r * 0.88, 0.62), (r * 0.86, 0.3)], 28), cover),
        (cylinder(r * 0.87, 0.3, 0.42, 28), water),
    ]
    for z, f in ((1.1, 0.5), (1.9, 0.3)):
        parts.append(
            (lathe([(0.1, z - 0.7), (0.12, z - 0.1), (r * f, z + 0.12), (r * f * 0.9, z + 0.1), (0, z)], 24), cover)
        )
    return [*parts, (sphere(0.18, 12).moved((0, 0, 2.1)), cover)]  # fmt: skip


def monument(kit: Kit) -> list[Part]:
    """An obelisk or a figure on a plinth."""
    w, cover = kit.uniform(0.8, 1.6), stone(kit)
    parts: list[Part] = [
        (slab(w * (1.6 - 0.3 * k), w * (1.6 - 0.3 * k), 0.3 * k, 0.3 * k + 0.3), cover) for k in range(2)
    ]
    h = kit.uniform(1.0, 2.0)
    parts.append((slab(w, w, 0.6, 0.6 + h), cover))
    if kit.chance(0.5):
        tip = lathe([(w * 0.5, 0.6 + h), (w * 0.33, 3.5 + h), (0, 3.9 + h)], 4)
        return [*parts, (tip, cover)]
    figure = lathe([(0.4, 0), (0.33, 0.8), (0.25, 1.1), (0.36, 1.45), (0.12, 1.65), (0.15, 1.8), (0, 1.95)], 18)
    return [*parts, (figure.stretched((1, 0.7, 1)).moved((0, 0, 0.6 + h)), cover)]  # fmt: skip


def parasol(kit: Kit) -> list[Part]:
    """A parasol over a table."""
    r, h = kit.uniform(1.1, 1.7), kit.uniform(2.1, 2.5)
    shade = lathe([(r, h - 0.45), (r * 0.5, h - 0.15), (0.02, h)], 8)
    return [
        (cylinder(0.025, 0, h, 8), timber(kit)),
        (shade, textile(kit)),
        (cylinder(0.45, 0.7, 0.73, 20), timber(kit)),
        (cylinder(0.3, 0, 0.06, 16), stone(kit)),
    ]


def planter(kit: Kit) -> list[Part]:
    """A stone trough full of leaves."""
    w = kit.uniform(0.6, 1.6)
    leaf = skin(kit, (0.33, 0.43, 0.2), ("leaf_litter", "turf"), (0.4, 0.9), 0.8)
    parts: list[Part] = [(slab(w, 0.5, 0, 0.5), kit.pick([stone, timber])(kit))]
    return parts + [
        (rock(kit.rng, 0.3, 0.3, 14).moved((float(x), 0, 0.6)), leaf) for x in np.arange(-w / 2 + 0.2, w / 2, 0.35)
    ]


def lamp_standard(kit: Kit) -> list[Part]:
    """A cast-iron lamp with globes."""
    h, iron = kit.uniform(2.8, 4.2), metal(kit)
    globe = Material("glow", (0.95, 0.9, 0.8), radiance=kit.uniform(0.5, 1.5))
    shaft = lathe([(0.2, 0), (0.18, 0.3), (0.08, 0.5), (0.05, h - 0.2), (0.09, h - 0.1), (0.03, h)], 12)
    parts: list[Part] = [(shaft, iron), (sphere(0.2, 14).moved((0, 0, h + 0.15)), globe)]
    for s in (-1, 1):
        arm = np.array([[0, 0, h - 0.5], [s * 0.4, 0, h - 0.6], [s * 0.55, 0, h - 0.35]])
        parts += [(tube(arm, 0.025, 6), iron), (sphere(0.15, 12).moved((s * 0.55, 0, h - 0.2)), globe)]
    return parts


def kiosk(kit: Kit) -> list[Part]:
    """An eight-sided kiosk with posters and a pointed roof."""
    r, h = kit.uniform(0.7, 1.3), kit.uniform(2.2, 2.8)
    parts: list[Part] = [(lathe([(r, 0), (r, h)], 8), paint(kit))]
    parts.append((lathe([(r * 1.35, h), (r * 0.6, h + 0.5), (0.08, h + 0.8), (0, h + 1.1)], 8), roofing(kit)))
    side = 2 * r * np.sin(np.pi / 8) * 0.8
    for k in range(8):
        if kit.chance(0.6):
            sheet = quad((-side / 2, -r * np.cos(np.pi / 8) - 0.015, 0.7), (side, 0, 0), (0, 0, 1.2)).unit_uv()
            parts.append((sheet.moved((0, 0, 0), (k + 0.5) * np.pi / 4 - np.pi / 2), print_(kit)))
    return parts


def container(kit: Kit) -> list[Part]:
    """A shipping container, or two stacked."""
    length = kit.pick([6.1, 6.1, 12.2])
    parts: list[Part] = []
    for k in range(kit.integer(1, 3)):
        tone = kit.pick([(0.6, 0.2, 0.15), (0.15, 0.3, 0.45), (0.75, 0.5, 0.15), (0.3, 0.42, 0.33), (0.7, 0.7, 0.7)])
        steel = skin(kit, tone, ("corrugated",), (1.2, 2.2), 0.3)
        one: list[Part] = [(slab(length, 2.44, 2.6 * k + 0.05, 2.6 * k + 2.55), steel)]
        one += [(slab(0.15, 2.46, 2.6 * k, 2.6 * k + 2.6, s * length / 2), metal(kit)) for s in (-1, 1)]
        parts += place(one, kit.uniform(-0.15, 0.15) * k, 0, 0, 0.04 * k * kit.uniform(-1, 1))
    return parts


def tank(kit: Kit) -> list[Part]:
    """A silo or storage tank with a ladder and a pipe."""
    r, h, steel = kit.uniform(1.2, 3.0), kit.uniform(3.5, 9), kit.pick([metal, paint])(kit)
    parts: list[Part] = [(lathe([(r, 0), (r, h), (r * 0.5, h + r * 0.35), (0, h + r * 0.45)], 26), steel)]
    parts += [
        (torus(r * 1.005, 0.06, 26).moved((0, 0, float(z))), metal(kit)) for z in np.linspace(h * 0.2, h * 0.9, 3)
    ]
    for x in (-0.2, 0.2):
        parts.append((cylinder(0.025, 0, h, 6).moved((x, -r - 0.12, 0)), metal(kit)))
    parts += [(box((0.4, 0.03, 0.03), (0, -r - 0.12, float(z))), metal(kit)) for z in np.arange(0.4, h, 0.5)]
    pipe = np.array([[r * 0.9, 0, h * 0.8], [r * 1.5, 0, h * 0.75], [r * 1.6, 0, 0.0]])
    return [*parts, (tube(pipe, 0.12, 10), metal(kit))]  # fmt: skip


def gantry(kit: Kit) -> list[Part]:
    """A portal crane across x."""
    w, h, steel = kit.uniform(6, 12), kit.uniform(5, 9), paint(kit)
    parts: list[Part] = [(slab(w + 2, 0.7, h, h + 0.8), steel)]
    for s in (-1, 1):
        for f in (-1, 1):
            parts.append((tube(np.array([[s * w / 2, f * 1.5, 0], [s * w / 2, f * 0.2, h]]), 0.18, 6), steel))
    x = kit.uniform(-0.3, 0.3) * w
    drop = kit.uniform(0.3, 0.7) * h
    parts += [(slab(1.2, 1.0, h - 0.4, h, x), metal(kit)), (cylinder(0.03, drop, h, 6).moved((x, 0, 0)), metal(kit))]
    return [*parts, (box((0.8, 0.8, 0.5), (x, 0, drop)), paint(kit))]


def forklift(kit: Kit) -> list[Part]:
    """A forklift or small tractor, heading +x."""
    cover, black = paint(kit), Material("diffuse", (0.06, 0.06, 0.06))
    turn = rotation_x(np.pi / 2)
    parts: list[Part] = [(superquadric((0.95, 0.5, 0.45), 0.35, 0.35, 22).moved((-0.1, 0, 0.8)), cover)]
    for x, r in ((-0.7, 0.3), (0.6, 0.36)):
        parts += [(cylinder(r, -0.12, 0.12, 18).rotated(turn, (x, s * 0.5, r)), black) for s in (-1, 1)]
    parts += [(slab(0.06, 0.06, 1.1, 2.1, x, s * 0.42), black) for x in (-0.5, 0.45) for s in (-1, 1)]
    parts += [(slab(1.1, 0.95, 2.1, 2.16, 0), cover), (slab(0.5, 0.5, 1.1, 1.35, -0.35), black)]
    parts += [(slab(0.08, 0.08, 0.1, 2.4, 0.95, s * 0.3), metal(kit)) for s in (-1, 1)]
    return parts + [(slab(1.0, 0.1, 0.12, 0.17, 1.45, s * 0.25), metal(kit)) for s in (-1, 1)]


def rowing_boat(kit: Kit) -> list[Part]:
    """An open boat along x, its keel at z = 0."""
    length = kit.uniform(2.8, 5.0)
    t = np.linspace(-1, 1, 17)
    beam, keel = 0.18 * length * (1 - np.abs(t) ** 2.4), 0.1 * np.abs(t) ** 3
    rows = []
    for a in np.linspace(-np.pi / 2, np.pi / 2, 9):
        depth = 0.14 * length * (1 - np.cos(a) ** 0.8) + 0.12 * length * np.abs(t) ** 3
        rows.append(np.stack([t * length / 2 * (1 + 0.04 * np.abs(np.sin(a))), beam * np.sin(a), depth + keel], 1))
    hull = surface(np.stack(rows))
    wood = timber(kit)
    seats: list[Part] = [
        (slab(0.25, 0.3 * length, 0.09 * length, 0.09 * length + 0.03, x * length), wood) for x in (-0.18, 0.1)
    ]
    oar = np.array([[-0.2 * length, -0.25 * length, 0.3], [0.25 * length, 0.2 * length, 0.32]])
    return [(hull, paint(kit)), *seats, (tube(oar, 0.02, 6), wood)]


def barge(kit: Kit) -> list[Part]:
    """A canal boat along x with a long low cabin."""
    length, w = kit.uniform(8, 14), kit.uniform(2.2, 3.2)
    bow = np.linspace(0.5, -0.5, 9) * np.pi
    outline = np.concatenate([
        [[-length / 2, -w / 2], [length / 2 - w, -w / 2]],
        np.stack([length / 2 - w + w * np.cos(bow[::-1]), w / 2 * np.sin(bow[::-1])], 1)[1:-1],
        [[length / 2 - w, w / 2], [-length / 2, w / 2]]])  # fmt: skip
    cabin, glass = paint(kit), Material("diffuse", (0.1, 0.12, 0.14))
    parts: list[Part] = [
        (extrude(outline, -0.5, 0.6), paint(kit)),
        (slab(length * 0.65, w * 0.75, 0.6, 1.6, -length * 0.08), cabin),
        (slab(length * 0.67, w * 0.8, 1.6, 1.7, -length * 0.08), paint(kit)),
    ]
    for x in np.arange(-length * 0.36, length * 0.2, 1.3):
        parts.append((box((0.6, w * 0.77, 0.4), (float(x), 0, 1.2)), glass))
    return parts


def cloaked(kit: Kit) -> list[Part]:
    """A person in a coat: one turned body, a head, shoes, sometimes a bag or an umbrella."""
    h = kit.uniform(1.5, 1.9)
    coat, flesh = textile(kit), Material("diffuse", kit.shade(kit.pick([(0.78, 0.58, 0.47), (0.45, 0.31, 0.23)]), 0.2))
    body = lathe([(0.2, 0.35), (0.24, 0.5), (0.17, 0.95), (0.2, 1.3), (0.17, 1.42), (0.05, 1.48)], 16).stretched(
        (1, 0.65, 1)
    )
    parts: list[Part] = [(body, coat), (superquadric((0.09, 0.1, 0.13), 1, 1, 14).moved((0, -0.01, 1.62)), flesh)]
    dark = Material("diffuse", kit.shade((0.15, 0.13, 0.13), 0.5))
    parts += [
        (tube(np.array([[s * 0.08, 0, 0.4], [s * 0.09, -s * 0.06, 0.03]]), [0.07, 0.055], 8), dark) for s in (-1, 1)
    ]
    parts.append((superquadric((0.1, 0.11, 0.09), 1, 1, 12).moved((0, 0.02, 1.68)), dark))
    for s in (-1, 1):
        reach = kit.uniform(-0.05, 0.3)
        arm = np.array(
            [[s * 0.19, 0, 1.36], [s * 0.26, -0.3 * reach, 1.08], [s * 0.22, -reach, 0.85 + 0.5 * max(reach, 0)]]
        )
        parts.append((tube(arm, [0.065, 0.05, 0.04], 8), coat))
    if kit.chance(0.3):
        parts.append((superquadric((0.16, 0.08, 0.2), 0.5, 0.5, 14).moved((0.3, 0, 0.75)), paint(kit)))
    if kit.chance(0.2):
        parts.append((lathe([(0.5, 1.85), (0.35, 2.02), (0.01, 2.1)], 12).moved((0.2, -0.2, 0)), paint(kit)))
        parts.append((cylinder(0.01, 1.0, 2.1, 5).moved((0.2, -0.2, 0)), dark))
    return place(parts, 0, 0, 0, kit.heading(), h / 1.75)  # fmt: skip


def spoked(kit: Kit) -> list[Part]:
    """A wheel leaning on a post, as from a cart."""
    r, wood = kit.uniform(0.4, 0.8), timber(kit)
    wheel: list[Part] = [(torus(r, 0.05, 26), wood), (cylinder(0.09, -0.1, 0.1, 12), metal(kit))]
    for a in np.arange(8) * np.pi / 4:
        wheel.append((tube(np.array([[0, 0, 0], [r * np.cos(a), r * np.sin(a), 0]]), 0.025, 6), wood))
    post: list[Part] = [(slab(0.12, 0.12, 0, r * 2.2, 0, 0.25), wood)]
    return turned(wheel, rotation_x(np.pi / 2 - 0.2), (0, 0, r + 0.04)) + post


def wood_pile(kit: Kit) -> list[Part]:
    """Stacked logs, their ends towards -y."""
    rows, r, skin_, end = kit.integer(2, 5), kit.uniform(0.09, 0.16), timber(kit), timber(kit)
    turn = rotation_x(np.pi / 2)
    parts: list[Part] = []
    for k in range(rows):
        for j in range(7 - k):
            at = ((j - (6 - k) / 2) * 2 * r, 0, r + k * r * 1.75)
            parts += [
                (cylinder(r, -0.5, 0.5, 10).rotated(turn, at), skin_),
                (cylinder(r * 0.9, 0.5, 0.505, 10).rotated(turn, at), end),
            ]
    return parts  # fmt: skip


STREET: dict[str, Callable[[Kit], list[Part]]] = {
    "parasol": parasol,
    "planter": planter,
    "lamp_standard": lamp_standard,
    "kiosk": kiosk,
    "cloaked": cloaked,
    "monument": monument,
    "spoked": spoked,
    "wood_pile": wood_pile,
}

WORKS: dict[str, Callable[[Kit], list[Part]]] = {
    "container": container,
    "tank": tank,
    "gantry": gantry,
    "forklift": forklift,
    "wood_pile": wood_pile,
    "cloaked": cloaked,
}


def drum(radius: float, length: float) -> Mesh:
    """A lying cylinder along x on z = 0."""
    return merge([cylinder(radius, -length / 2, length / 2, 20)]).rotated(rotation_y(np.pi / 2), (0, 0, radius))


def pipes(kit: Kit) -> list[Part]:
    """A stack of big pipes."""
    r, cover = kit.uniform(0.3, 0.7), skin(kit, kit.pick(STONES), ("concrete", "rust"), (1.0, 2.5), 0.3)
    return [(drum(r, 4.0).moved((0, (k - 1) * 2 * r, 0)), cover) for k in range(3)] + [
        (drum(r, 4.0).moved((0, (k - 0.5) * 2 * r, 1.73 * r)), cover) for k in range(2)
    ]


WORKS["pipes"] = pipes
