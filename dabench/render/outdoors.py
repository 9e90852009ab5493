"""Outdoor worlds: streets, countryside, and the ground seen from the air."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Camera, Colour, Kit, Light, Material, Part, Scene, direction, place
from dabench.render.mesh import cylinder, quad, slab, tube
from dabench.render.nature import TREES, bush, foliage, ground, height_at, relief, scattered, stone, tree
from dabench.render.patterns import spectral_noise
from dabench.render.seating import person
from dabench.render.urban import STREET_THINGS, VEHICLES, building, dome, fence


def sky(kit: Kit, light: float = 1.0) -> np.ndarray:
    """Linear radiance float32 [64, 128, 3]: a gradient from horizon to zenith with clouds; the ground half is dull."""
    height = 64
    elevation = np.linspace(np.pi / 2, -np.pi / 2, height)[:, None]
    zenith, horizon = kit.pick(
        [
            ((0.18, 0.35, 0.75), (0.7, 0.8, 0.95)),
            ((0.55, 0.58, 0.62), (0.8, 0.8, 0.82)),
            ((0.25, 0.3, 0.5), (0.95, 0.65, 0.4)),
            ((0.35, 0.5, 0.8), (0.85, 0.88, 0.9)),
        ]
    )
    blend = np.clip(np.sin(np.maximum(elevation, 0)), 0, 1)[..., None] ** kit.uniform(0.35, 0.8)
    image = np.asarray(horizon) * (1 - blend) + np.asarray(zenith) * blend
    cover = np.tile(spectral_noise(kit.rng, kit.uniform(1.2, 2.0), kit.uniform(0.3, 1.0))[::2], (1, 1))
    cloud = np.clip((cover - kit.uniform(0.2, 0.9)) * 3, 0, 1)[..., None]
    image = image * (1 - cloud) + cloud * (0.6 + 0.4 * cover[..., None])
    image = np.where(elevation[..., None] < 0, np.asarray(horizon) * 0.25, image)
    return (image * light).astype(np.float32)


def sun(kit: Kit) -> Light:
    """Sunlight from a random height and side, from overcast to glaring."""
    power = kit.uniform(0.4, 3.0)
    height, side = kit.uniform(0.25, 1.3), kit.heading()
    way = -direction(side, height)
    warm = 1.0 - 0.4 * np.exp(-3 * height)
    return Light(
        "sun", (float(way[0]), float(way[1]), float(way[2])), (power, power * (0.6 + 0.4 * warm), power * warm * 0.9)
    )


def _aim(eye: np.ndarray, yaw: float, pitch: float, fov: float, roll: float) -> Camera:
    """A camera at `eye`, yaw about z from +y and pitch above the horizon in radians."""
    look = eye + direction(yaw, pitch)
    return Camera(
        (float(eye[0]), float(eye[1]), float(eye[2])), (float(look[0]), float(look[1]), float(look[2])), fov, roll
    )


def _roll(rng: np.random.Generator) -> float:
    return float(rng.normal(0, 2.5)) if rng.random() < 0.75 else float(rng.uniform(-15, 15))


def street_scene(kit: Kit) -> Scene:
    """A street along y between rows of buildings, with vehicles, trees, people and things overhead."""
    kit.families.add("street")
    half, pavement, length = kit.uniform(3, 7), kit.uniform(1.5, 4), kit.uniform(50, 120)
    grey = kit.shade((0.33, 0.33, 0.34), 0.3)
    asphalt = kit.material(("speckle", "clouds", "bricks"), grey, contrast=0.25, metres=(1, 4), plain=0, kind="diffuse")
    paving = kit.material(
        ("tiles", "bricks", "speckle", "checker", "clouds", "foliage", "herringbone"),
        kit.shade((0.55, 0.53, 0.5), 0.3),
        contrast=0.3,
        metres=(0.8, 3),
        plain=0,
        kind="diffuse",
    )
    parts: list[Part] = [(quad((-90, -30, 0), (180, 0, 0), (0, length + 60, 0)), asphalt)]
    edge = half + pavement
    for s in (-1, 1):
        parts.append((slab(pavement, length + 60, 0, 0.14, s * (half + pavement / 2), length / 2), paving))
        if kit.chance(0.9):
            y = -15.0 + kit.uniform(-3, 0)
            while y < length:
                w, h = kit.uniform(6, 18), float(np.exp(kit.uniform(np.log(4), np.log(30))))
                if kit.chance(0.12):
                    y += kit.uniform(3, 10)
                if kit.allowed("dome") and kit.chance(0.05):
                    block = dome(kit, w)
                else:
                    block = building(kit, w, kit.uniform(7, 12), h, detail=y < 45)
                parts += place(block, s * (edge + kit.uniform(0, 0.8)), y + w / 2, 0, -s * np.pi / 2)
                y += w + (kit.uniform(0, 0.3) if kit.chance(0.7) else kit.uniform(1, 6))
    paint = Material("diffuse", kit.shade((0.85, 0.84, 0.78), 0.15))
    if kit.chance(0.7):
        parts += [(quad((-0.08, y, 0.006), (0.16, 0, 0), (0, 2.5, 0)), paint) for y in np.arange(-20, length, 5.0)]
    if kit.chance(0.4):
        y = kit.uniform(3, 15)
        parts += [(quad((x, y, 0.006), (0.45, 0, 0), (0, 3, 0)), paint) for x in np.arange(-half, half - 0.4, 0.9)]
    for _ in range(kit.integer(2, 9)):
        s = kit.pick([-1, 1])
        x = s * (half - 1.1) if kit.chance(0.65) else s * half * kit.uniform(0.2, 0.5)
        yaw = np.pi / 2 + (np.pi if kit.chance(0.5) else 0) + kit.uniform(-0.1, 0.1)
        parts += place(VEHICLES[kit.choose(VEHICLES)](kit), x, kit.uniform(1, 40), 0.0, yaw)
    for _ in range(kit.integer(4, 14)):
        s = kit.pick([-1, 1])
        name = kit.choose([*STREET_THINGS, "tree", "tree", "person", "person"])
        thing = tree(kit) if name == "tree" else person(kit) if name == "person" else STREET_THINGS[name](kit)
        parts += place(
            thing,
            s * (half + pavement * kit.uniform(0.1, 0.8)),
            kit.uniform(0, 35),
            0.14,
            -s * np.pi / 2 + kit.uniform(-0.4, 0.4),
        )
    for _ in range(kit.integer(0, 3)):
        parts += place(person(kit), kit.uniform(-half, half), kit.uniform(3, 25), 0)
    if kit.chance(0.35):  # cables, banners or a footbridge across the street
        wire = Material("diffuse", (0.06, 0.06, 0.06))
        for _ in range(kit.integer(1, 5)):
            y, z = kit.uniform(3, 30), kit.uniform(4, 8)
            parts.append((tube(np.array([[-edge, y, z], [0, y, z - 0.7], [edge, y, z]]), 0.03, 5), wire))
            if kit.chance(0.5):
                banner = quad((-1.2, y, z - 1.6), (2.4, 0, 0), (0, 0, 0.9)).unit_uv()
                parts.append(
                    (
                        banner,
                        Material(
                            "diffuse",
                            kit.colour(vivid=0.7),
                            kit.colour(vivid=0.5),
                            None,
                            kit.texture(("stripes", "shapes", "glyphs")),
                            1.0,
                        ),
                    )
                )
    if kit.chance(0.15):
        parts.append((slab(2 * edge + 4, 2.5, 4.5, 5.5, 0, kit.uniform(6, 25)), paving))
    scene = Scene(parts, [sun(kit)], sky(kit), (kit.uniform(0.35, 1.1),) * 3)

    def propose(rng: np.random.Generator) -> Camera:
        style, fov, roll = rng.random(), float(rng.uniform(42, 80)), _roll(rng)
        x = rng.uniform(-edge, edge) * 0.92
        y, z = rng.uniform(-4, 22), rng.uniform(0.5, 2.4)
        if style < 0.5:
            yaw, pitch = rng.normal(0, 0.45), np.radians(rng.normal(0, 9))
        elif style < 0.7:  # up at the facades
            yaw, pitch = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(8, 45))
        elif style < 0.88:  # across the street
            yaw, pitch = np.sign(x) * np.pi / 2 + rng.normal(0, 0.5), np.radians(rng.normal(-2, 9))
        else:  # from a balcony
            z = rng.uniform(4, 14)
            yaw, pitch = rng.normal(0, 0.8), np.radians(rng.uniform(-55, -10))
        return _aim(np.array([x, y, z]), yaw, pitch, fov, roll)

    scene.propose = propose
    return scene


def country_scene(kit: Kit) -> Scene:
    """Hills, paths, trees, stones, fences; sometimes a house, a wood or a branch close overhead."""
    kit.families.add("country")
    size = kit.uniform(60, 160)
    heights = relief(kit, 90, size, size * kit.uniform(0.01, 0.16), kit.uniform(1.7, 2.4))
    tone: Colour = kit.pick(
        [(0.38, 0.45, 0.2), (0.6, 0.52, 0.35), (0.45, 0.4, 0.3), (0.85, 0.87, 0.9), (0.5, 0.5, 0.25)]
    )
    soil = kit.material(
        ("foliage", "speckle", "clouds"), kit.shade(tone, 0.25), contrast=0.5, metres=(1.5, 6), plain=0, kind="diffuse"
    )
    parts: list[Part] = [(ground(heights, size), soil)]
    names = list(TREES)
    crowd = kit.integer(10, 50)
    parts += scattered(kit, names, dict(TREES), crowd, heights, size, size * 0.25, keep_clear=2.5)
    parts += scattered(kit, names, dict(TREES), 8, heights, size, 9.0, (0.5, 1.0), 2.2)
    parts += scattered(kit, ["stone"], {"stone": stone}, kit.integer(3, 20), heights, size, 14, (0.4, 2.0), 1.5)
    parts += scattered(kit, ["bush"], {"bush": bush}, kit.integer(2, 15), heights, size, 14, (0.3, 1.2), 1.5)
    if kit.chance(0.5):
        parts += scattered(
            kit, list(STREET_THINGS), dict(STREET_THINGS), kit.integer(1, 4), heights, size, 10, keep_clear=2.5
        )
    if kit.chance(0.5):
        x, y = kit.uniform(-18, 18), kit.uniform(8, 25)
        parts += place(
            building(kit, kit.uniform(5, 10), kit.uniform(5, 8), kit.uniform(2.8, 7)),
            x,
            y,
            height_at(heights, size, x, y) - 0.5,
            kit.heading(),
        )
    if kit.chance(0.4):
        x, y = kit.uniform(-6, 6), kit.uniform(2, 7)
        parts += place(fence(kit, kit.uniform(4, 15)), x, y, height_at(heights, size, x, y), kit.heading())
    for _ in range(kit.integer(0, 3)):
        x, y = kit.uniform(-7, 7), kit.uniform(-7, 7)
        parts += place(person(kit), x, y, height_at(heights, size, x, y))
    if kit.chance(0.4):
        x, y = kit.uniform(-8, 8), kit.uniform(-8, 8)
        parts += place(VEHICLES[kit.choose(VEHICLES)](kit), x, y, height_at(heights, size, x, y), kit.heading())
    base = height_at(heights, size, 0, 0)
    if kit.chance(0.5):  # boughs overhead
        leaves = foliage(kit)
        for _ in range(kit.integer(3, 12)):
            bough = place(
                bush(kit),
                *kit.around(1.6),
                base + kit.uniform(1.9, 3.2),
                kit.heading(),
                kit.uniform(0.2, 0.5),
            )
            parts += [(mesh, leaves) for mesh, _ in bough]
        wood = Material("diffuse", kit.shade((0.3, 0.22, 0.15), 0.3))
        parts += [
            (
                tube(np.array([[*kit.around(2), base + 2.4], [*kit.around(2), base + 2.2]]), 0.05, 6),
                wood,
            )
            for _ in range(4)
        ]
    scene = Scene(parts, [sun(kit)], sky(kit), (kit.uniform(0.35, 1.1),) * 3)

    def propose(rng: np.random.Generator) -> Camera:
        x, y = rng.normal(0, 3, 2)
        z = height_at(heights, size, x, y) + rng.uniform(0.4, 2.2)
        pitch = np.radians(rng.normal(-3, 10)) if rng.random() < 0.7 else np.radians(rng.uniform(8, 40))
        return _aim(np.array([x, y, z]), rng.uniform(0, 2 * np.pi), pitch, float(rng.uniform(42, 78)), _roll(rng))

    scene.propose = propose
    return scene


def aerial_scene(kit: Kit) -> Scene:
    """Terrain or a town from the air: oblique to straight down, with high and low ground."""
    kit.families.add("aerial")
    size = kit.uniform(180, 420)
    town = kit.chance(0.6)
    rise = size * (kit.uniform(0.0, 0.05) if town else kit.uniform(0.06, 0.35))
    heights = relief(kit, 110, size, rise, kit.uniform(1.6, 2.3))
    tone: Colour = kit.pick(
        [(0.36, 0.42, 0.22), (0.6, 0.54, 0.4), (0.45, 0.42, 0.38), (0.8, 0.82, 0.85), (0.3, 0.36, 0.2)]
    )
    soil = kit.material(
        ("clouds", "foliage", "plaid", "speckle", "voronoi"),
        kit.shade(tone, 0.25),
        contrast=0.5,
        metres=(20, 120),
        plain=0,
        kind="diffuse",
    )
    parts: list[Part] = [(ground(heights, size), soil)]
    if not town and kit.chance(0.4):
        level = rise * kit.uniform(0.2, 0.5)
        water = kit.material(
            ("clouds",), kit.shade((0.12, 0.25, 0.32), 0.4), contrast=0.15, metres=(10, 60), kind="diffuse"
        )
        parts.append((quad((-size / 2, -size / 2, level), (size, 0, 0), (0, size, 0)), water))
    if town:
        pitch, turn = kit.uniform(14, 30), kit.heading()
        c, s = np.cos(turn), np.sin(turn)
        road = Material("diffuse", kit.shade((0.4, 0.4, 0.41), 0.25))
        tall = kit.uniform(5, 60)
        cells = int(110 / pitch)
        for i in range(-cells, cells + 1):
            flat: list[Part] = [
                (quad((-130, 0, 0), (260, 0, 0), (0, 5, 0)), road),
                (quad((0, -130, 0), (5, 0, 0), (0, 260, 0)), road),
            ]
            a, b = -s * (i * pitch - 4.8), c * (i * pitch - 4.8)
            parts += (
                place(flat[:1], a, b, rise + 0.1, turn)
                + place(flat[1:], c * (i * pitch - 4.8), s * (i * pitch - 4.8), rise + 0.1, turn)
                if rise < 4
                else []
            )
            for j in range(-cells, cells + 1):
                x, y = c * i * pitch - s * j * pitch, s * i * pitch + c * j * pitch
                z = height_at(heights, size, x, y)
                if kit.chance(0.78):
                    w, d = (pitch - 6) * kit.uniform(0.5, 1.0), (pitch - 6) * kit.uniform(0.5, 1.0)
                    h = float(np.clip(np.exp(kit.rng.normal(np.log(tall * 0.5), 0.5)), 3, 90))
                    parts += place(building(kit, w, d, h + 2, detail=False), x + s * d / 2, y - c * d / 2, z - 2, turn)
                elif kit.chance(0.7):
                    for _ in range(3):
                        parts += place(
                            tree(kit),
                            x + kit.uniform(-4, 4),
                            y + kit.uniform(-4, 4),
                            z,
                            kit.heading(),
                            kit.uniform(0.8, 1.5),
                        )
    else:
        grove = [tree(kit) for _ in range(4)]
        for _ in range(kit.integer(30, 120)):
            x, y = kit.rng.normal(0, size * 0.14, 2)
            parts += place(
                kit.pick(grove), x, y, height_at(heights, size, x, y) - 0.3, kit.heading(), kit.uniform(1, 2.5)
            )
        for _ in range(kit.integer(0, 8)):
            x, y = kit.rng.normal(0, size * 0.12, 2)
            parts += place(
                building(kit, kit.uniform(8, 18), kit.uniform(8, 14), kit.uniform(4, 10), detail=False),
                x,
                y,
                height_at(heights, size, x, y) - 1,
                kit.heading(),
            )
    if kit.chance(0.4):  # something high: a mast, a chimney or a crane
        x, y = kit.rng.normal(0, 25, 2)
        parts.append(
            (
                cylinder(kit.uniform(0.8, 3), 0, kit.uniform(25, 80) + rise, 14).moved((x, y, 0)),
                kit.material(("stripes", "bricks"), metres=(4, 20)),
            )
        )
    scene = Scene(parts, [sun(kit)], sky(kit), (kit.uniform(0.4, 1.1),) * 3)

    def propose(rng: np.random.Generator) -> Camera:
        above = float(np.exp(rng.uniform(np.log(35), np.log(170))))
        pitch = np.radians(rng.uniform(-88, -48) if rng.random() < 0.55 else rng.uniform(-48, -14))
        yaw = rng.uniform(0, 2 * np.pi)
        aim = np.array([*rng.normal(0, 22, 2), rise * 0.5])
        back = min(above / np.tan(-pitch), size * 0.4)
        eye = aim - direction(yaw) * back + np.array([0, 0, above + rise * 0.5])
        roll = float(rng.uniform(-25, 25)) if rng.random() < 0.4 else _roll(rng)
        return _aim(eye, yaw, pitch, float(rng.uniform(40, 75)), roll)

    scene.propose = propose
    return scene
