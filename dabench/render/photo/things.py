"""Small things of the photo split, standing on z = 0 around the origin: vessels, food, tools, ornaments."""

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
from dabench.render.photo.palette import leafage, metal, paint, plaster, print_, rind, skin, stone, textile, timber

PROFILES: dict[str, tuple[tuple[float, float], ...]] = {
    "jug": ((0, 0), (0.4, 0), (0.62, 0.25), (0.55, 0.6), (0.3, 0.8), (0.36, 1.0), (0.32, 1.0), (0.26, 0.8), (0, 0.7)),
    "urn": ((0, 0), (0.3, 0), (0.15, 0.12), (0.3, 0.3), (0.55, 0.62), (0.5, 0.85), (0.62, 1), (0.56, 1), (0, 0.8)),
    "pawn": (
        (0, 0),
        (0.42, 0),
        (0.42, 0.1),
        (0.2, 0.2),
        (0.14, 0.55),
        (0.25, 0.62),
        (0.12, 0.66),
        (0.24, 0.85),
        (0, 1),
    ),
    "bell": ((0.5, 0), (0.46, 0.1), (0.32, 0.5), (0.27, 0.75), (0.12, 0.85), (0.06, 0.9), (0.06, 1), (0, 1)),
    "candle": ((0, 0), (0.3, 0), (0.32, 0.05), (0.1, 0.08), (0.1, 0.2), (0.13, 0.22), (0.13, 0.96), (0.01, 1)),
    "spinning_top": ((0, 0), (0.05, 0.1), (0.5, 0.5), (0.42, 0.65), (0.08, 0.72), (0.06, 1), (0, 1)),
    "funnel": ((0.05, 0), (0.09, 0.45), (0.55, 0.95), (0.58, 1), (0.52, 0.95), (0.06, 0.45)),
    "pear": ((0, 0), (0.3, 0.05), (0.42, 0.3), (0.32, 0.6), (0.17, 0.85), (0, 0.97)),
    "mushroom": ((0, 0), (0.18, 0), (0.14, 0.5), (0.5, 0.5), (0.55, 0.6), (0.4, 0.85), (0, 1)),
    "barrel": ((0, 0), (0.36, 0), (0.46, 0.3), (0.48, 0.5), (0.46, 0.7), (0.36, 1), (0.32, 1), (0.3, 0.95), (0, 0.95)),
    "flask": ((0, 0), (0.5, 0), (0.52, 0.06), (0.14, 0.65), (0.13, 0.95), (0.17, 1), (0, 0.98)),
    "cone": ((0.45, 0), (0.45, 0.05), (0.3, 0.05), (0.05, 1), (0, 1)),
}
"""Turned shapes as (radius, height), both in parts of their height."""

_MAKE: dict[str, Callable[[Kit], Material]] = {
    "pear": lambda kit: Material("diffuse", kit.shade((0.7, 0.68, 0.25), 0.25)),
    "mushroom": lambda kit: skin(kit, (0.75, 0.62, 0.48), ("lichen", "carpet"), (0.1, 0.4), 0.3),
    "barrel": timber,
    "bell": metal,
    "funnel": metal,
    "cone": lambda kit: Material("diffuse", kit.shade((0.9, 0.4, 0.12), 0.2)),
}


def _turned(name: str) -> Callable[[Kit], list[Part]]:
    def make(kit: Kit) -> list[Part]:
        h, wide = kit.uniform(0.08, 0.3), kit.uniform(0.75, 1.25)
        cover = _MAKE[name](kit) if name in _MAKE else kit.pick([paint, plaster, timber, metal, stone])(kit)
        return [(lathe([(r * wide * h, z * h) for r, z in PROFILES[name]], 22), cover)]

    return make


def kettle(kit: Kit) -> list[Part]:
    """A kettle with a spout and a hoop handle."""
    r, cover = kit.uniform(0.07, 0.11), kit.pick([metal, paint])(kit)
    hoop = np.linspace(0.1 * np.pi, 0.9 * np.pi, 12)
    arc = np.stack([r * np.cos(hoop), 0 * hoop, r * (1.2 + 1.0 * np.sin(hoop))], 1)
    body = [(0, 0), (r * 0.95, 0), (r, r * 0.4), (r * 0.75, r * 1.2), (r * 0.4, r * 1.4), (0, r * 1.45)]
    spout = np.array([[r * 0.8, 0, r * 0.5], [r * 1.3, 0, r * 0.9], [r * 1.5, 0, r * 1.35]])
    return [
        (lathe(body, 22), cover),
        (tube(spout, [0.022, 0.016, 0.011]), cover),
        (tube(arc, 0.008, 6), paint(kit)),
        (sphere(r * 0.14, 8).moved((0, 0, r * 1.55)), paint(kit)),
    ]


def lantern(kit: Kit) -> list[Part]:
    """A lantern: a lit core in a cage."""
    r, h, iron = kit.uniform(0.05, 0.09), kit.uniform(0.15, 0.28), metal(kit)
    glow = Material("glow", kit.shade((1.0, 0.8, 0.5), 0.1), radiance=kit.uniform(1, 5))
    bars: list[Part] = [
        (tube(np.array([[r * np.cos(a), r * np.sin(a), 0.02], [r * np.cos(a), r * np.sin(a), h]]), 0.006, 5), iron)
        for a in np.arange(6) * np.pi / 3
    ]
    cap = lathe([(r * 1.2, h), (r * 0.5, h * 1.2), (r * 0.2, h * 1.3), (0, h * 1.32)], 16)
    return [(cylinder(r * 1.1, 0, 0.02, 16), iron), (cylinder(r * 0.4, 0.02, h * 0.6, 12), glow), (cap, iron), *bars]


def pumpkin(kit: Kit) -> list[Part]:
    """A ribbed squash with a stalk."""
    r, ribs = kit.uniform(0.06, 0.16), kit.integer(7, 12)
    ball = sphere(1.0, 48)
    angle = np.arctan2(ball.vertices[:, 1], ball.vertices[:, 0])
    wide = 1 - 0.12 * np.abs(np.cos(angle * ribs / 2)) ** 3
    vertices = ball.vertices * np.column_stack([wide, wide, np.full(len(wide), kit.uniform(0.6, 0.9))]) * r
    low = float(vertices[:, 2].min())
    tone = kit.pick([(0.85, 0.45, 0.12), (0.55, 0.55, 0.3), (0.8, 0.72, 0.55)])
    stalk = tube(np.array([[0, 0, -low * 0.9], [0.01, 0, -low + r * 0.9], [0.03, 0.01, -low + r]]), 0.012, 6)
    body = Mesh(vertices - [0, 0, low], ball.normals, ball.uv * r, ball.faces)
    return [(body, skin(kit, tone, ("carpet", "lichen"), (0.1, 0.4), 0.2)), (stalk, rind(kit))]


def loaf(kit: Kit) -> list[Part]:
    """Bread on a board."""
    x, y, z = kit.uniform(0.08, 0.16), kit.uniform(0.04, 0.07), kit.uniform(0.04, 0.06)
    crust = skin(kit, (0.66, 0.43, 0.22), ("cracked", "lichen", "carpet"), (0.1, 0.3), 0.4)
    board = slab(2.6 * x, 3 * y, 0, 0.018)
    return [(board, timber(kit)), (superquadric((x, y, z), 0.7, 0.7, 24).moved((0, 0, 0.018 + z * 0.9)), crust)]


def wedge(kit: Kit) -> list[Part]:
    """A wedge, as of cheese or a doorstop."""
    a, h = kit.uniform(0.4, 1.2), kit.uniform(0.04, 0.1)
    rim = np.linspace(-a / 2, a / 2, 7)
    outline = np.concatenate([[[0.0, 0.0]], np.stack([np.cos(rim), np.sin(rim)], 1)]) * kit.uniform(0.08, 0.16)
    return [(extrude(outline, 0, h), skin(kit, (0.85, 0.7, 0.35), ("terrazzo", "carpet"), (0.1, 0.3), 0.15))]


def gear(kit: Kit) -> list[Part]:
    """A toothed wheel, lying or leaning on its axle."""
    teeth, r, t = kit.integer(8, 16), kit.uniform(0.05, 0.12), kit.uniform(0.015, 0.04)
    a = np.linspace(0, 2 * np.pi, teeth * 4, endpoint=False)
    edge = r * np.where(np.arange(teeth * 4) % 4 < 2, 1.0, 0.82)
    iron = metal(kit)
    wheel: list[Part] = [(extrude(np.stack([edge * np.cos(a), edge * np.sin(a)], 1), 0, t), iron)]
    wheel.append((cylinder(r * 0.25, 0, t * 2.2, 14), iron))
    return turned(wheel, rotation_x(np.pi / 2), (0, 0, r)) if kit.chance(0.4) else wheel


def spanner(kit: Kit) -> list[Part]:
    """A spanner or wrench, lying."""
    length, iron = kit.uniform(0.12, 0.25), metal(kit)
    jaw = np.linspace(0.7, 2 * np.pi - 0.7, 12)
    r = length * 0.12
    arc = np.stack([length / 2 + r - r * np.cos(jaw + np.pi), r * np.sin(jaw), np.full(12, 0.012)], 1)
    arc[:, 0] = length / 2 + r + r * np.cos(jaw + np.pi)
    return [
        (box((length, length * 0.09, 0.012), (0, 0, 0.012)), iron),
        (tube(arc, 0.011, 6), iron),
        (torus(r * 0.9, 0.009, 14).moved((-length / 2 - r * 0.8, 0, 0.012)), iron),
    ]


def film_camera(kit: Kit) -> list[Part]:
    """A photographic camera, its lens towards -y."""
    w, black = kit.uniform(0.1, 0.15), Material("diffuse", kit.shade((0.1, 0.1, 0.11), 0.3))
    body = skin(kit, kit.pick([(0.15, 0.15, 0.16), (0.4, 0.25, 0.17)]), ("scales", "carpet"), (0.05, 0.1), 0.3)
    lens = cylinder(w * 0.24, 0, w * 0.4, 20).rotated(rotation_x(np.pi / 2), (0, -w * 0.15, w * 0.32))
    return [
        (slab(w, w * 0.35, 0, w * 0.6), body),
        (slab(w * 0.98, w * 0.33, w * 0.6, w * 0.7), metal(kit)),
        (slab(w * 0.3, w * 0.3, w * 0.7, w * 0.85), black),
        (lens, black),
        (cylinder(w * 0.07, w * 0.7, w * 0.78, 10).moved((w * 0.35, 0, 0)), metal(kit)),
    ]


def headphones(kit: Kit) -> list[Part]:
    """Headphones standing on their cups."""
    r, band, pad = kit.uniform(0.07, 0.09), paint(kit), textile(kit)
    t = np.linspace(0, np.pi, 16)
    arc = np.stack([r * np.cos(t), 0 * t, 0.045 + r * 1.1 * np.sin(t)], 1)
    parts: list[Part] = [(tube(arc, 0.009, 8), band)]
    for s in (-1, 1):
        cup = cylinder(0.042, -0.014, 0.014, 18).rotated(rotation_y(np.pi / 2), (s * r, 0, 0.045))
        parts += [
            (cup, band),
            (torus(0.032, 0.012, 16).rotated(rotation_y(np.pi / 2), (s * (r - 0.02), 0, 0.045)), pad),
        ]
    return parts


def hat(kit: Kit) -> list[Part]:
    """A brimmed hat."""
    r, h = kit.uniform(0.08, 0.1), kit.uniform(0.08, 0.13)
    brim = r * kit.uniform(1.5, 2.1)
    shape = lathe([(brim, 0.01), (r * 1.1, 0.0), (r, 0.02), (r * 0.95, h * 0.8), (r * 0.7, h), (0, h * 0.95)], 26)
    return [(shape, textile(kit)), (lathe([(r * 1.02, 0.02), (r * 1.0, 0.045)], 26), paint(kit))]


def basket(kit: Kit) -> list[Part]:
    """A woven basket with a handle and fruit."""
    r, h = kit.uniform(0.1, 0.18), kit.uniform(0.1, 0.2)
    weave = skin(kit, kit.pick([(0.65, 0.48, 0.28), (0.5, 0.36, 0.22)]), ("wicker",), (0.1, 0.25), 0.5)
    t = np.linspace(0, np.pi, 16)
    arc = np.stack([r * np.cos(t), 0 * t, h + r * 1.1 * np.sin(t)], 1)
    parts: list[Part] = [
        (lathe([(0, 0), (r * 0.75, 0), (r, h), (r * 0.93, h), (r * 0.7, 0.02), (0, 0.02)], 22), weave),
        (tube(arc, 0.01, 6), weave),
    ]
    for _ in range(kit.integer(0, 7)):
        size = r * kit.uniform(0.2, 0.32)
        fruit = Material("diffuse", kit.shade(kit.pick([(0.7, 0.15, 0.1), (0.85, 0.6, 0.15), (0.4, 0.5, 0.15)]), 0.25))
        parts.append((sphere(size, 14).moved((*kit.around(r * 0.35), h * 0.75 + size * 0.4)), fruit))
    return parts


def cactus(kit: Kit) -> list[Part]:
    """A ribbed cactus in a pot."""
    r, h = kit.uniform(0.03, 0.06), kit.uniform(0.1, 0.3)
    pot = lathe([(0, 0), (r * 1.1, 0), (r * 1.5, r * 2), (r * 1.35, r * 2), (r * 1.2, r * 1.7), (0, r * 1.7)], 18)
    green = skin(kit, (0.3, 0.45, 0.27), ("corrugated", "furrows"), (0.03, 0.06), 0.4)
    parts: list[Part] = [(pot, skin(kit, (0.7, 0.4, 0.27), ("concrete", "carpet"), (0.2, 0.5), 0.2))]
    parts.append((superquadric((r, r, h / 2), 0.8, 1, 20).moved((0, 0, r * 1.5 + h / 2)), green))
    for s in (-1, 1):
        if kit.chance(0.6):
            z, out = r * 1.5 + h * kit.uniform(0.3, 0.6), r * kit.uniform(1.8, 2.6)
            arm = np.array([[0, 0, z], [s * out, 0, z], [s * out * 1.05, 0, z + h * 0.3]])
            parts.append((tube(arm, [r * 0.5, r * 0.5, r * 0.35], 10), green))
    return parts


def sapling(kit: Kit) -> list[Part]:
    """A dwarf tree in a tray: bent trunk, flat leaf pads."""
    h, leaf = kit.uniform(0.15, 0.35), leafage(kit)
    bend = kit.rng.normal(0, 0.25 * h, 2)
    trunk = np.array([[0, 0, 0.03], [*(bend * 0.8), h * 0.4], [*(-bend * 0.2), h * 0.75], [*bend, h]])
    parts: list[Part] = [
        (slab(0.22, 0.15, 0, 0.04), stone(kit)),
        (tube(trunk, [0.02, 0.016, 0.011, 0.006], 8), rind(kit)),
    ]
    for _ in range(kit.integer(3, 6)):
        at = trunk[kit.integer(1, 3)] + np.array([*kit.around(0.25 * h), 0.02])
        parts.append((rock(kit.rng, h * kit.uniform(0.14, 0.26), 0.2, 16).stretched((1, 1, 0.4)).moved(at), leaf))
    return parts


def rope_coil(kit: Kit) -> list[Part]:
    """A coil of rope or hose."""
    r, thick, turns = kit.uniform(0.08, 0.16), kit.uniform(0.008, 0.018), kit.integer(3, 6)
    a = np.linspace(0, turns * 2 * np.pi, turns * 22)
    radius = r + 0.01 * np.sin(a * 1.7)
    path = np.stack([radius * np.cos(a), radius * np.sin(a), thick + a / (2 * np.pi) * thick * 1.6], 1)
    rope = skin(kit, kit.pick([(0.7, 0.6, 0.42), (0.3, 0.4, 0.3), (0.2, 0.3, 0.45)]), ("furrows",), (0.04, 0.1), 0.4)
    return [(tube(path, thick, 6), rope)]


def seashell(kit: Kit) -> list[Part]:
    """A spiral shell lying on its side."""
    t = np.linspace(0.05, 1, 70)
    a, grow = t * 4 * 2 * np.pi, kit.uniform(0.05, 0.1)
    path = np.stack([grow * 0.8 * t * np.cos(a), grow * 0.8 * t * np.sin(a), grow * 2.2 * (1 - t)], 1)
    shell = tube(path, grow * 0.5 * t + 0.001, 10).rotated(rotation_x(1.3), (0, 0, grow * 1.1))
    return [(shell, skin(kit, (0.85, 0.72, 0.6), ("furrows", "sand_ripples"), (0.05, 0.15), 0.35))]


def blocks(kit: Kit) -> list[Part]:
    """Building blocks: two posts, a lintel, a roof."""
    w, h = kit.uniform(0.12, 0.2), kit.uniform(0.08, 0.16)
    parts: list[Part] = [(slab(0.04, 0.04, 0, h, s * w * 0.36), paint(kit)) for s in (-1, 1)]
    parts.append((slab(w, 0.045, h, h + 0.035), timber(kit)))
    gable = np.array([[-w * 0.35, 0.0], [w * 0.35, 0.0], [0.0, w * 0.3]])
    parts.append((extrude(gable, -0.02, 0.02).rotated(rotation_x(np.pi / 2), (0, 0, h + 0.035)), paint(kit)))
    parts.append((slab(0.035, 0.035, 0, 0.035, w * 0.7, 0.05), paint(kit)))
    return parts


def dumbbell(kit: Kit) -> list[Part]:
    """A dumbbell."""
    r, w = kit.uniform(0.04, 0.06), kit.uniform(0.1, 0.16)
    turn = rotation_y(np.pi / 2)
    parts: list[Part] = [(cylinder(0.014, -w / 2, w / 2, 10).rotated(turn, (0, 0, r)), metal(kit))]
    cover = paint(kit)
    return parts + [(cylinder(r, -0.03, 0.03, 6).rotated(turn, (s * w / 2, 0, r)), cover) for s in (-1, 1)]


def pinecone(kit: Kit) -> list[Part]:
    """A cone of overlapping scales."""
    h, cover = kit.uniform(0.06, 0.12), skin(kit, (0.42, 0.28, 0.18), ("lichen", "carpet"), (0.05, 0.1), 0.4)
    parts: list[Part] = []
    for k in range(9):
        t = k / 9
        r = h * 0.42 * np.sin(np.pi * (0.25 + 0.7 * t))
        parts.append((lathe([(r * 0.4, h * t), (r, h * (t + 0.13)), (r * 0.3, h * (t + 0.12))], 12), cover))
    return parts


def parcel(kit: Kit) -> list[Part]:
    """A flat packet tied with string."""
    x, y, z = kit.uniform(0.1, 0.25), kit.uniform(0.08, 0.18), kit.uniform(0.02, 0.06)
    string = Material("diffuse", kit.shade((0.75, 0.65, 0.5), 0.3))
    return [(slab(x, y, 0, z), print_(kit)), (slab(x + 0.004, 0.008, 0, z + 0.003), string),
            (slab(0.008, y + 0.004, 0, z + 0.003), string)]  # fmt: skip


def radio(kit: Kit) -> list[Part]:
    """A table radio with a grille, a dial and an aerial."""
    w, d, h, wood = (
        kit.uniform(0.18, 0.3),
        kit.uniform(0.07, 0.11),
        kit.uniform(0.11, 0.18),
        kit.pick([timber, paint])(kit),
    )
    grille = skin(kit, (0.6, 0.52, 0.4), ("wicker", "corrugated"), (0.03, 0.06), 0.4)
    knob = cylinder(h * 0.14, 0, 0.02, 14).rotated(rotation_x(np.pi / 2), (w * 0.3, -d / 2, h * 0.5))
    aerial = np.array([[w * 0.4, 0, h], [w * 0.4 + kit.uniform(-0.1, 0.25), 0.02, h + 0.25]])
    return [(slab(w, d, 0, h), wood), (box((w * 0.5, 0.006, h * 0.7), (-w * 0.18, -d / 2, h / 2)), grille),
            (knob, metal(kit)), (tube(aerial, 0.003, 5), metal(kit))]  # fmt: skip


def scarf(kit: Kit) -> list[Part]:
    """A folded cloth: wavy layers."""
    x, y = np.meshgrid(np.linspace(-0.16, 0.16, 20), np.linspace(-0.1, 0.1, 14))
    parts: list[Part] = []
    cover = textile(kit)
    for k in range(kit.integer(2, 5)):
        z = 0.012 + 0.022 * k + 0.006 * np.sin(x * 30 + k) + 0.006 * np.sin(y * 40 + 2 * k)
        drop = np.where((np.abs(x) > 0.14) | (np.abs(y) > 0.085), -0.012, 0)
        parts.append((surface(np.stack([x, y, np.maximum(z + drop, 0.001)], -1)), cover))
    return parts


THINGS: dict[str, Callable[[Kit], list[Part]]] = {
    **{name: _turned(name) for name in PROFILES},
    "kettle": kettle,
    "lantern": lantern,
    "pumpkin": pumpkin,
    "loaf": loaf,
    "wedge": wedge,
    "gear": gear,
    "spanner": spanner,
    "film_camera": film_camera,
    "headphones": headphones,
    "hat": hat,
    "basket": basket,
    "cactus": cactus,
    "sapling": sapling,
    "rope_coil": rope_coil,
    "seashell": seashell,
    "blocks": blocks,
    "dumbbell": dumbbell,
    "pinecone": pinecone,
    "parcel": parcel,
    "radio": radio,
    "scarf": scarf,
}


def thing(kit: Kit) -> list[Part]:
    """A random small thing."""
    return THINGS[kit.choose(THINGS)](kit)


def bounds(parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner [3] of parts."""
    low = np.min([mesh.vertices.min(axis=0) for mesh, _ in parts], axis=0)
    high = np.max([mesh.vertices.max(axis=0) for mesh, _ in parts], axis=0)
    return low, high


def strewn(
    kit: Kit, count: int, x: tuple[float, float], y: tuple[float, float], z: float, tallest: float = 9.0
) -> list[Part]:
    """Up to `count` things on the level z within x and y (metres), lower than `tallest`, none inside another."""
    parts: list[Part] = []
    taken: list[tuple[float, float, float]] = []
    for _ in range(count):
        one = thing(kit)
        low, high = bounds(one)
        reach = float(np.abs([low[:2], high[:2]]).max())
        scale = min(kit.uniform(0.9, 1.5), tallest / float(high[2]), 0.48 * min(x[1] - x[0], y[1] - y[0]) / reach)
        reach *= scale
        for _ in range(5):
            px, py = kit.uniform(x[0] + reach, x[1] - reach), kit.uniform(y[0] + reach, y[1] - reach)
            if all(np.hypot(px - a, py - b) > reach + r for a, b, r in taken):
                taken.append((px, py, reach))
                parts += place(one, px, py, z, kit.heading(), scale)
                break
    return parts
