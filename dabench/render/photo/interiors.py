"""Interiors of the photo split: lofts, workshops, attics, cafés, laundries, halls with stairs, cellars."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Camera, Kit, Light, Material, Part, Scene, place
from dabench.render.mesh import box, cylinder, lathe, quad, slab, sphere, tube
from dabench.render.photo.furnishings import FURNISHINGS
from dabench.render.photo.light import glance, shot
from dabench.render.photo.palette import floor, masonry, metal, plaster, print_, textile, timber
from dabench.render.photo.things import bounds, strewn, thing

PLACES: dict[str, tuple[str, ...]] = {
    "loft": ("settle", "pouf", "beanbag", "piano", "pedestal", "bicycle", "radiator", "fireplace", "wire_rack"),
    "workshop": ("trestle", "trestle", "wire_rack", "step_ladder", "trolley", "bicycle", "lockers", "suitcases"),
    "attic": ("bunk", "suitcases", "suitcases", "easel", "standing_figure", "trestle", "airer", "beanbag"),
    "cafe": ("pedestal", "pedestal", "bentwood", "settle", "piano", "trolley", "range_cooker", "bentwood"),
    "laundry": ("washer", "washer", "airer", "trolley", "lockers", "wire_rack", "radiator"),
    "hall": ("settle", "lockers", "radiator", "bicycle", "standing_figure", "pedestal"),
    "studio": ("easel", "easel", "trestle", "standing_figure", "pouf", "wire_rack", "step_ladder", "piano"),
    "dormitory": ("bunk", "bunk", "lockers", "suitcases", "radiator", "beanbag"),
    "scullery": ("range_cooker", "trestle", "washer", "wire_rack", "trolley", "bentwood", "fireplace"),
}
"""What stands in which room."""


class Floorplan:
    """A rectangular room, w by d by h metres around the origin, and what stands where in it."""

    def __init__(self, kit: Kit, w: float, d: float, h: float):
        self.kit, self.w, self.d, self.h = kit, w, d, h
        self.parts: list[Part] = []
        self.taken: list[tuple[float, float, float, float]] = []
        self.sights: list[np.ndarray] = []

    def against(self, parts: list[Part], wall: int, along: float, z: float = 0.0) -> list[Part]:
        """Parts with their back to a wall (0 to 3, a quarter turn each), `along` metres from its middle."""
        yaw = -wall * np.pi / 2
        away = (self.d if wall % 2 == 0 else self.w) / 2
        c, s = float(np.cos(yaw)), float(np.sin(yaw))
        return place(parts, c * along - s * away, s * along + c * away, z, yaw)

    def add(self, parts: list[Part], gap: float = 0.04) -> bool:
        """Keep parts if they are inside the room and touch nothing."""
        low, high = bounds(parts)
        if (np.abs([low[0], high[0]]) > self.w / 2 + 0.02).any() or (
            np.abs([low[1], high[1]]) > self.d / 2 + 0.02
        ).any():
            return False
        if high[2] > self.h - 0.02 or not self.clear(low[0], low[1], high[0], high[1], gap):
            return False
        self.taken.append((float(low[0]), float(low[1]), float(high[0]), float(high[1])))
        self.sights.append((low + high) / 2)
        self.parts += parts
        return True

    def clear(self, x0: float, y0: float, x1: float, y1: float, gap: float) -> bool:
        """Whether a rectangle keeps `gap` metres from everything."""
        return all(x0 > c + gap or x1 < a - gap or y0 > d + gap or y1 < b - gap for a, b, c, d in self.taken)


def _opening(kit: Kit, w: float, h: float, shines: bool) -> list[Part]:
    """A window of many panes in the xz plane, its sill at z = 0, facing -y: the view glows or lights the room."""
    sky, dim = kit.shade((0.95, 0.97, 1.0), 0.06), kit.shade((0.3, 0.36, 0.3), 0.3)
    view = Material("light" if shines else "glow", dim, sky, None, kit.texture(("vista",)), 1.0,
                    radiance=kit.uniform(2, 12))  # fmt: skip
    frame = kit.pick([metal, timber])(kit)
    parts: list[Part] = [(quad((-w / 2, -0.01, 0), (w, 0, 0), (0, 0, h)).unit_uv(), view)]
    bars, rows, t = kit.integer(1, 5), kit.integer(1, 4), kit.uniform(0.015, 0.05)
    parts += [(box((t, 0.05, h), (float(x), -0.03, h / 2)), frame) for x in np.linspace(-w / 2, w / 2, bars + 1)]
    parts += [(box((w + t, 0.05, t), (0, -0.03, float(z))), frame) for z in np.linspace(0, h, rows + 1)]
    return [*parts, (slab(w + 0.2, 0.22, -0.05, -0.01, 0, -0.1), plaster(kit))]


def _stairs(kit: Kit, w: float, rise: float, run: float, steps: int) -> list[Part]:
    """A flight that climbs along +x from the origin, its back on y = 0, with a rail."""
    tread, rail = kit.pick([timber, masonry])(kit), metal(kit)
    parts: list[Part] = [(slab(run, w, 0, rise * (k + 1), run * (k + 0.5), -w / 2), tread) for k in range(steps)]
    for k in range(0, steps, 2):
        x = run * (k + 0.5)
        parts.append((cylinder(0.012, rise * (k + 1), rise * (k + 1) + 0.9, 6).moved((x, -w + 0.03, 0)), rail))
    path = np.array([[run * 0.5, -w + 0.03, rise + 0.9], [run * (steps - 0.5), -w + 0.03, rise * steps + 0.9]])
    return [*parts, (tube(path, 0.02, 8), rail)]


def _pendant(kit: Kit, drop: float) -> list[Part]:
    """A lamp that hangs `drop` metres below z = 0: a wide metal cone with a bulb."""
    r = kit.uniform(0.12, 0.3)
    shade = lathe([(r, -drop), (r * 0.9, -drop + 0.05), (0.05, -drop + r * 0.9), (0.03, -drop + r)], 22)
    bulb = Material("glow", (1.0, 0.85, 0.6), radiance=kit.uniform(3, 10))
    return [
        (cylinder(0.006, -drop + r * 0.9, 0, 6), metal(kit)),
        (shade, metal(kit)),
        (sphere(0.045, 12).moved((0, 0, -drop + 0.05)), bulb),
    ]


def _shell(plan: Floorplan, attic: bool) -> None:
    kit, w, d, h = plan.kit, plan.w, plan.d, plan.h
    plan.parts.append((quad((-w / 2, -d / 2, 0), (w, 0, 0), (0, d, 0)), floor(kit)))
    walls, accent = plaster(kit), kit.pick([masonry, plaster, timber])(kit)
    chosen, ceiling = kit.integer(0, 3), kit.pick([plaster, timber])(kit)
    knee = kit.uniform(0.9, 1.4) if attic else h
    for wall in range(4):
        length = w if wall % 2 == 0 else d
        top = knee if attic and wall % 2 == 1 else h
        sheet = quad((-length / 2, 0, 0), (length, 0, 0), (0, 0, top))
        plan.parts += plan.against([(sheet, accent if wall == chosen else walls)], wall, 0)
    if attic:  # two slopes from the knee walls to a ridge along y
        for s in (-1, 1):
            slope = quad((s * w / 2, -s * d / 2, knee), (0, s * d, 0), (-s * w / 2, 0, h - knee))
            plan.parts.append((slope, ceiling))
        for y in np.arange(-d / 2 + 0.4, d / 2, kit.uniform(0.9, 1.6)):
            for s in (-1, 1):
                ends = np.array([[s * w / 2, y, knee], [0, y, h]])
                plan.parts.append((tube(ends - [0, 0, 0.06], 0.07, 4), ceiling))
    else:
        plan.parts.append((quad((-w / 2, d / 2, h), (w, 0, 0), (0, -d, 0)), ceiling))
        if kit.chance(0.6):  # beams or ducts under the ceiling
            beam = kit.pick([timber, metal])(kit)
            for y in np.arange(-d / 2 + 0.5, d / 2, kit.uniform(0.8, 2.0)):
                if kit.chance(0.9):
                    plan.parts.append((slab(w, 0.16, h - 0.22, h, 0, float(y)), beam))
        if kit.chance(0.35):
            x, pipe = kit.uniform(-0.4, 0.4) * w, metal(kit)
            path = np.array([[x, -d / 2, h - 0.35], [x, d / 2, h - 0.35]])
            plan.parts.append((tube(path, kit.uniform(0.05, 0.2), 14), pipe))
    if kit.chance(0.5):  # panelling
        wood, rail = timber(kit), kit.uniform(0.8, 1.2)
        for wall in range(4):
            length = w if wall % 2 == 0 else d
            if kit.chance(0.6) and not (attic and wall % 2):
                plan.parts += plan.against([(slab(length, 0.025, 0, rail, 0, -0.0125), wood)], wall, 0)


def _walls(plan: Floorplan, scene: Scene, attic: bool) -> None:
    kit = plan.kit
    lit = False
    for wall in range(4):
        length = plan.w if wall % 2 == 0 else plan.d
        if attic and wall % 2 == 1:
            continue
        at = -length / 2 + 0.5
        while at < length / 2 - 0.6:
            wide = kit.uniform(0.6, 1.8)
            middle = at + wide / 2
            kind = kit.pick(["opening", "opening", "sheet", "gap", "hooks", "ledge"])
            if middle + wide / 2 > length / 2 - 0.2:
                break
            if kind == "opening" and not (lit and kit.chance(0.5)):
                sill = kit.uniform(0.7, 1.3)
                high = min(kit.uniform(0.8, 2.0), plan.h - sill - 0.35)
                plan.parts += plan.against(_opening(kit, wide, high, not lit), wall, middle, sill)
                lit = True
            elif kind == "sheet":
                tall = kit.uniform(0.4, 1.1)
                art = quad((-wide * 0.4, -0.015, 0), (wide * 0.8, 0, 0), (0, 0, tall)).unit_uv()
                board: list[Part] = [
                    (art, print_(kit)),
                    (box((wide * 0.84, 0.012, tall + 0.05), (0, -0.007, tall / 2)), timber(kit)),
                ]
                plan.parts += plan.against(board, wall, middle, min(kit.uniform(1.1, 1.6), plan.h - tall - 0.2))
            elif kind == "hooks":
                rail: list[Part] = [(box((wide, 0.02, 0.08), (0, -0.01, 0)), timber(kit))]
                for x in np.linspace(-wide * 0.4, wide * 0.4, 4):
                    if kit.chance(0.6):
                        coat = lathe([(0.13, -0.8), (0.12, -0.4), (0.1, -0.12), (0.03, 0.0)], 14).stretched(
                            (1, 0.55, 1)
                        )
                        rail.append((coat.moved((float(x), -0.09, 0)), textile(kit)))
                plan.parts += plan.against(rail, wall, middle, kit.uniform(1.5, 1.8))
            elif kind == "ledge":
                wood = timber(kit)
                for z in (1.3, 1.65)[: kit.integer(1, 2)]:
                    ledge: list[Part] = [(slab(wide, 0.2, z, z + 0.025, 0, -0.1), wood)]
                    ledge += strewn(kit, kit.integer(2, 5), (-wide / 2, wide / 2), (-0.2, 0), z + 0.025, 0.3)
                    plan.parts += plan.against(ledge, wall, middle)
            at += wide + kit.uniform(0.2, 0.9)
    warm = kit.pick([(1.0, 0.78, 0.52), (1.0, 0.9, 0.78), (0.9, 0.97, 1.0)])
    power = kit.uniform(3, 9) if lit else kit.uniform(9, 16)
    x, y = kit.uniform(-0.3, 0.3) * plan.w * (0.3 if attic else 1), kit.uniform(-0.3, 0.3) * plan.d
    drop = kit.uniform(0.4, 1.1)
    plan.parts += place(_pendant(kit, drop), x, y, plan.h - (0.15 if attic else 0.0))
    scene.lights = [
        Light("panel", (x + 0.35, y, plan.h - 0.25), (power * warm[0], power * warm[1], power * warm[2]),
              size=(kit.uniform(0.3, 0.9), kit.uniform(0.3, 0.9)))
    ]  # fmt: skip


def interior_scene(kit: Kit) -> Scene:
    """A room of the photo split with cameras from the floor to the ceiling."""
    name = kit.choose([f"place:{place_}" for place_ in PLACES]).removeprefix("place:")
    attic, wide = name == "attic", name in ("loft", "workshop", "hall", "cafe")
    w, d = kit.uniform(3.2, 5.0 + 4 * wide), kit.uniform(3.5, 6.0 + 4 * wide)
    plan = Floorplan(kit, w, d, kit.uniform(2.5, 3.0) + (kit.uniform(0.2, 1.4) if wide else 0.0))
    fill = kit.uniform(0.25, 0.7)
    scene = Scene(ambient=(fill * 1.06, fill, fill * 0.92))
    _shell(plan, attic)
    if name in ("hall", "loft", "workshop") and kit.chance(0.6):
        steps = kit.integer(6, 13)
        flight = place(_stairs(kit, kit.uniform(0.8, 1.2), 0.18, 0.28, steps), 0, 0)
        plan.add(plan.against(place(flight, -0.14 * steps, 0), kit.pick([0, 2]), kit.uniform(-0.2, 0.2) * w))
    if wide and kit.chance(0.6):
        post = kit.pick([timber, metal, masonry])(kit)
        r = kit.uniform(0.06, 0.18)
        for x in np.linspace(-w * 0.25, w * 0.25, kit.integer(1, 2)):
            for y in np.linspace(-d * 0.25, d * 0.25, kit.integer(1, 3)):
                plan.add([(cylinder(r, 0, plan.h - 0.03, 16).moved((float(x), float(y), 0)), post)])
    for wall in range(4):
        length = w if wall % 2 == 0 else d
        at = -length / 2 + kit.uniform(0.0, 0.4)
        while at < length / 2 - 0.4:
            piece = FURNISHINGS[kit.choose(PLACES[name])](kit)
            low, high = bounds(piece)
            plan.add(plan.against(piece, wall, at - float(low[0])))
            at += float(high[0] - low[0]) + (kit.uniform(0.05, 0.4) if kit.chance(0.6) else kit.uniform(0.4, 1.2))
    for _ in range(kit.integer(3, 10 if wide else 6)):
        piece = FURNISHINGS[kit.choose(("pedestal", "bentwood", "pouf", "bentwood", *PLACES[name]))](kit)
        plan.add(place(piece, kit.uniform(-0.45, 0.45) * w, kit.uniform(-0.45, 0.45) * d, 0, kit.heading()))
    for _ in range(kit.integer(1, 7)):
        plan.add(place(thing(kit), kit.uniform(-0.45, 0.45) * w, kit.uniform(-0.45, 0.45) * d, 0, kit.heading()))
    if kit.chance(0.35):
        rug = quad((-0.9, -0.6, 0.006), (1.8, 0, 0), (0, 1.2, 0))
        middle = (kit.uniform(-0.2, 0.2) * w, kit.uniform(-0.2, 0.2) * d, 0)
        plan.parts.append((rug.moved(middle, kit.heading(), kit.uniform(0.8, 1.5)), textile(kit)))
    _walls(plan, scene, attic)
    scene.parts = plan.parts

    def propose(rng: np.random.Generator) -> Camera:
        return _view(plan, rng, attic)

    scene.propose = propose
    return scene


def _view(plan: Floorplan, rng: np.random.Generator, attic: bool) -> Camera:
    reach = 0.3 if attic else 0.45
    for _ in range(40):
        x, y = rng.uniform(-reach, reach) * plan.w, rng.uniform(-0.46, 0.46) * plan.d
        if plan.clear(x, y, x, y, 0.2):
            break
    kind, top = rng.random(), plan.h - (1.0 if attic else 0.4)
    z = float(rng.uniform(0.25, 0.7) if kind < 0.2 else rng.uniform(1.3, 1.9) if kind < 0.75 else rng.uniform(1.7, 3.2))
    eye = np.array([x, y, min(z, top)])
    if plan.sights and rng.random() < 0.65:
        target = plan.sights[int(rng.integers(len(plan.sights)))] + rng.normal(0, 0.25, 3)
        if rng.random() < 0.45:  # step closer
            eye[:2] += (target[:2] - eye[:2]) * rng.uniform(0.0, 0.5)
            if not plan.clear(eye[0], eye[1], eye[0], eye[1], 0.1):
                eye[:2] = x, y
        return shot(eye, target, rng)
    inwards = float(np.arctan2(x, -y)) + rng.normal(0, 0.7)
    return glance(eye, inwards, float(np.radians(rng.normal(-4, 12))), rng)
