"""Plants, stones, terrain and sea life, standing on z = 0 around the origin unless said otherwise."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Colour, Kit, Material, Part, place, turned
from dabench.render.mesh import (
    Mesh,
    cylinder,
    height_field,
    lathe,
    random_rotation,
    rock,
    rotation_x,
    rotation_z,
    slab,
    sphere,
    superquadric,
    surface,
    torus,
    tube,
)
from dabench.render.patterns import spectral_noise

GREENS: tuple[Colour, ...] = (
    (0.25, 0.4, 0.15),
    (0.35, 0.45, 0.18),
    (0.18, 0.32, 0.16),
    (0.5, 0.5, 0.2),
    (0.6, 0.4, 0.15),
    (0.45, 0.22, 0.15),
)


def bark(kit: Kit) -> Material:
    """Bark."""
    return kit.material(
        ("wood", "clouds"), kit.shade((0.36, 0.28, 0.2), 0.4), metres=(0.3, 1.0), plain=0.1, kind="diffuse"
    )


def foliage(kit: Kit) -> Material:
    """Leaves seen as a mass."""
    green = kit.shade(kit.pick(GREENS), 0.35)
    return Material(
        "diffuse",
        kit.shade((green[0] * 0.35, green[1] * 0.35, green[2] * 0.35), 0.2),
        green,
        None,
        kit.texture(("foliage", "speckle", "foliage", "leaves")),
        kit.uniform(0.6, 2.0),
    )


def branches(kit: Kit, height: float, count: int) -> tuple[list[Part], list[np.ndarray]]:
    """A bent trunk with side branches, and the branch tips [3]."""
    wood = bark(kit)
    t = np.linspace(0, 1, 7)
    sway = kit.rng.normal(0, 0.06 * height, (7, 2)).cumsum(axis=0) * 0.4 * t[:, None]
    trunk = np.column_stack([sway, t * height])
    thick = height * kit.uniform(0.015, 0.035)
    parts: list[Part] = [(tube(trunk, thick * (1.15 - t), 8), wood)]
    tips = [trunk[-1]]
    for _ in range(count):
        k = kit.integer(2, 5)
        yaw, lift, length = kit.heading(), kit.uniform(0.1, 1.1), height * kit.uniform(0.15, 0.4)
        way = np.array([np.cos(yaw) * np.cos(lift), np.sin(yaw) * np.cos(lift), np.sin(lift)])
        tip = trunk[k] + way * length
        middle = trunk[k] + way * length * 0.5 + kit.rng.normal(0, 0.04 * height, 3)
        parts.append((tube(np.array([trunk[k], middle, tip]), [thick * 0.5, thick * 0.35, thick * 0.1], 6), wood))
        tips.append(tip)
    return parts, tips


def broadleaf(kit: Kit) -> list[Part]:
    """A tree with a crown of leafy lumps."""
    height = kit.uniform(3, 9)
    parts, tips = branches(kit, height * 0.75, kit.integer(3, 8))
    leaves = foliage(kit)
    for tip in tips:
        lump = rock(kit.rng, height * kit.uniform(0.12, 0.24), 0.22, 14)
        parts.append((lump.moved(tip), leaves))
    return parts


def bare_tree(kit: Kit) -> list[Part]:
    """A leafless tree."""
    return branches(kit, kit.uniform(2.5, 8), kit.integer(10, 22))[0]


def conifer(kit: Kit) -> list[Part]:
    """Stacked ragged cones."""
    height = kit.uniform(3, 10)
    parts: list[Part] = [(cylinder(height * 0.025, 0, height * 0.3, 8), bark(kit))]
    leaves, tiers = foliage(kit), kit.integer(3, 6)
    for k in range(tiers):
        z = height * (0.12 + 0.8 * k / tiers)
        r = height * 0.24 * (1 - 0.75 * k / tiers)
        parts.append((lathe([(r, z), (r * 0.6, z + 0.12 * height), (0.01, z + height * 0.3)], 10), leaves))
    return parts


def poplar(kit: Kit) -> list[Part]:
    """A tall slim tree."""
    height = kit.uniform(5, 12)
    crown = superquadric((height * 0.09, height * 0.09, height * 0.42), 1, 1, 18).moved((0, 0, height * 0.55))
    return [(cylinder(height * 0.02, 0, height * 0.3, 8), bark(kit)), (crown, foliage(kit))]


def bush(kit: Kit) -> list[Part]:
    """A few leafy lumps on the ground."""
    leaves = foliage(kit)
    parts: list[Part] = []
    for _ in range(kit.integer(1, 4)):
        lump = rock(kit.rng, kit.uniform(0.25, 0.7), 0.25, 14)
        parts.append((lump.moved((*kit.around(0.4), 0.3)), leaves))
    return parts


def palm(kit: Kit) -> list[Part]:
    """A palm with drooping fronds."""
    height = kit.uniform(3, 8)
    parts: list[Part] = [
        (tube(np.array([[0, 0, 0], [0.2, 0.1, height / 2], [0.1, 0.4, height]]), [0.16, 0.13, 0.1], 8), bark(kit))
    ]
    leaves, t = foliage(kit), np.linspace(0, 1, 7)
    for _ in range(kit.integer(7, 13)):
        lift, length = kit.uniform(0, 0.9), kit.uniform(1.2, 2.4)
        out, up = t * length * np.cos(lift), length * (np.sin(lift) * t - 0.7 * t * t)
        wide = 0.25 * np.sin(np.pi * np.clip(t * 0.9 + 0.05, 0, 1))
        frond = surface(
            np.stack(
                [
                    np.stack([out, -wide, up - 0.1], 1),
                    np.stack([out, 0 * t, up], 1),
                    np.stack([out, wide, up - 0.1], 1),
                ],
                1,
            )
        )
        parts.append((frond.moved((0.1, 0.4, height), kit.heading()), leaves))
    return parts


TREES = {
    "broadleaf": broadleaf,
    "bare_tree": bare_tree,
    "conifer": conifer,
    "poplar": poplar,
    "bush": bush,
    "palm": palm,
}


def tree(kit: Kit) -> list[Part]:
    """Any plant of tree or bush size."""
    return TREES[kit.choose(TREES)](kit)


def stone(kit: Kit, low: float = 0.2, high: float = 1.2) -> list[Part]:
    """A boulder partly in the ground."""
    radius = kit.uniform(low, high)
    grey = kit.shade(kit.pick([(0.45, 0.43, 0.4), (0.5, 0.42, 0.33), (0.3, 0.3, 0.3), (0.6, 0.55, 0.5)]), 0.3)
    skin = kit.material(("clouds", "speckle", "marble"), grey, metres=(0.5, 2.0), plain=0.05, kind="diffuse")
    return [(rock(kit.rng, radius, kit.uniform(0.1, 0.35), 24).moved((0, 0, radius * 0.3)), skin)]


def relief(kit: Kit, cells: int, size: float, height: float, slope: float = 1.8) -> np.ndarray:
    """Random ground heights [cells, cells] in metres over a square of `size` metres, 0..height."""
    noise = spectral_noise(kit.rng, slope, 1.0, 128)
    index = np.linspace(0, 127, cells).astype(int)
    return np.asarray(noise[np.ix_(index, index)] * height, dtype=float)


def height_at(heights: np.ndarray, size: float, x: float, y: float) -> float:
    """Ground height (m) of a square height field centred on the origin, nearest cell."""
    n = heights.shape[0] - 1
    row, column = np.clip(np.rint((np.array([y, x]) / size + 0.5) * n), 0, n).astype(int)
    return float(heights[row, column])


def ground(heights: np.ndarray, size: float) -> Mesh:
    """The terrain mesh of `relief`."""
    return height_field(heights, (size, size))


def coral(kit: Kit) -> list[Part]:
    """Branching coral, brain coral, a fan, tubes or a table."""
    paint = kit.material(
        ("speckle", "clouds", "stripes", "foliage", "voronoi"),
        kit.colour((0.4, 0.95), 0.7),
        metres=(0.1, 0.6),
        plain=0.2,
        kind="diffuse",
    )
    kind, size = kit.pick(["branch", "brain", "fan", "tubes", "table"]), kit.uniform(0.2, 0.8)
    parts: list[Part] = []
    if kind == "branch":
        for _ in range(kit.integer(5, 14)):
            lean = kit.rng.normal(0, 0.5, 2) * size
            tip = np.array([*lean, size * kit.uniform(0.5, 1.2)])
            parts.append(
                (
                    tube(
                        np.array([[0, 0, -0.05], [*(lean * 0.3), tip[2] * 0.5], tip]),
                        np.array([0.09, 0.06, 0.03]) * size,
                        7,
                    ),
                    paint,
                )
            )
    elif kind == "brain":
        parts.append((rock(kit.rng, size * 0.6, 0.1, 22), paint))
    elif kind == "fan":
        t = np.linspace(0, np.pi, 16)
        reach = size * (0.7 + 0.3 * kit.rng.random(16))
        sheet = np.stack(
            [
                np.stack([f * reach * np.cos(t), 0.05 * np.sin(4 * t) * f, f * reach * np.sin(t)], 1)
                for f in (0.05, 0.5, 1.0)
            ]
        )
        parts.append((surface(sheet).moved((0, 0, 0), kit.heading()), paint))
    elif kind == "tubes":
        for _ in range(kit.integer(3, 8)):
            r, h = size * kit.uniform(0.08, 0.18), size * kit.uniform(0.5, 1.3)
            hollow = lathe([(r * 0.7, 0), (r, h), (r * 0.7, h), (r * 0.5, h * 0.5)], 12)
            parts.append((hollow.moved((*kit.around(0.2 * size), -0.05)), paint))
    else:
        parts += [
            (cylinder(0.08 * size, -0.1, 0.4 * size, 8), paint),
            (rock(kit.rng, size * 0.7, 0.12, 18).stretched((1, 1, 0.15)).moved((0, 0, 0.4 * size)), paint),
        ]
    return parts


def kelp(kit: Kit) -> list[Part]:
    """Ribbons swaying upwards."""
    leaf, t = foliage(kit), np.linspace(0, 1, 10)
    parts: list[Part] = []
    for _ in range(kit.integer(3, 9)):
        height, width, phase = kit.uniform(0.6, 3.0), kit.uniform(0.03, 0.12), kit.heading()
        x, y = kit.rng.normal(0, 0.25, 2)
        sway = 0.15 * np.sin(t * 6 + phase) * t
        middle = np.stack([x + sway, y + 0.5 * sway, t * height], 1)
        side = np.array([np.cos(phase), np.sin(phase), 0]) * width
        parts.append((surface(np.stack([middle - side, middle + side], 1)), leaf))
    return parts


def fish(kit: Kit) -> list[Part]:
    """A fish around the origin, heading +x."""
    length, tall = kit.uniform(0.12, 0.7), kit.uniform(0.18, 0.5)
    paint = kit.material(
        ("stripes", "clouds", "speckle", "polka"),
        kit.colour((0.4, 1.0), 0.6),
        metres=(0.1, 0.5),
        plain=0.4,
        kind="diffuse",
    )
    t = np.linspace(0, 1, 9)
    body = (
        lathe([(0.5 * tall * float(np.sin(np.pi * a) ** 0.8 + 0.02), float(a - 0.5)) for a in t], 14)
        .rotated(np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]))
        .stretched((1, 0.45, 1))
    )
    tail = surface(
        np.array([[[-0.45, 0, 0], [-0.45, 0, 0.01]], [[-0.72, 0, -tall * 0.5], [-0.72, 0, tall * 0.5]]], dtype=float)
    )
    fin = surface(
        np.array(
            [[[-0.2, 0, tall * 0.4], [0.2, 0, tall * 0.4]], [[-0.3, 0, tall * 0.75], [0.0, 0, tall * 0.65]]],
            dtype=float,
        )
    )
    pitch = rotation_x(kit.uniform(-0.2, 0.2))
    return [(m.rotated(pitch, scale=length), paint) for m in (body, tail, fin)]


def manta(kit: Kit) -> list[Part]:
    """A ray: a wide thin wing and a tail, heading +x."""
    span = kit.uniform(0.8, 2.4)
    u, v = np.meshgrid(np.linspace(-1, 1, 17), np.linspace(-1, 1, 9))
    chord = 0.55 * (1 - np.abs(u)) ** 0.7 + 0.02
    flap = kit.uniform(-0.3, 0.3) * u * u
    thick = 0.09 * (1 - np.abs(u)) * (1 - v * v)
    paint = kit.material(("clouds", "speckle"), kit.colour((0.15, 0.5), 0.1), metres=(0.5, 1.5), kind="diffuse")
    sheets = [surface(np.stack([chord * v - 0.3 * np.abs(u), u, flap + s * thick], -1)) for s in (1, -1)]
    tail = tube(np.array([[-0.5, 0, 0], [-1.0, 0, 0.03], [-1.5, 0, 0]]), [0.03, 0.02, 0.008], 6)
    return [(m.rotated(np.eye(3), scale=span / 2), paint) for m in (*sheets, tail)]


def jelly(kit: Kit) -> list[Part]:
    """A jellyfish: a bell with tentacles."""
    r = kit.uniform(0.1, 0.35)
    paint = kit.material(("clouds",), kit.colour((0.6, 1.0), 0.5), kind="diffuse")
    parts: list[Part] = [(lathe([(r, 0), (r * 0.95, r * 0.4), (r * 0.6, r * 0.8), (0, r)], 18), paint)]
    for _ in range(kit.integer(5, 10)):
        x, y = kit.rng.normal(0, r * 0.5, 2)
        path = np.array([[x, y, 0.1 * r], [x * 1.3, y * 1.2, -r], [x * 0.8, y * 1.5, -r * 2.2]])
        parts.append((tube(path, [0.03 * r * 2, 0.03 * r, 0.01 * r], 5), paint))
    return turned(parts, random_rotation(kit.rng))


def starfish(kit: Kit) -> list[Part]:
    """A five-armed star lying flat."""
    r = kit.uniform(0.1, 0.3)
    a = np.linspace(0, 2 * np.pi, 41)
    edge = r * (0.6 + 0.4 * np.cos(5 * a))
    rings = [
        np.stack([f * edge * np.cos(a), f * edge * np.sin(a), np.full(41, h * r)], 1)
        for f, h in ((1, 0), (0.8, 0.12), (0.3, 0.22), (0.01, 0.25))
    ]
    return [
        (
            surface(np.stack(rings), close_u=True),
            kit.material(("speckle", "polka"), kit.colour((0.4, 0.95), 0.8), metres=(0.1, 0.3)),
        )
    ]


def wreckage(kit: Kit) -> list[Part]:
    """Man-made things on the sea bed: a column, ribs, an amphora, a ring."""
    skin = kit.material(
        ("clouds", "wood", "speckle"), kit.shade((0.4, 0.4, 0.35), 0.4), metres=(0.4, 1.5), plain=0.1, kind="diffuse"
    )
    kind = kit.pick(["column", "ribs", "amphora", "ring", "block"])
    if kind == "column":
        return turned([(cylinder(0.3, -0.5, kit.uniform(1, 3), 18), skin)], rotation_x(kit.uniform(-0.6, 0.6)))
    if kind == "ribs":
        return [
            (torus(kit.uniform(0.8, 1.4), 0.06, 22).rotated(rotation_x(np.pi / 2), (0, 0.5 * k, 0)), skin)
            for k in range(kit.integer(2, 6))
        ]
    if kind == "amphora":
        shape = lathe([(0, 0), (0.12, 0.1), (0.25, 0.5), (0.12, 0.75), (0.1, 0.95), (0.14, 1.0)], 18)
        return turned([(shape, skin)], rotation_x(kit.uniform(-1.5, 1.5)))
    if kind == "ring":
        return [(torus(0.5, 0.14, 24).rotated(rotation_x(kit.uniform(0, 1.5)), (0, 0, 0.2)), skin)]
    return turned(
        [(slab(kit.uniform(0.3, 1.5), kit.uniform(0.3, 1.0), -0.2, kit.uniform(0.3, 1.2)), skin)],
        rotation_z(kit.heading()),
    )


def scattered(
    kit: Kit,
    makers: list[str],
    build: dict[str, object],
    count: int,
    heights: np.ndarray,
    size: float,
    reach: float,
    scale: tuple[float, float] = (1.0, 1.0),
    keep_clear: float = 0.0,
) -> list[Part]:
    """`count` objects standing on a terrain, within `reach` metres of its middle and outside `keep_clear`."""
    parts: list[Part] = []
    for _ in range(count):
        x, y = kit.uniform(-reach, reach), kit.uniform(-reach, reach)
        if np.hypot(x, y) < keep_clear:
            continue
        maker = build[kit.choose(makers)]
        parts += place(maker(kit), x, y, height_at(heights, size, x, y) - 0.03, kit.heading(), kit.uniform(*scale))  # type: ignore[operator]
    return parts


def ball_float(kit: Kit) -> list[Part]:
    """A buoy or bubble-like ball hanging in the water."""
    return [(sphere(kit.uniform(0.1, 0.4), 16), kit.material(("stripes", "clouds"), vivid=0.6))]
