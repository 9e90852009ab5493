"""Small things that stand on tables, shelves and floors. Each returns parts standing on z = 0 around the origin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dabench.render.finishes import ANY, CLOTH, PRINT, plain_metal
from dabench.render.kit import Kit, Material, Part, place, turned
from dabench.render.mesh import (
    box,
    cylinder,
    lathe,
    quad,
    rotation_x,
    slab,
    sphere,
    superquadric,
    surface,
    torus,
    tube,
)
from dabench.render.toys import clothes, crystal, knot, robot, shoe, solid, teapot, toy


def book(kit: Kit) -> list[Part]:
    """A closed book lying flat."""
    w, d, h = kit.uniform(0.1, 0.22), kit.uniform(0.15, 0.3), kit.uniform(0.01, 0.06)
    cover = kit.material(PRINT, metres=(0.2, 0.3), plain=0.5, kind="diffuse", vivid=0.4)
    pages = Material("diffuse", kit.shade((0.9, 0.87, 0.8), 0.08))
    return [
        (slab(w - 0.01, d, 0.002, h - 0.002, -0.005), pages),
        (slab(w, d, 0, 0.003), cover),
        (slab(w, d, h - 0.003, h), cover),
        (slab(0.004, d, 0, h, w / 2), cover),
    ]


def book_pile(kit: Kit) -> list[Part]:
    """Books stacked askew."""
    parts: list[Part] = []
    z = 0.0
    for _ in range(kit.integer(2, 6)):
        one = book(kit)
        parts += place(one, 0, 0, z, kit.uniform(-0.4, 0.4))
        z += max(float(mesh.vertices[:, 2].max()) for mesh, _ in one)
    return parts


def book_row(kit: Kit, length: float, height: float, depth: float = 0.2) -> list[Part]:
    """Upright books along x from 0 to `length`, spines towards -y, no taller than `height`."""
    parts: list[Part] = []
    covers = [kit.material(PRINT, metres=(0.15, 0.3), plain=0.6, kind="diffuse", vivid=0.4) for _ in range(5)]
    x = 0.0
    while x < length - 0.01:
        w = min(kit.uniform(0.012, 0.06), length - x)
        if kit.chance(0.06):
            x += kit.uniform(0.02, 0.12)
            continue
        h, d = height * kit.uniform(0.55, 0.95), depth * kit.uniform(0.7, 1.0)
        parts.append((box((w * 0.95, d, h), (x + w / 2, d / 2, h / 2)), kit.pick(covers)))
        x += w
    return parts


def bottle(kit: Kit) -> list[Part]:
    """A bottle with a neck and a cap."""
    r, h = kit.uniform(0.025, 0.05), kit.uniform(0.15, 0.33)
    neck, shoulder = r * kit.uniform(0.25, 0.6), h * kit.uniform(0.45, 0.75)
    body = kit.material((), kind="plastic", vivid=0.5)
    label = kit.material(PRINT, metres=(0.1, 0.2), plain=0.2, kind="diffuse", vivid=0.5)
    profile = [(0, 0), (r, 0), (r, shoulder), (r * 0.85, shoulder + 0.05 * h), (neck, shoulder + 0.2 * h), (neck, h)]
    return [
        (lathe(profile, 14), body),
        (lathe([(r * 1.01, shoulder * 0.25), (r * 1.01, shoulder * 0.8)], 14), label),
        (cylinder(neck * 1.15, h, h + 0.03, 10), kit.material((), kind="plastic", vivid=0.5)),
    ]


def vase(kit: Kit) -> list[Part]:
    """A turned vessel: vase, jar or urn, sometimes with twigs."""
    h, r = kit.uniform(0.1, 0.4), kit.uniform(0.04, 0.12)
    t = np.linspace(0, 1, 10)
    bulge = r * (0.55 + 0.45 * np.sin(t * np.pi * kit.uniform(0.7, 1.4) + kit.uniform(-0.3, 0.6)))
    profile = [
        (0.0, 0.0),
        *[(float(b), float(a * h)) for a, b in zip(t, bulge, strict=True)],
        (float(bulge[-1]) * 0.8, h * 0.9),
    ]
    parts: list[Part] = [(lathe(profile, 18), kit.material(ANY, metres=(0.2, 0.6), plain=0.5, vivid=0.35))]
    if kit.chance(0.4):
        stem = kit.material((), kit.colour((0.1, 0.5)), kind="diffuse")
        leaf = kit.material((), kit.colour((0.3, 0.8), 0.6), kind="diffuse")
        for _ in range(kit.integer(3, 9)):
            tip = np.array([*kit.around(0.12), h + kit.uniform(0.1, 0.4)])
            path = np.array([[0, 0, h * 0.7], tip * [0.3, 0.3, 0] + [0, 0, (h + tip[2]) / 2], tip])
            parts.append((tube(path, [0.004, 0.003, 0.002], 4), stem))
            parts.append((sphere(kit.uniform(0.012, 0.03), 6).moved(tip), leaf))
    return parts


def cup(kit: Kit) -> list[Part]:
    """A mug with a handle."""
    r, h = kit.uniform(0.03, 0.05), kit.uniform(0.06, 0.13)
    paint = kit.material(PRINT, metres=(0.1, 0.3), plain=0.6, kind="plastic", vivid=0.4)
    top = r * kit.uniform(0.9, 1.35)
    body = lathe([(0, 0), (r, 0), (top, h), (top * 0.93, h), (r * 0.9, h * 0.1), (0, h * 0.1)], 16)
    parts: list[Part] = [(body, paint)]
    if kit.chance(0.7):
        ring = torus(h * 0.3, 0.006, 12).rotated(rotation_x(np.pi / 2), (top + h * 0.12, 0, h * 0.5))
        parts.append((ring, paint))
    return parts


def bowl(kit: Kit) -> list[Part]:
    """A bowl, sometimes with fruit."""
    r, h = kit.uniform(0.07, 0.18), kit.uniform(0.04, 0.11)
    t = np.linspace(0, np.pi / 2, 7)
    profile = [(float(r * np.sin(a)), float(h * (1 - np.cos(a)))) for a in t]
    inner = [(x * 0.94, z + 0.006) for x, z in reversed(profile)]
    parts: list[Part] = [(lathe(profile + inner, 20), kit.material(ANY, metres=(0.2, 0.5), plain=0.6, kind="plastic"))]
    if kit.chance(0.6):
        fruit = kit.material((), kit.colour((0.5, 0.95), 0.9), kind="plastic")
        for _ in range(kit.integer(2, 6)):
            size = r * kit.uniform(0.25, 0.4)
            parts.append((sphere(size, 12).moved((*kit.around(r * 0.35), h * 0.6 + size * 0.6)), fruit))
    return parts


def plate(kit: Kit) -> list[Part]:
    """A dinner plate."""
    r = kit.uniform(0.09, 0.15)
    paint = kit.material(ANY, metres=(0.2, 0.4), plain=0.6, kind="plastic")
    return [(lathe([(r * 0.6, 0), (r, 0.02), (r * 0.97, 0.023), (r * 0.6, 0.006), (0, 0.006)], 22), paint)]


def carton(kit: Kit) -> list[Part]:
    """A box: parcel, cereal packet, appliance; prints on it."""
    size = kit.rng.uniform(0.05, 0.35, 3)
    paper = kit.colour() if kit.chance(0.6) else kit.shade((0.68, 0.53, 0.36), 0.2)
    body = kit.material((*PRINT, "clouds"), paper, metres=(0.15, 0.5), plain=0.35, kind="diffuse")
    parts: list[Part] = [(slab(size[0], size[1], 0, size[2]), body)]
    if kit.chance(0.35):
        tape = kit.material((), kind="diffuse")
        parts.append((slab(size[0] * 0.15, size[1] + 0.002, 0, size[2] + 0.002), tape))
    return parts


def ball(kit: Kit) -> list[Part]:
    """A ball."""
    r = kit.uniform(0.03, 0.14)
    return [(sphere(r, 20).moved((0, 0, r)), kit.material(ANY, metres=(0.1, 0.5), plain=0.4, vivid=0.6))]


def can(kit: Kit) -> list[Part]:
    """A tin can or a storage jar."""
    r, h = kit.uniform(0.03, 0.07), kit.uniform(0.07, 0.2)
    label = kit.material(PRINT, metres=(0.1, 0.25), plain=0.3, vivid=0.5)
    return [(cylinder(r, 0.004, h - 0.004, 18), label), (cylinder(r * 1.02, h - 0.012, h, 18), plain_metal(kit))]


def tool_jar(kit: Kit) -> list[Part]:
    """A jar with pens, brushes or spoons sticking out."""
    r, h = kit.uniform(0.035, 0.07), kit.uniform(0.08, 0.17)
    side = lathe([(0, 0), (r, 0), (r, h), (r * 0.93, h), (r * 0.9, 0.01)], 14)
    parts: list[Part] = [(side, kit.material(ANY, plain=0.6))]
    for _ in range(kit.integer(3, 8)):
        tip = np.array([*kit.around(r * 0.9), h * kit.uniform(1.3, 2.2)])
        stick = kit.material((), kind="diffuse", vivid=0.4)
        parts.append((tube(np.array([[0, 0, 0.02], tip]), 0.004, 5), stick))
        if kit.chance(0.5):
            parts.append((superquadric((0.018, 0.008, 0.03), 1, 1, 8).moved(tip), stick))
    return parts


def laptop(kit: Kit) -> list[Part]:
    """An open laptop, screen facing -y."""
    w, d = kit.uniform(0.28, 0.38), kit.uniform(0.2, 0.26)
    shell = kit.material((), kit.colour((0.1, 0.8), 0.05), kind="plastic")
    keys = kit.material(("checker",), (0.12, 0.12, 0.13), metres=(0.06, 0.1), plain=0.0, kind="diffuse", contrast=0.8)
    tilt = rotation_x(kit.uniform(-0.5, 0.0))
    screen = Material("diffuse", kit.colour(), kit.colour((0.6, 1.0)), None, kit.texture(PRINT), 1.0)
    glow = quad((-w / 2 + 0.01, -0.006, 0.01), (w - 0.02, 0, 0), (0, 0, d - 0.02)).unit_uv()
    lid = [(box((w, 0.01, d), (0, 0, d / 2)), shell), (glow, screen)]
    return [
        (slab(w, d, 0, 0.015), shell),
        (slab(w * 0.9, d * 0.55, 0.015, 0.017, 0, 0.03), keys),
        *turned(lid, tilt, (0, d / 2, 0.015)),
    ]


def papers(kit: Kit) -> list[Part]:
    """Loose sheets."""
    sheet = Material(
        "diffuse", (0.1, 0.1, 0.1), kit.shade((0.92, 0.92, 0.9), 0.06), None, kit.texture(("glyphs",)), 1.0
    )
    parts: list[Part] = []
    for number in range(kit.integer(1, 5)):
        mesh = quad((-0.105, -0.148, 0), (0.21, 0, 0), (0, 0.297, 0)).unit_uv()
        parts.append((mesh.moved((*kit.around(0.05), 0.001 + 0.001 * number), kit.uniform(-0.6, 0.6)), sheet))
    return parts


def table_lamp(kit: Kit) -> list[Part]:
    """A lamp with a shade; the shade glows in half of the cases."""
    h, r = kit.uniform(0.25, 0.55), kit.uniform(0.08, 0.18)
    base = kit.material(ANY, metres=(0.2, 0.6), plain=0.6, kind="plastic")
    foot = lathe(
        [(0, 0), (r * 0.6, 0), (r * 0.55, 0.02), (0.015, 0.05), (kit.uniform(0.02, 0.08), h * 0.3), (0.012, h * 0.6)],
        14,
    )
    colour = kit.shade((0.95, 0.87, 0.7), 0.15)
    shade = Material("glow", colour, radiance=kit.uniform(1, 6)) if kit.chance(0.5) else kit.material(CLOTH, colour)
    top = r * kit.uniform(0.5, 1.0)
    return [(foot, base), (lathe([(r, h * 0.6), (top, h)], 20), shade)]


def plant(kit: Kit) -> list[Part]:
    """A potted plant with arching leaves."""
    r = kit.uniform(0.05, 0.16)
    pot = lathe([(0, 0), (r * 0.7, 0), (r, r * 1.6), (r * 0.9, r * 1.6), (r * 0.85, r * 1.4), (0, r * 1.4)], 16)
    parts: list[Part] = [(pot, kit.material(ANY, plain=0.6))]
    green = kit.shade(kit.pick([(0.2, 0.4, 0.15), (0.35, 0.5, 0.2), (0.15, 0.3, 0.18), (0.5, 0.5, 0.2)]), 0.3)
    leaf = Material("diffuse", green, kit.shade(green, 0.5), None, kit.texture(("clouds", "stripes", "leaves")), 0.3)
    length = r * kit.uniform(1.5, 5)
    for _ in range(kit.integer(8, 26)):
        yaw, lift, droop = kit.heading(), kit.uniform(0.3, 1.4), kit.uniform(0.2, 1.2)
        t = np.linspace(0, 1, 6)
        out, up = t * length * np.cos(lift), r * 1.4 + length * (np.sin(lift) * t - droop * 0.5 * t * t)
        width = 0.16 * length * np.sin(np.pi * np.clip(t * 0.92 + 0.04, 0, 1)) * kit.uniform(0.4, 1.0)
        points = np.stack([np.stack([out, -width, up], 1), np.stack([out, width, up], 1)], 1)
        parts.append((surface(points).moved((0, 0, 0), yaw), leaf))
    return parts


PROPS: dict[str, Callable[[Kit], list[Part]]] = {
    "book": book,
    "book_pile": book_pile,
    "bottle": bottle,
    "vase": vase,
    "cup": cup,
    "bowl": bowl,
    "plate": plate,
    "carton": carton,
    "ball": ball,
    "can": can,
    "tool_jar": tool_jar,
    "laptop": laptop,
    "papers": papers,
    "table_lamp": table_lamp,
    "plant": plant,
    "clothes": clothes,
    "solid": solid,
    "toy": toy,
    "shoe": shoe,
    "teapot": teapot,
    "robot": robot,
    "knot": knot,
    "crystal": crystal,
}


def any_prop(kit: Kit, only: tuple[str, ...] | None = None) -> list[Part]:
    """A random small object."""
    return PROPS[kit.choose(list(only or PROPS))](kit)


def extent(parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner [3] of parts."""
    low = np.min([mesh.vertices.min(axis=0) for mesh, _ in parts], axis=0)
    high = np.max([mesh.vertices.max(axis=0) for mesh, _ in parts], axis=0)
    return low, high


def scatter(
    kit: Kit,
    count: int,
    x: tuple[float, float],
    y: tuple[float, float],
    z: float,
    tallest: float = 9.0,
    only: tuple[str, ...] | None = None,
) -> list[Part]:
    """Up to `count` props on a horizontal surface, without overlap where there is room."""
    parts: list[Part] = []
    taken: list[tuple[float, float, float]] = []
    for _ in range(count):
        prop = place(any_prop(kit, only), 0, 0, 0, kit.heading())
        low, high = extent(prop)
        radius = float(max(high[:2].max(), -low[:2].min()))
        scale = min(1.0, tallest / max(float(high[2]), 1e-3), 0.5 * (y[1] - y[0]) / max(radius, 1e-3))
        radius *= scale
        for _ in range(6):
            px = kit.uniform(x[0] + radius * 0.7, max(x[0] + radius * 0.7 + 1e-3, x[1] - radius * 0.7))
            py = kit.uniform(y[0] + radius * 0.7, max(y[0] + radius * 0.7 + 1e-3, y[1] - radius * 0.7))
            if all(np.hypot(px - a, py - b) > 0.8 * (radius + r) for a, b, r in taken):
                taken.append((px, py, radius))
                parts += place(prop, px, py, z, scale=scale)
                break
    return parts
