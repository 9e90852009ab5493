"""Objects close up, and worlds of glass, mirrors and polished things."""

from __future__ import annotations

import numpy as np

from dabench.render.finishes import CLOTH
from dabench.render.fittings import framed, lampshade
from dabench.render.furniture import FURNITURE
from dabench.render.joinery import wooden
from dabench.render.kit import Camera, Kit, Light, Material, Part, Scene, place
from dabench.render.mesh import box, lathe, quad, slab, sphere, superquadric, torus
from dabench.render.nature import bush, stone
from dabench.render.outdoors import sky, sun
from dabench.render.props import any_prop, extent, scatter
from dabench.render.urban import STREET_THINGS, VEHICLES


def _backdrop(kit: Kit, scene: Scene) -> float:
    """Where objects stand: a table in a room, a floor, or the ground outdoors. Returns the height of the surface."""
    place_kind = kit.pick(["table", "table", "floor", "outside", "shelf"])
    surface_ = kit.material(
        (*CLOTH, "wood", "planks", "marble", "tiles", "speckle", "clouds"),
        metres=(0.2, 1.2),
        plain=0.15,
        kind="diffuse",
    )
    if place_kind == "outside":
        soil = kit.material(
            ("foliage", "speckle", "clouds", "tiles", "bricks", "planks"),
            kit.shade((0.45, 0.42, 0.33), 0.4),
            metres=(0.4, 2),
            plain=0,
            kind="diffuse",
        )
        scene.parts.append((quad((-40, -40, 0), (80, 0, 0), (0, 80, 0)), soil))
        scene.sky, scene.lights = sky(kit), [sun(kit)]
        for _ in range(kit.integer(3, 9)):
            angle, far = kit.heading(), kit.uniform(2, 12)
            thing = kit.pick([bush, stone, STREET_THINGS["crates"], STREET_THINGS["bench"]])(kit)
            scene.parts += place(thing, far * np.cos(angle), far * np.sin(angle), 0, kit.heading())
        return 0.0
    w, d, h = kit.uniform(3, 6), kit.uniform(3, 6), 2.6
    wall = kit.material(
        ("clouds", "stripes", "flowers", "bricks", "tiles", "planks"),
        kit.colour((0.4, 0.95)),
        contrast=0.25,
        plain=0.45,
        metres=(0.6, 2),
        kind="diffuse",
    )
    floor = kit.material(
        ("planks", "tiles", "fabric", "speckle", "checker"), metres=(0.6, 2), plain=0.1, kind="diffuse"
    )
    scene.parts += [
        (quad((-w, -d, 0), (2 * w, 0, 0), (0, 2 * d, 0)), floor),
        (quad((-w, d, h), (2 * w, 0, 0), (0, -2 * d, 0)), wall),
    ]
    for corner, u in (
        ((-w, d, 0), (2 * w, 0, 0)),
        ((w, -d, 0), (-2 * w, 0, 0)),
        ((w, d, 0), (0, -2 * d, 0)),
        ((-w, -d, 0), (0, 2 * d, 0)),
    ):
        scene.parts.append((quad(corner, u, (0, 0, h)), wall))
    tone = np.array(kit.shade(kit.pick([(1, 0.85, 0.65), (1, 0.95, 0.9), (0.9, 0.95, 1)]), 0.1)) * 14
    colour = (float(tone[0]), float(tone[1]), float(tone[2]))
    scene.lights = [
        Light(
            "panel",
            (kit.uniform(-1.5, 1.5), kit.uniform(-1.5, 1.5), h - 0.05),
            colour,
            size=(kit.uniform(0.3, 1.5), kit.uniform(0.3, 1.5)),
        )
    ]
    for _ in range(kit.integer(3, 8)):
        angle = kit.heading()
        piece = FURNITURE[
            kit.choose(
                (
                    "cabinet",
                    "bookshelf",
                    "chair",
                    "sofa",
                    "cartons",
                    "tall_plant",
                    "floor_lamp",
                    "television",
                    "stool",
                    "armchair",
                )
            )
        ](kit)
        scene.parts += place(
            piece, kit.uniform(1.6, 2.6) * np.cos(angle), kit.uniform(1.6, 2.6) * np.sin(angle), 0, angle - np.pi / 2
        )
    for _ in range(kit.integer(0, 3)):
        scene.parts += place(
            framed(kit, kit.uniform(0.4, 1.0), kit.uniform(0.4, 0.8)), kit.uniform(-w, w) * 0.7, d - 0.02, 1.6
        )
    if place_kind == "floor":
        return 0.0
    top = kit.uniform(0.7, 0.9)
    side = kit.uniform(0.7, 1.6)
    scene.parts += [(slab(side * 1.4, side, top - 0.04, top), surface_), (slab(0.5, 0.4, 0, top - 0.04), wooden(kit))]
    if place_kind == "shelf":
        wood = wooden(kit)
        scene.parts += [(slab(1.6, 0.5, top + z, top + z + 0.03, 0, 0.35), wood) for z in (0.45, 0.9)]
        scene.parts += [(box((0.03, 0.5, 1.0), (x, 0.35, top + 0.45)), wood) for x in (-0.8, 0.8)] + [
            (slab(1.6, 0.02, top, top + 0.95, 0, 0.6), wood)
        ]
        scene.parts += scatter(kit, 6, (-0.75, 0.75), (0.12, 0.55), top + 0.48, 0.35) + scatter(
            kit, 5, (-0.75, 0.75), (0.12, 0.55), top + 0.93, 0.4
        )
    if kit.chance(0.5):
        scene.parts += place(lampshade(kit, kit.uniform(0.9, 1.3)), kit.uniform(-0.6, 0.6), kit.uniform(-0.6, 0.6), h)
    return top


def _around(z: float, spread: float) -> object:
    def propose(rng: np.random.Generator) -> Camera:
        distance = float(np.exp(rng.uniform(np.log(0.45), np.log(1.7))))
        yaw = rng.uniform(0, 2 * np.pi)
        pitch = np.radians(rng.uniform(2, 55)) if rng.random() < 0.8 else np.radians(rng.uniform(-4, 8))
        aim = np.array([*rng.normal(0, spread * 0.4, 2), z + rng.uniform(0.03, 0.25)])
        eye = aim + distance * np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
        eye[2] = max(eye[2], z + 0.06)
        aim += rng.normal(0, 0.08, 3)
        roll = float(rng.normal(0, 4)) if rng.random() < 0.7 else float(rng.uniform(-20, 20))
        return Camera(
            (float(eye[0]), float(eye[1]), float(eye[2])),
            (float(aim[0]), float(aim[1]), float(aim[2])),
            float(rng.uniform(38, 68)),
            roll,
        )

    return propose


def object_scene(kit: Kit) -> Scene:
    """A few objects, near and large in the picture."""
    kit.families.add("tabletop")
    scene = Scene(ambient=(kit.uniform(0.3, 0.8),) * 3)
    z = scene.stage = _backdrop(kit, scene)
    count = kit.integer(1, 7)
    if z == 0.0 and kit.chance(0.4):
        model = (
            VEHICLES[kit.choose(VEHICLES)](kit) if kit.chance(0.4) else STREET_THINGS[kit.choose(STREET_THINGS)](kit)
        )
        low, high = extent(model)
        scene.parts += place(model, 0, 0, z, kit.heading(), kit.uniform(0.4, 0.9) / float((high - low).max()))
    spread = 0.18 + 0.05 * count
    for _ in range(count):
        prop = any_prop(kit)
        scene.parts += place(prop, *kit.around(spread), z, kit.heading(), kit.uniform(0.7, 1.6))
    scene.propose = _around(z, spread)  # type: ignore[assignment]
    return scene


def _glassware(kit: Kit, material: Material) -> list[Part]:
    r, h = kit.uniform(0.03, 0.07), kit.uniform(0.08, 0.25)
    shape = kit.pick(["ball", "bottle", "tumbler", "goblet", "block", "ring"])
    if shape == "ball":
        return [(sphere(r * 1.3, 28).moved((0, 0, r * 1.3)), material)]
    if shape == "bottle":
        return [
            (lathe([(0, 0), (r, 0), (r, h * 0.6), (r * 0.4, h * 0.8), (r * 0.35, h * 1.2), (0, h * 1.2)], 24), material)
        ]
    if shape == "tumbler":
        return [(lathe([(0, 0), (r * 0.8, 0), (r, h), (r * 0.92, h), (r * 0.72, 0.015), (0, 0.015)], 24), material)]
    if shape == "goblet":
        return [
            (
                lathe(
                    [
                        (0, 0),
                        (r, 0),
                        (0.01, 0.012),
                        (0.008, h * 0.5),
                        (r, h * 0.75),
                        (r * 0.8, h),
                        (r * 0.74, h),
                        (r * 0.9, h * 0.75),
                        (0, h * 0.56),
                    ],
                    24,
                ),
                material,
            )
        ]
    if shape == "block":
        return [(superquadric((r, r, h / 2), 0.3, 0.3, 20).moved((0, 0, h / 2)), material)]
    return [(torus(r * 1.2, r * 0.35, 24).moved((0, 0, r * 0.35)), material)]


def glass_scene(kit: Kit) -> Scene:
    """Glass, mirrored and polished things among ordinary ones."""
    scene = object_scene(kit)
    kit.families.add("glassware")
    scene.specular = True
    z = scene.stage
    kinds = [
        Material("glass", (1, 1, 1)),
        Material("mirror", (1, 1, 1)),
        Material("metal", kit.pick([(0.9, 0.75, 0.5), (0.8, 0.8, 0.82), (0.75, 0.5, 0.4)]), roughness=0.15),
    ]
    for _ in range(kit.integer(3, 8)):
        scene.parts += place(
            _glassware(kit, kit.pick(kinds)),
            *kit.around(0.22),
            z + 0.001,
            kit.heading(),
            kit.uniform(0.9, 1.9),
        )
    if kit.chance(0.4):
        w, h = kit.uniform(0.3, 0.7), kit.uniform(0.3, 0.7)
        upright: list[Part] = [
            (box((w, 0.012, h), (0, 0, h / 2)), kinds[1]),
            (box((w + 0.06, 0.01, h + 0.05), (0, 0.012, h / 2)), wooden(kit)),
        ]
        scene.parts += place(upright, kit.uniform(-0.3, 0.3), kit.uniform(0.2, 0.45), z, kit.uniform(-0.6, 0.6))
    return scene


def panes(kit: Kit, scene: Scene) -> list[Part]:
    """Clear panes to put into a furnished room: a partition, a cabinet front, a table top."""
    clear = Material("pane", (1, 1, 1))
    frame = kit.material((), kind="diffuse")
    low, high = extent(scene.parts)
    parts: list[Part] = []
    for _ in range(kit.integer(1, 3)):
        w, h = kit.uniform(0.8, 2.4), kit.uniform(1.2, 2.2)
        panel: list[Part] = [(quad((-w / 2, 0, 0.05), (w, 0, 0), (0, 0, h)), clear)]
        bar = kit.uniform(0.02, 0.06)
        panel += [(box((bar, bar, h), (x, 0, h / 2)), frame) for x in np.linspace(-w / 2, w / 2, kit.integer(2, 3))]
        panel += [(box((w, bar, bar), (0, 0, zz)), frame) for zz in (0.03, h + 0.05)]
        x, y = kit.uniform(low[0], high[0]) * 0.5, kit.uniform(low[1], high[1]) * 0.5
        parts += place(panel, x, y, 0, kit.integer(0, 3) * np.pi / 2 + kit.rng.normal(0, 0.2))
    return parts
