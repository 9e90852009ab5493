"""Close-ups of the photo split: still lifes indoors and out, and glass and polished things."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Camera, Kit, Light, Material, Part, Scene, place
from dabench.render.mesh import box, cylinder, lathe, quad, slab, sphere, superquadric, torus
from dabench.render.photo.furnishings import FURNISHINGS
from dabench.render.photo.interiors import interior_scene
from dabench.render.photo.light import daylight, shot
from dabench.render.photo.palette import floor, masonry, metal, plaster, print_, skin, stone, textile, timber
from dabench.render.photo.structures import STREET
from dabench.render.photo.terrain import PLANTS, soil
from dabench.render.photo.things import bounds, strewn, thing


def _bench(kit: Kit, scene: Scene) -> float:
    """A wide board against a wall with boxes, jars and a window's light; the board's height."""
    w, d, top = kit.uniform(1.6, 2.6), kit.uniform(0.7, 1.1), kit.uniform(0.72, 0.95)
    room, h = kit.uniform(2.0, 3.5), 2.7
    walls, back = plaster(kit), kit.pick([plaster, masonry, timber])(kit)
    scene.parts += [
        (quad((-room, -room, 0), (2 * room, 0, 0), (0, room + d, 0)), floor(kit)),
        (quad((-room, d, h), (2 * room, 0, 0), (0, -room - d, 0)), walls),
        (quad((-room, d, 0), (2 * room, 0, 0), (0, 0, h)), back),
        (quad((room, -room, 0), (-2 * room, 0, 0), (0, 0, h)), walls),
        (quad((room, d, 0), (0, -room - d, 0), (0, 0, h)), walls),
        (quad((-room, -room, 0), (0, room + d, 0), (0, 0, h)), walls),
        (slab(w, d, top - 0.05, top, 0, d / 2 - 0.1), kit.pick([timber, stone, textile, metal])(kit)),
    ]
    scene.parts += [(slab(0.07, d * 0.9, 0, top - 0.05, s * w * 0.45, d / 2 - 0.1), timber(kit)) for s in (-1, 1)]
    x = kit.uniform(0.5, 1.0)
    scene.parts += strewn(kit, kit.integer(2, 6), (-w / 2, w / 2), (d * 0.45, d - 0.12), top, 0.6)
    if kit.chance(0.6):
        wood = timber(kit)
        for z in (0.45, 0.8)[: kit.integer(1, 2)]:
            scene.parts.append((slab(w * 0.8, 0.22, top + z, top + z + 0.025, 0, d - 0.11), wood))
            row = strewn(kit, kit.integer(3, 7), (-w * 0.38, w * 0.38), (d - 0.21, d - 0.01), top + z + 0.025, 0.28)
            scene.parts += row
    if kit.chance(0.5):
        art = quad((-0.3, d - 0.01, top + 0.25), (0.6, 0, 0), (0, 0, 0.5)).unit_uv()
        scene.parts.append((art.moved((kit.uniform(-0.4, 0.4), 0, kit.uniform(0, 0.5))), print_(kit)))
    for _ in range(kit.integer(2, 5)):
        piece = FURNISHINGS[kit.choose(("bentwood", "pouf", "suitcases", "step_ladder", "wire_rack", "piano"))](kit)
        at = (kit.uniform(-0.8, 0.8) * room, kit.uniform(-0.85, -0.45) * room)
        scene.parts += place(piece, *at, 0, np.pi + kit.uniform(-0.5, 0.5))
    tone = np.array(kit.pick([(1, 0.85, 0.65), (0.9, 0.96, 1.05), (1, 0.97, 0.92)])) * kit.uniform(9, 20)
    side = float(kit.pick([-1, 1]))
    colour = (float(tone[0]), float(tone[1]), float(tone[2]))
    window = Light("panel", (side * (room - 0.05), kit.uniform(-0.6, 0.3), kit.uniform(1.3, 1.9)), colour,
                   (-side, 0.0, 0.0), (kit.uniform(0.6, 1.4), kit.uniform(0.6, 1.3)))  # fmt: skip
    scene.lights = [window if kit.chance(0.65) else Light("panel", (x * side, 0.0, h - 0.05), colour, size=(0.6, 0.6))]
    return top


def _outdoors(kit: Kit, scene: Scene) -> float:
    """Bare ground, a step or a garden table under the sky, plants and street things behind; the standing height."""
    daylight(kit, scene)
    ground = (
        soil(kit) if kit.chance(0.6) else skin(kit, (0.5, 0.48, 0.44), ("ashlar", "hexagons", "concrete"), (1, 2), 0.3)
    )
    scene.parts.append((quad((-60, -60, 0), (120, 0, 0), (0, 120, 0)), ground))
    for _ in range(kit.integer(8, 22)):
        a, r = kit.heading(), kit.uniform(1.8, 14)
        makers = PLANTS if kit.chance(0.65) else STREET
        piece = makers[kit.choose(makers)](kit)
        scene.parts += place(piece, float(r * np.cos(a)), float(r * np.sin(a)), -0.02, kit.heading())
    if kit.chance(0.4):
        wall = kit.pick([masonry, timber])(kit)
        scene.parts.append((slab(kit.uniform(4, 12), 0.3, 0, kit.uniform(0.8, 2.4), 0, kit.uniform(1.2, 4)), wall))
    kind = kit.pick(["ground", "stump", "step"])
    if kind == "ground":
        return 0.0
    top = kit.uniform(0.3, 0.75)
    if kind == "stump":
        r = kit.uniform(0.35, 0.6)
        scene.parts += [(cylinder(r, 0, top, 26), skin(kit, (0.4, 0.33, 0.26), ("cracked", "lichen"), (0.4, 0.8), 0.5)),
                        (cylinder(r * 0.95, top - 0.01, top + 0.004, 26), timber(kit))]  # fmt: skip
        return top + 0.004
    scene.parts.append((slab(kit.uniform(1.0, 2.0), 0.8, 0, top), kit.pick([stone, masonry, timber])(kit)))
    return top


def _orbit(z: float, indoors: bool, spread: float) -> object:
    def propose(rng: np.random.Generator) -> Camera:
        distance = float(np.exp(rng.uniform(np.log(0.35), np.log(1.5))))
        yaw = rng.uniform(-0.85, -0.15) * np.pi if indoors else rng.uniform(0, 2 * np.pi)
        pitch = np.radians(rng.uniform(-3, 14) if rng.random() < 0.4 else rng.uniform(14, 70))
        aim = np.array([*rng.normal(0, 0.5 * spread, 2), z + rng.uniform(0.0, 0.18)])
        eye = aim + distance * np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
        eye[2] = max(eye[2], z + 0.05)
        return shot(eye, aim + rng.normal(0, 0.06, 3), rng, 4.0)

    return propose


def still_life(kit: Kit) -> Scene:
    """Small things large in the picture."""
    kit.families.add("still_life")
    scene = Scene(ambient=(kit.uniform(0.25, 0.6),) * 3)
    indoors = kit.chance(0.6)
    z = scene.stage = _bench(kit, scene) if indoors else _outdoors(kit, scene)
    reach = 0.35 if z > 0 else 0.6
    if kit.chance(0.25):
        cloth = quad((-0.35, -0.3, z + 0.003), (0.7, 0, 0), (0, 0.6, 0))
        scene.parts.append((cloth.moved((0, 0, 0), kit.uniform(-0.5, 0.5)), textile(kit)))
    scene.parts += strewn(
        kit, kit.integer(3, 11), (-reach, reach), (-reach * 0.4 if indoors else -reach, reach), z + 0.004
    )
    if not indoors and z == 0.0 and kit.chance(0.4):
        model = STREET[kit.choose(STREET)](kit)
        low, high = bounds(model)
        scene.parts += place(
            model, kit.uniform(-0.3, 0.3), 0.9, 0, kit.heading(), kit.uniform(0.4, 0.8) / float((high - low).max())
        )
    scene.propose = _orbit(z, indoors, reach)  # type: ignore[assignment]
    return scene


def _lens_ball(r: float, h: float) -> list[tuple[float, float]]:
    t = np.linspace(-np.pi / 2, np.pi / 2, 13)
    return [(r * float(np.cos(a)), r * (1 + float(np.sin(a)))) for a in t]


def _vessel(kit: Kit, cover: Material) -> list[Part]:
    """A carafe, jar, dish, dome, prism or lens of glass or metal."""
    r, h = kit.uniform(0.03, 0.07), kit.uniform(0.1, 0.26)
    shape = kit.pick(["carafe", "jar", "dish", "dome", "prism", "lens", "chain"])
    kit.families.add(f"vessel:{shape}")
    if shape == "carafe":
        line = [
            (0, 0),
            (r * 1.4, 0),
            (r * 1.5, 0.02),
            (r * 0.45, h * 0.7),
            (r * 0.4, h * 0.85),
            (r * 0.8, h),
            (r * 0.7, h),
            (r * 0.35, h * 0.84),
        ]
        return [(lathe([*line, (r * 0.4, h * 0.7), (r * 1.35, 0.03), (0, 0.03)], 26), cover)]
    if shape == "jar":
        lid: Part = (cylinder(r * 0.95, h * 0.8, h * 0.9, 20), metal(kit))
        return [(lathe([(0, 0), (r, 0), (r * 1.05, h * 0.65), (r * 0.8, h * 0.8), (0, h * 0.8)], 24), cover), lid]
    if shape == "dish":
        return [
            (lathe([(0, 0), (r, 0), (r * 2.2, r * 1.1), (r * 2.1, r * 1.1), (r * 0.95, 0.012), (0, 0.012)], 28), cover)
        ]
    if shape == "dome":
        t = np.linspace(0, np.pi / 2, 9)
        bell = [(r * 1.6 * float(np.cos(a)), h * 0.9 * float(np.sin(a))) for a in t]
        return [(lathe([(0, 0), *bell], 26), cover), (sphere(r * 0.25, 10).moved((0, 0, h * 0.95)), metal(kit))]
    if shape == "prism":
        return [(cylinder(r * 1.1, 0, h, kit.pick([3, 5, 6]), r * kit.uniform(0.3, 1.1)), cover)]
    if shape == "lens":
        return [
            (lathe(_lens_ball(r * 1.3, h), 26), cover),
            (torus(r * 0.8, 0.012, 20).moved((0, 0, 0.012)), metal(kit)),
        ]
    return [(torus(r, r * 0.25, 20).moved((1.5 * r * k, 0, r * 0.25 + 0.3 * r * (k % 2))), cover) for k in range(3)]


def vitreous_scene(kit: Kit) -> Scene:
    """Glass, mirrors and polished metal among ordinary things."""
    scene = still_life(kit)
    kit.families.add("vitreous")
    scene.specular = True
    z = scene.stage
    polish = kit.pick([(0.85, 0.65, 0.4), (0.7, 0.72, 0.75), (0.6, 0.4, 0.33)])
    covers = [
        Material("glass", (1, 1, 1)),
        Material("glass", (1, 1, 1)),
        Material("mirror", (0.95, 0.95, 0.95)),
        Material("metal", polish, roughness=kit.uniform(0.08, 0.3)),
    ]
    for _ in range(kit.integer(4, 9)):
        x, y = kit.uniform(-0.4, 0.4), kit.uniform(-0.18, 0.3)
        scene.parts += place(_vessel(kit, kit.pick(covers)), x, y, z + 0.005, kit.heading(), kit.uniform(0.9, 1.8))
    if kit.chance(0.4):  # a round mirror on a stand
        r = kit.uniform(0.12, 0.3)
        disc = superquadric((r, 0.006, r), 1.0, 0.2, 30).moved((0, 0, r + 0.08))
        stand: list[Part] = [(disc, covers[2]), (cylinder(0.02, 0, r, 10).moved((0, 0.03, 0)), metal(kit)),
                             (cylinder(r * 0.6, 0, 0.015, 20).moved((0, 0.03, 0)), metal(kit))]  # fmt: skip
        scene.parts += place(stand, kit.uniform(-0.3, 0.3), kit.uniform(0.2, 0.35), z, kit.uniform(-0.5, 0.5))
    return scene


def vitrine_scene(kit: Kit) -> Scene:
    """A room with a glass case, a glazed screen or a bus-stop-like shelter in it."""
    scene = interior_scene(kit)
    kit.families.add("vitrine")
    clear, frame = Material("pane", (1, 1, 1)), metal(kit)
    low, high = bounds(scene.parts)
    for _ in range(kit.integer(1, 3)):
        w, d, h = kit.uniform(0.8, 2.2), kit.uniform(0.5, 1.0), kit.uniform(0.9, 2.0)
        base, t = kit.uniform(0.3, 0.9) if kit.chance(0.6) else 0.04, kit.uniform(0.015, 0.04)
        case: list[Part] = [(slab(w, d, 0, base), timber(kit))]
        for yaw, wide, away in ((0, w, d), (np.pi / 2, d, w), (np.pi, w, d), (-np.pi / 2, d, w)):
            sheet = quad((-wide / 2, -away / 2, base), (wide, 0, 0), (0, 0, h))
            case.append((sheet.moved((0, 0, 0), float(yaw)), clear))
        case += [(box((t, t, h), (sx * w / 2, sy * d / 2, base + h / 2)), frame) for sx in (-1, 1) for sy in (-1, 1)]
        case += [(slab(w + t, d + t, base + h, base + h + 0.03), frame)]
        case += strewn(kit, kit.integer(1, 5), (-w / 2, w / 2), (-d / 2, d / 2), base + 0.002, h * 0.8)
        if kit.chance(0.5):
            case += place(thing(kit), 0, 0, base + 0.002, kit.heading(), 1.6)
        x, y = kit.uniform(low[0], high[0]) * 0.55, kit.uniform(low[1], high[1]) * 0.55
        scene.parts += place(case, x, y, 0.003, kit.integer(0, 3) * np.pi / 2)
    return scene
