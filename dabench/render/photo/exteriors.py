"""Outdoor scenes of the photo split: canals, squares, yards, woods, shores, ruins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dabench.render.kit import Camera, Kit, Part, Scene, place
from dabench.render.mesh import cylinder, quad, slab, tube
from dabench.render.photo.buildings import block, colonnade, footbridge, gable_house, ruin_wall
from dabench.render.photo.light import daylight, glance, shot
from dabench.render.photo.palette import SOILS, masonry, metal, skin, stone, timber
from dabench.render.photo.structures import STREET, WORKS, barge, cloaked, fountain, monument, rowing_boat
from dabench.render.photo.terrain import PLANTS, crag, cypress, fallen_log, olive, ridged, soil, sown

Propose = Callable[[np.random.Generator], Camera]


def _scene(kit: Kit, parts: list[Part], propose: Propose) -> Scene:
    scene = Scene(parts)
    daylight(kit, scene)
    scene.propose = propose
    return scene


def _tilt(rng: np.random.Generator) -> float:
    """A pitch in radians: level mostly, sometimes well up or down."""
    kind = rng.random()
    return float(
        np.radians(rng.normal(-1, 6) if kind < 0.65 else rng.uniform(8, 35) if kind < 0.85 else rng.uniform(-40, -8))
    )


def canal_scene(kit: Kit) -> Scene:
    """Water along y between quays with narrow houses, boats and humped bridges."""
    kit.families.add("canal")
    half, quay, length = kit.uniform(4, 8), kit.uniform(2.5, 5), kit.uniform(50, 110)
    water = skin(
        kit, kit.pick([(0.2, 0.28, 0.25), (0.15, 0.22, 0.28), (0.35, 0.36, 0.3)]), ("sand_ripples",), (3, 9), 0.22
    )
    paving, wall = skin(kit, (0.5, 0.46, 0.42), ("ashlar", "gravel", "hexagons"), (1.2, 3.0), 0.35), masonry(kit)
    drop = kit.uniform(0.7, 1.6)
    parts: list[Part] = [(quad((-half, -30, -drop), (2 * half, 0, 0), (0, length + 60, 0)), water)]
    for s in (-1, 1):
        x = s * (half + quay / 2)
        parts.append((slab(quay + 30, length + 60, -0.02, 0.0, x + s * 15, length / 2), paving))
        parts.append((slab(0.35, length + 60, -drop - 0.5, 0.12, s * (half + 0.17), length / 2), wall))
        y = -14.0
        while y < length:
            w = kit.uniform(4, 8)
            if kit.chance(0.1):
                house = block(kit, 2 * w, 9, kit.uniform(9, 20))
                w *= 2
            else:
                house = gable_house(kit, w, kit.uniform(7, 11), kit.uniform(6, 14), detail=y < 40)
            parts += place(house, s * (half + quay), y + w / 2, 0, -s * np.pi / 2)
            y += w + (kit.uniform(1, 4) if kit.chance(0.1) else 0.02)
        for _ in range(kit.integer(4, 10)):
            name = kit.choose(STREET)
            at = half + quay * kit.uniform(0.25, 0.8)
            parts += place(STREET[name](kit), s * at, kit.uniform(-3, 36), 0, -s * np.pi / 2 + kit.uniform(-0.5, 0.5))
        for y in np.arange(-4, 45, kit.uniform(5, 9)):
            if kit.chance(0.5):
                kit.families.add("cypress")
                parts += place(kit.pick([cypress, olive])(kit), s * (half + 0.9), float(y) + kit.uniform(-1, 1), 0)
            parts.append((cylinder(0.1, 0, 0.7, 10).moved((s * (half + 0.6), float(y) + 2, 0)), metal(kit)))
    for _ in range(kit.integer(2, 7)):
        boat = kit.pick([barge, rowing_boat])
        kit.families.add(boat.__name__)
        x = kit.pick([-1, 1]) * (half - kit.uniform(1.2, 2.5))
        parts += place(boat(kit), x, kit.uniform(2, 40), -drop - 0.05, np.pi / 2 + kit.rng.normal(0, 0.08))
    for _ in range(kit.integer(0, 2)):
        kit.families.add("footbridge")
        parts += place(footbridge(kit, 2 * half + 1.5), 0, kit.uniform(8, 45), 0.0)

    def propose(rng: np.random.Generator) -> Camera:
        s = float(rng.choice([-1.0, 1.0]))
        eye = np.array([s * (half + rng.uniform(-0.2, 0.8) * quay), rng.uniform(-6, 12), rng.uniform(1.2, 2.1)])
        if rng.random() < 0.2:  # from a boat
            eye = np.array([rng.uniform(-0.3, 0.3) * half, rng.uniform(-4, 8), -drop + rng.uniform(0.7, 1.4)])
        if rng.random() < 0.2:  # from a window
            eye[2] = rng.uniform(4, 9)
        yaw = rng.normal(s * 0.25, 0.35) if rng.random() < 0.7 else s * np.pi / 2 + rng.normal(0, 0.5)
        return glance(eye, yaw, _tilt(rng), rng)

    return _scene(kit, parts, propose)


def plaza_scene(kit: Kit) -> Scene:
    """A square with arcades and houses around, a fountain or monument, parasols, people."""
    kit.families.add("plaza")
    r = kit.uniform(12, 26)
    ground = skin(
        kit,
        kit.pick([(0.6, 0.56, 0.5), (0.5, 0.48, 0.46)]),
        ("ashlar", "hexagons", "gravel", "terrazzo"),
        (1.5, 4.0),
        0.3,
    )
    parts: list[Part] = [(quad((-120, -120, 0), (240, 0, 0), (0, 240, 0)), ground)]
    for side in range(4):
        if kit.chance(0.12):
            continue
        line: list[Part] = []
        if kit.chance(0.4):
            kit.families.add("colonnade")
            line += place(colonnade(kit, 2 * r - 3, kit.uniform(3.5, 6)), 0, -1.5)
        x = -r
        while x < r:
            w = kit.uniform(5, 12)
            house = (
                gable_house(kit, w, 10, kit.uniform(7, 16))
                if kit.chance(0.55)
                else block(kit, w, 11, kit.uniform(8, 24))
            )
            line += place(house, x + w / 2, 1.6)
            x += w + (kit.uniform(2, 5) if kit.chance(0.2) else 0.02)
        yaw = side * np.pi / 2
        parts += place(line, float(-np.sin(yaw) * r), float(np.cos(yaw) * r), 0, yaw)
    centre = kit.pick([fountain, monument, fountain])
    kit.families.add(centre.__name__)
    parts += place(centre(kit), *kit.around(1.5), 0, kit.heading(), kit.uniform(1.0, 1.5))
    taken: list[np.ndarray] = [np.zeros(2)]
    for _ in range(kit.integer(10, 30)):
        at = kit.rng.uniform(-0.8, 0.8, 2) * r
        if min(np.hypot(*(at - other)) for other in taken) < 2.6:
            continue
        taken.append(at)
        parts += place(STREET[kit.choose([*STREET, "cloaked"])](kit), float(at[0]), float(at[1]), 0, kit.heading())
    kit.families.add("olive")
    for _ in range(kit.integer(0, 6)):
        at = kit.rng.uniform(-0.85, 0.85, 2) * r
        if min(np.hypot(*(at - other)) for other in taken) > 3:
            parts += place(kit.pick([olive, cypress])(kit), float(at[0]), float(at[1]), 0, kit.heading())

    def propose(rng: np.random.Generator) -> Camera:
        for _ in range(30):
            at = rng.uniform(-0.85, 0.85, 2) * r
            if min(np.hypot(*(at - other)) for other in taken) > 1.4:
                break
        eye = np.array([at[0], at[1], rng.uniform(1.0, 2.0) if rng.random() < 0.8 else rng.uniform(5, 11)])
        target = taken[int(rng.integers(len(taken)))] if rng.random() < 0.6 else rng.uniform(-0.3, 0.3, 2) * r
        yaw = np.arctan2(-(target[0] - at[0]), target[1] - at[1]) + rng.normal(0, 0.15)
        return glance(eye, float(yaw), _tilt(rng) if eye[2] < 3 else float(np.radians(rng.uniform(-35, -8))), rng)

    return _scene(kit, parts, propose)


def yard_scene(kit: Kit) -> Scene:
    """A works yard: containers, tanks, cranes, pipes, sheds, puddled concrete."""
    kit.families.add("yard")
    ground = skin(kit, kit.pick(SOILS), ("concrete", "gravel", "cracked"), (3, 9), 0.3)
    parts: list[Part] = [(quad((-150, -150, 0), (300, 0, 0), (0, 300, 0)), ground)]
    taken: list[tuple[float, float, float]] = []
    for _ in range(kit.integer(14, 34)):
        piece = WORKS[kit.choose(WORKS)](kit)
        radius = float(max(np.abs(mesh.vertices[:, :2]).max() for mesh, _ in piece)) * 0.8
        for _ in range(6):
            x, y = kit.uniform(-28, 28), kit.uniform(-22, 36)
            if np.hypot(x, y) > radius + 2.5 and all(np.hypot(x - a, y - b) > radius + c for a, b, c in taken):
                taken.append((x, y, radius))
                parts += place(piece, x, y, 0, kit.integer(0, 3) * np.pi / 2 + kit.rng.normal(0, 0.08))
                break
    shed = skin(kit, kit.pick([(0.55, 0.55, 0.55), (0.4, 0.47, 0.5), (0.6, 0.42, 0.32)]), ("corrugated",), (2, 4), 0.25)
    for s in (-1, 1):
        if kit.chance(0.7):
            parts.append((slab(14, 50, 0, kit.uniform(6, 11), s * kit.uniform(36, 42), 10), shed))
    parts += place(
        block(kit, kit.uniform(14, 30), 14, kit.uniform(8, 25)), kit.uniform(-15, 15), kit.uniform(42, 60), 0
    )
    if kit.chance(0.5):
        post = metal(kit)
        for x in np.arange(-30, 30, 3.0):
            parts.append((cylinder(0.04, 0, 2.4, 6).moved((float(x), -8, 0)), post))
        for z in (0.3, 1.2, 2.3):
            parts.append((tube(np.array([[-30, -8, z], [30, -8, z]]), 0.02, 5), post))

    def propose(rng: np.random.Generator) -> Camera:
        for _ in range(40):
            x, y = rng.uniform(-18, 18), rng.uniform(-12, 20)
            if all(np.hypot(x - a, y - b) > c + 0.6 for a, b, c in taken):
                break
        eye = np.array([x, y, rng.uniform(0.8, 2.2) if rng.random() < 0.75 else rng.uniform(3, 8)])
        if taken and rng.random() < 0.7:
            a, b, c = taken[int(rng.integers(len(taken)))]
            return shot(eye, np.array([a, b, rng.uniform(0.3, 1.0) * min(c, 3)]), rng)
        return glance(eye, rng.uniform(0, 2 * np.pi), _tilt(rng), rng)

    return _scene(kit, parts, propose)


def woods_scene(kit: Kit) -> Scene:
    """Tall trunks on uneven ground, ferns, logs, crags, a path or a hut."""
    kit.families.add("woods")
    land = ridged(kit, 100, kit.uniform(80, 130), kit.uniform(1.5, 9), kit.uniform(1.8, 2.4))
    parts: list[Part] = [(land.mesh(), soil(kit, ("leaf_litter", "turf", "leaf_litter")))]
    tall = {name: PLANTS[name] for name in ("pine_trunk", "pine_trunk", "cypress", "olive")}
    if kit.chance(0.7):
        tall = {"pine_trunk": PLANTS["pine_trunk"]}
    parts += sown(kit, tall, kit.integer(40, 110), land, land.size * 0.42, 2.2)
    low = {name: PLANTS[name] for name in ("fern", "fallen_log", "crag", "reeds", "slab_rock")}
    parts += sown(kit, low, kit.integer(20, 50), land, 15, 1.3)
    if kit.chance(0.4):
        x, y = kit.uniform(-9, 9), kit.uniform(7, 14)
        parts += place(gable_house(kit, kit.uniform(3.5, 6), 5, 2.6), x, y, land.at(x, y) - 0.4, kit.heading())
    if kit.chance(0.4):
        x, y = kit.uniform(-5, 5), kit.uniform(3, 8)
        parts += place(STREET["wood_pile"](kit), x, y, land.at(x, y) - 0.05, kit.heading())
    for _ in range(kit.integer(0, 2)):
        x, y = kit.around(4)
        parts += place(cloaked(kit), x, y, land.at(x, y) - 0.03)

    def propose(rng: np.random.Generator) -> Camera:
        x, y = rng.normal(0, 2.0, 2)
        eye = np.array([x, y, land.at(x, y) + (rng.uniform(0.3, 0.8) if rng.random() < 0.3 else rng.uniform(1.2, 2.0))])
        return glance(eye, rng.uniform(0, 2 * np.pi), _tilt(rng), rng)

    return _scene(kit, parts, propose)


def shore_scene(kit: Kit) -> Scene:
    """Sand or shingle by the water: rocks, groynes, boats, parasols, reeds, people."""
    kit.families.add("shore")
    size = kit.uniform(90, 140)
    land = ridged(kit, 90, size, kit.uniform(0.6, 2.2), 2.3)
    rows = np.linspace(-1, 1, 90)[:, None]
    land.heights += -1.8 * np.clip(rows * 2.2 + 0.1, -1.2, 1.5) + kit.uniform(0, 1) * np.clip(-rows - 0.3, 0, 1) * 8
    parts: list[Part] = [
        (
            land.mesh(),
            skin(
                kit,
                kit.pick([(0.76, 0.68, 0.52), (0.55, 0.5, 0.44), (0.68, 0.6, 0.5)]),
                ("sand_ripples", "gravel", "carpet"),
                (1.5, 5),
                0.25,
            ),
        )
    ]
    sea = skin(
        kit,
        kit.pick([(0.18, 0.34, 0.4), (0.12, 0.25, 0.36), (0.4, 0.46, 0.47)]),
        ("sand_ripples", "carpet"),
        (4, 14),
        0.25,
    )
    parts.append((quad((-400, -10, -0.35), (800, 0, 0), (0, 700, 0)), sea))
    rocky = {name: PLANTS[name] for name in ("crag", "slab_rock", "crag", "reeds")}
    parts += sown(kit, rocky, kit.integer(8, 36), land, 22, 2.0, (0.5, 2.0))
    if kit.chance(0.6):  # a groyne into the water
        x, wood = kit.uniform(-9, 9), timber(kit)
        for y in np.arange(-3, 30, 1.1):
            parts.append(
                (cylinder(0.13, -2, 1.0 - 0.02 * float(y), 9).moved((x + kit.uniform(-0.06, 0.06), float(y), 0)), wood)
            )
    for _ in range(kit.integer(2, 9)):
        x, y = kit.uniform(-14, 14), kit.uniform(-14, 2)
        if np.hypot(x, y) > 2.5:
            name = kit.choose(["parasol", "cloaked", "cloaked", "spoked"])
            parts += place(STREET[name](kit), x, y, land.at(x, y) - 0.05, kit.heading())
    kit.families.add("rowing_boat")
    for _ in range(kit.integer(1, 4)):
        x, y = kit.uniform(-16, 16), kit.uniform(-4, 24)
        z = max(land.at(x, y) - 0.05, -0.45)
        parts += place(rowing_boat(kit), x, y, z, kit.heading())
    if kit.chance(0.5):
        x = kit.uniform(-30, 30)
        for k in range(kit.integer(2, 6)):
            w = kit.uniform(4, 7)
            y = -28.0 - kit.uniform(0, 4)
            parts += place(gable_house(kit, w, 7, kit.uniform(3, 7)), x + 8 * k, y, land.at(x + 8 * k, y) - 1.0, np.pi)

    def propose(rng: np.random.Generator) -> Camera:
        x, y = rng.uniform(-4, 4), rng.uniform(-7, 3)
        eye = np.array([x, y, max(land.at(x, y), -0.3) + rng.uniform(0.5, 2.2)])
        yaw = rng.normal(0, 0.8) if rng.random() < 0.6 else rng.uniform(0, 2 * np.pi)
        return glance(eye, float(yaw), _tilt(rng) - 0.05, rng)

    return _scene(kit, parts, propose)


def ruins_scene(kit: Kit) -> Scene:
    """Broken walls and columns among rocks, olives and cypresses."""
    kit.families |= {"ruins", "ruin_wall"}
    land = ridged(kit, 90, kit.uniform(70, 120), kit.uniform(1, 12), kit.uniform(1.9, 2.4))
    parts: list[Part] = [(land.mesh(), soil(kit, ("turf", "gravel", "cracked", "sand_ripples")))]
    cover = stone(kit)
    for _ in range(kit.integer(5, 14)):
        a, r = kit.heading(), kit.uniform(3.5, 16)
        x, y = float(r * np.cos(a)), float(r * np.sin(a))
        parts += place(ruin_wall(kit), x, y, land.at(x, y) - 0.5, kit.heading())
    for _ in range(kit.integer(3, 14)):
        x, y = kit.uniform(-11, 11), kit.uniform(-11, 11)
        if np.hypot(x, y) > 1.8:
            h = kit.uniform(0.6, 5)
            parts.append((cylinder(0.38, -0.6, h, 18, 0.32).moved((x, y, land.at(x, y))), cover))
    kit.families.add("crag")
    for _ in range(6):
        x, y = kit.around(6)
        if np.hypot(x, y) > 1.5:
            parts += place(
                kit.pick([crag, fallen_log])(kit), x, y, land.at(x, y) - 0.05, kit.heading(), kit.uniform(0.4, 1)
            )
    parts += sown(
        kit, {n: PLANTS[n] for n in ("olive", "cypress", "crag", "reeds", "hedge")}, kit.integer(15, 45), land, 30, 2.5
    )

    def propose(rng: np.random.Generator) -> Camera:
        x, y = rng.normal(0, 1.6, 2)
        eye = np.array([x, y, land.at(x, y) + rng.uniform(0.5, 2.0)])
        return glance(eye, rng.uniform(0, 2 * np.pi), _tilt(rng), rng)

    return _scene(kit, parts, propose)
