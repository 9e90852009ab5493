"""Views from the air of the photo split: farmland, harbours, ring towns, terraced hills."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Camera, Kit, Part, Scene, place
from dabench.render.mesh import cylinder, faceted, quad, slab, superquadric, tube
from dabench.render.photo.buildings import block, gable_house
from dabench.render.photo.light import daylight, glance
from dabench.render.photo.palette import LEAVES, SOILS, leafage, masonry, paint, skin
from dabench.render.photo.structures import barge, container, gantry, tank
from dabench.render.photo.terrain import PLANTS, Land, ridged, soil


def _farmland(kit: Kit) -> tuple[list[Part], Land]:
    """Strips of crops between hedges, barns, silos, tall wind wheels."""
    kit.families.add("farmland")
    land = ridged(kit, 100, 420, kit.uniform(0, 22), 2.5)
    parts: list[Part] = [(land.mesh(), soil(kit, ("turf",)))]
    turn, cell = kit.heading(), kit.uniform(26, 55)
    c, s = float(np.cos(turn)), float(np.sin(turn))
    crops = [
        skin(
            kit,
            kit.pick([*SOILS, *LEAVES, (0.75, 0.66, 0.35)]),
            ("furrows", "turf", "gravel", "furrows"),
            (8, 26),
            0.35,
        )
        for _ in range(7)
    ]
    hedge = leafage(kit)
    for i in range(-4, 5):
        for j in range(-4, 5):
            x, y = c * i * cell - s * j * cell, s * i * cell + c * j * cell
            if np.hypot(x, y) > 185:
                continue
            n = 7
            u, v = np.meshgrid(np.linspace(-0.47, 0.47, n) * cell, np.linspace(-0.47, 0.47, n) * cell)
            gx, gy = x + c * u - s * v, y + s * u + c * v
            lift = np.array(
                [[land.at(a, b) for a, b in zip(ra, rb, strict=True)] for ra, rb in zip(gx, gy, strict=True)]
            )
            lift += kit.uniform(0.3, 1.3)
            corners = np.stack([gx, gy, lift], -1).reshape(-1, 3)
            k = np.arange(n * n).reshape(n, n)
            faces = np.concatenate([np.stack([k[:-1, :-1], k[:-1, 1:], k[1:, 1:]], -1).reshape(-1, 3),
                                    np.stack([k[:-1, :-1], k[1:, 1:], k[1:, :-1]], -1).reshape(-1, 3)])  # fmt: skip
            parts.append((faceted(corners, faces), kit.pick(crops)))
            for _ in range(kit.integer(0, 5)):
                a = kit.uniform(-0.5, 0.5) * cell
                hx, hy = x + c * a + s * 0.5 * cell, y + s * a - c * 0.5 * cell
                lump = superquadric((kit.uniform(3, 8), 1.5, kit.uniform(1.5, 4)), 0.6, 0.6, 14)
                parts.append((lump.moved((hx, hy, land.at(hx, hy) + 0.5), turn), hedge))
    for _ in range(kit.integer(3, 10)):
        x, y = kit.around(55)
        z = land.at(x, y) - 1.5
        parts += place(
            gable_house(kit, kit.uniform(9, 14), kit.uniform(14, 24), kit.uniform(6, 9), detail=False),
            x,
            y,
            z,
            kit.heading(),
        )
        if kit.chance(0.5):
            parts += place(tank(kit), x + 12, y + 4, land.at(x + 12, y + 4) - 1, 0, kit.uniform(1.0, 1.8))
    if kit.chance(0.5):
        kit.families.add("wind_wheel")
        white = skin(kit, (0.88, 0.88, 0.87), ("brushed",), (4, 8), 0.08)
        for _ in range(kit.integer(1, 4)):
            x, y = kit.around(60)
            h, base, yaw = kit.uniform(30, 60), land.at(x, y) - 1, kit.heading()
            start = kit.heading()
            wheel: list[Part] = [(cylinder(1.3, 0, h, 14, 0.7), white), (slab(1.6, 4, h - 0.8, h + 0.8), white)]
            for a in (start + 2.1 * np.arange(3)).tolist():
                tip = np.array([0.5 * h * np.cos(a), -2.3, h + 0.5 * h * np.sin(a)])
                wheel.append((tube(np.array([[0, -2.3, h], tip]), [0.9, 0.25], 6), white))
            parts += place(wheel, x, y, base, yaw)
    return parts, land


def _harbour(kit: Kit) -> tuple[list[Part], Land]:
    """Piers over water with ships, containers, cranes, sheds."""
    kit.families.add("harbour")
    land = Land(np.zeros((8, 8)), 500)
    sea = skin(
        kit,
        kit.pick([(0.12, 0.25, 0.3), (0.2, 0.28, 0.27), (0.1, 0.18, 0.26)]),
        ("sand_ripples", "carpet"),
        (15, 45),
        0.2,
    )
    pier = skin(kit, (0.55, 0.53, 0.5), ("concrete", "ashlar"), (10, 24), 0.25)
    parts: list[Part] = [(quad((-300, -300, -3), (600, 0, 0), (0, 600, 0)), sea)]
    parts.append((slab(600, 160, -6, 0, 0, -110), pier))
    pitch = kit.uniform(45, 75)
    for i in range(-3, 4):
        x, w = i * pitch, pitch * kit.uniform(0.35, 0.55)
        length = kit.uniform(60, 140)
        parts.append((slab(w, length + 30, -6, 0.0, x, length / 2 - 30), pier))
        boxes = [container(kit) for _ in range(3)]
        for y in np.arange(0, length - 14, 14.0):
            kind = kit.rng.random()
            if kind < 0.45:
                for k in range(kit.integer(2, 5)):
                    at = x + (k - 2) * 3.4
                    if abs(at - x) < w / 2 - 2:
                        parts += place(kit.pick(boxes), at, float(y), 0, np.pi / 2)
            elif kind < 0.6:
                parts += place(gantry(kit), x, float(y), 0, 0, kit.uniform(1.5, 2.6))
            elif kind < 0.75:
                parts += place(tank(kit), x, float(y), 0, 0, kit.uniform(1.0, 1.7))
            elif kind < 0.85:
                parts += place(gable_house(kit, w * 0.5, 12, kit.uniform(5, 9), detail=False), x, float(y), 0)
        for side in (-1, 1):
            if kit.chance(0.7):
                ship = place(barge(kit), 0, 0, 0, 0, kit.uniform(2.0, 4.5))
                parts += place(ship, x + side * (w / 2 + 9), kit.uniform(10, length), -3, np.pi / 2)
    for _ in range(kit.integer(8, 20)):
        house = (
            block(kit, kit.uniform(14, 26), 14, kit.uniform(8, 40))
            if kit.chance(0.6)
            else gable_house(kit, 12, 18, 8, detail=False)
        )
        parts += place(house, kit.uniform(-120, 120), kit.uniform(-90, -52), 0, kit.integer(0, 3) * np.pi / 2)
    return parts, land


def _ring_town(kit: Kit) -> tuple[list[Part], Land]:
    """Houses in rings around a tower on a mound, trees between them."""
    kit.families.add("ring_town")
    land = ridged(kit, 90, 420, kit.uniform(0, 6), 2.4)
    axis = np.linspace(-1, 1, 90)
    mound = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) * 22) * kit.uniform(0, 25)
    land.heights += mound
    parts: list[Part] = [
        (
            land.mesh(),
            skin(kit, kit.pick([(0.55, 0.5, 0.43), (0.42, 0.43, 0.33)]), ("gravel", "turf", "concrete"), (8, 25), 0.3),
        )
    ]
    parts.append(
        (cylinder(kit.uniform(3, 6), -2, kit.uniform(22, 45), 20, 3).moved((0, 0, land.at(0, 0))), masonry(kit))
    )
    low, high = kit.pick([(4, 9), (5, 12), (8, 26)])
    trees = [PLANTS["cypress"](kit), PLANTS["olive"](kit)]
    kit.families |= {"cypress", "olive"}
    for ring in range(1, 8):
        r = 14 + ring * kit.uniform(15, 19)
        count = int(2 * np.pi * r / kit.uniform(11, 17))
        for k in range(count):
            a = 2 * np.pi * k / count
            x, y = float(r * np.cos(a)), float(r * np.sin(a))
            z, yaw = land.at(x, y) - 2, a - np.pi / 2
            if kit.chance(0.8):
                h, w = kit.uniform(low, high), kit.uniform(7, 11)
                house = (
                    gable_house(kit, w, kit.uniform(8, 11), h + 2, detail=False)
                    if kit.chance(0.75)
                    else block(kit, w, 9, h + 4)
                )
                parts += place(house, x, y, z, yaw + np.pi)
            else:
                for _ in range(3):
                    tx, ty = x + kit.uniform(-4, 4), y + kit.uniform(-4, 4)
                    parts += place(kit.pick(trees), tx, ty, land.at(tx, ty) - 0.2, kit.heading(), kit.uniform(0.9, 1.6))
    return parts, land


def _terraces(kit: Kit) -> tuple[list[Part], Land]:
    """Stepped slopes with walls' shadows, water in the valley, hamlets and groves."""
    kit.families.add("terraces")
    land = ridged(kit, 128, 380, kit.uniform(45, 120), kit.uniform(2.0, 2.6))
    step = kit.uniform(4, 10)
    levels = land.heights / step
    land.heights = (np.floor(levels) + np.clip((levels % 1) * 4, 0, 1)) * step
    parts: list[Part] = [
        (land.mesh(), skin(kit, kit.pick([*SOILS, *LEAVES]), ("turf", "lichen", "furrows", "gravel"), (10, 40), 0.45))
    ]
    if kit.chance(0.6):
        level = float(np.quantile(land.heights, kit.uniform(0.1, 0.35))) + 0.3
        lake = skin(kit, (0.16, 0.3, 0.33), ("sand_ripples", "carpet"), (12, 40), 0.2)
        parts.append((quad((-190, -190, level), (380, 0, 0), (0, 380, 0)), lake))
    grove = [PLANTS[kit.choose(("cypress", "olive", "pine_trunk"))](kit) for _ in range(4)]
    for _ in range(kit.integer(60, 200)):
        x, y = kit.around(60)
        parts += place(kit.pick(grove), x, y, land.at(x, y) - 0.5, kit.heading(), kit.uniform(1.0, 2.2))
    for _ in range(kit.integer(4, 18)):
        x, y = kit.around(45)
        parts += place(
            gable_house(kit, kit.uniform(7, 12), 10, kit.uniform(6, 10), detail=False),
            x,
            y,
            land.at(x, y) - 3,
            kit.heading(),
        )
    if kit.chance(0.4):  # a viaduct
        z, cover = float(land.heights.max()) * 0.7, masonry(kit)
        parts.append((slab(240, 5, z - 2, z), cover))
        parts += [(slab(3.5, 4, -5, z - 2, float(x)), cover) for x in np.arange(-110, 111, 22.0)]
    if kit.chance(0.3):  # a balloon
        kit.families.add("balloon")
        ball = superquadric((9, 9, 11), 1, 1, 24).moved(
            (*kit.around(30), float(land.heights.max()) + kit.uniform(5, 25))
        )
        parts.append((ball, paint(kit)))
    return parts, land


def overhead_scene(kit: Kit) -> Scene:
    """One of the views from the air; cameras from roof height to a light aircraft's."""
    parts, land = kit.pick([_farmland, _harbour, _ring_town, _terraces])(kit)
    scene = Scene(parts)
    daylight(kit, scene)

    def propose(rng: np.random.Generator) -> Camera:
        above = float(np.exp(rng.uniform(np.log(22), np.log(210))))
        down = rng.uniform(-90, -60) if rng.random() < 0.35 else rng.uniform(-60, -10)
        pitch, yaw = float(np.radians(down)), float(rng.uniform(0, 2 * np.pi))
        aim = rng.normal(0, 28, 2)
        back = min(above / np.tan(-pitch), 150.0)
        x, y = float(aim[0] + np.sin(yaw) * back), float(aim[1] - np.cos(yaw) * back)
        floor = max(land.at(x, y), land.at(float(aim[0]), float(aim[1])))
        return glance(np.array([x, y, floor + above]), yaw, pitch, rng, 4.0)

    scene.propose = propose
    return scene
