"""Furnished rooms: bedrooms, living rooms, kitchens, offices, bathrooms, corridors, classrooms, store rooms."""

from __future__ import annotations

import numpy as np

from dabench.render.finishes import ANY, CLOTH
from dabench.render.fittings import ceiling_fan, framed, lampshade
from dabench.render.furniture import FURNITURE
from dabench.render.joinery import wooden
from dabench.render.kit import Camera, Kit, Light, Part, Scene, place
from dabench.render.mesh import box, quad, slab
from dabench.render.openings import door, window
from dabench.render.props import any_prop, book_row, extent, scatter
from dabench.render.seating import person
from dabench.render.toys import towel

THEMES: dict[str, tuple[str, ...]] = {
    "bedroom": (
        "bed",
        "bed",
        "cabinet",
        "wardrobe",
        "desk",
        "chair",
        "bookshelf",
        "floor_lamp",
        "bin",
        "armchair",
        "cartons",
    ),
    "living": (
        "sofa",
        "sofa",
        "armchair",
        "table",
        "television",
        "bookshelf",
        "cabinet",
        "floor_lamp",
        "tall_plant",
        "chair",
    ),
    "kitchen": ("counter", "counter", "counter", "fridge", "cabinet", "table", "chair", "stool", "bin", "bookshelf"),
    "office": (
        "desk",
        "desk",
        "office_chair",
        "bookshelf",
        "bookshelf",
        "cabinet",
        "cartons",
        "bin",
        "tall_plant",
        "chair",
    ),
    "bathroom": ("bathtub", "toilet", "washbasin", "cabinet", "counter", "bin", "bookshelf"),
    "dining": (
        "table",
        "table",
        "chair",
        "chair",
        "cabinet",
        "bookshelf",
        "floor_lamp",
        "stool",
        "tall_plant",
        "television",
    ),
    "corridor": ("cabinet", "chair", "tall_plant", "cartons", "bookshelf", "bin"),
    "classroom": ("table", "desk", "chair", "bookshelf", "cabinet", "cartons"),
    "store": ("bookshelf", "bookshelf", "cartons", "cartons", "cabinet", "wardrobe", "bin", "table", "bed"),
}
WEIGHTS = {
    "bedroom": 5,
    "living": 5,
    "kitchen": 5,
    "office": 4,
    "bathroom": 3,
    "dining": 3,
    "corridor": 2,
    "classroom": 2,
    "store": 2,
}


class _Room:
    """Bookkeeping while a room is filled: walls, what stands where, and where a camera may be."""

    def __init__(self, kit: Kit, width: float, depth: float, height: float):
        self.kit, self.w, self.d, self.h = kit, width, depth, height
        self.parts: list[Part] = []
        self.footprints: list[tuple[float, float, float, float]] = []
        self.points: list[np.ndarray] = []
        self.window = False

    def wall_length(self, wall: int) -> float:
        return self.w if wall % 2 == 0 else self.d

    def on_wall(self, parts: list[Part], wall: int, along: float, z: float = 0.0, gap: float = 0.0) -> list[Part]:
        """Parts moved against a wall (0 north, 1 east, 2 south, 3 west), `along` metres from its middle."""
        yaw = -wall * np.pi / 2
        distance = (self.d if wall % 2 == 0 else self.w) / 2 - gap
        c, s = np.cos(yaw), np.sin(yaw)
        return place(parts, c * along - s * distance, s * along + c * distance, z, yaw)

    def try_add(self, parts: list[Part], solid: bool = True, slack: float = 0.0) -> bool:
        """Keep parts unless they leave the room or overlap what stands there."""
        low, high = extent(parts)
        if (
            low[0] < -self.w / 2 - 0.06
            or high[0] > self.w / 2 + 0.06
            or low[1] < -self.d / 2 - 0.06
            or high[1] > self.d / 2 + 0.06
        ):
            return False
        if solid:
            for a0, b0, a1, b1 in self.footprints:
                if low[0] < a1 - slack and high[0] > a0 + slack and low[1] < b1 - slack and high[1] > b0 + slack:
                    return False
            self.footprints.append((float(low[0]), float(low[1]), float(high[0]), float(high[1])))
            centre = (low + high) / 2
            self.points.append(np.array([centre[0], centre[1], kit_height(self.kit, float(low[2]), float(high[2]))]))
        self.parts += parts
        return True

    def free(self, x: float, y: float, margin: float) -> bool:
        return all(
            not (a0 - margin < x < a1 + margin and b0 - margin < y < b1 + margin) for a0, b0, a1, b1 in self.footprints
        )


def kit_height(kit: Kit, low: float, high: float) -> float:
    """A height worth looking at on an object that spans low..high metres."""
    return low + kit.uniform(0.4, 1.0) * (min(high, 1.8) - low)


def _shell(room: _Room) -> None:
    kit, w, d, h = room.kit, room.w, room.d, room.h
    wall_tone = kit.shade(
        kit.pick(
            [
                (0.88, 0.85, 0.78),
                (0.8, 0.72, 0.58),
                (0.75, 0.78, 0.8),
                (0.7, 0.62, 0.45),
                (0.92, 0.92, 0.92),
                (0.65, 0.7, 0.6),
                (0.6, 0.45, 0.4),
            ]
        ),
        0.15,
    )
    paint = kit.material(("clouds", "speckle"), wall_tone, contrast=0.08, plain=0.6, metres=(0.5, 2), kind="diffuse")
    wallpaper = kit.material(
        ("stripes", "flowers", "tiles", "bricks", "planks", "leaves", "polka", "plaid", "marble"),
        kit.colour(),
        contrast=0.3,
        plain=0.1,
        metres=(0.6, 2.0),
        kind="diffuse",
    )
    floor = kit.material(
        ("planks", "planks", "tiles", "speckle", "wood", "marble", "fabric", "checker", "herringbone", "flowers"),
        kit.shade(
            kit.pick(
                [
                    (0.5, 0.33, 0.2),
                    (0.7, 0.55, 0.38),
                    (0.6, 0.58, 0.53),
                    (0.75, 0.7, 0.62),
                    (0.3, 0.2, 0.14),
                    (0.45, 0.45, 0.5),
                ]
            ),
            0.3,
        ),
        contrast=0.35,
        plain=0.1,
        metres=(0.6, 2.0),
    )
    top = kit.material(
        ("speckle", "tiles", "planks"),
        kit.shade((0.9, 0.89, 0.86), 0.1),
        contrast=0.1,
        plain=0.7,
        metres=(0.8, 2.4),
        kind="diffuse",
    )
    room.parts.append((quad((-w / 2, -d / 2, 0), (w, 0, 0), (0, d, 0)), floor))
    room.parts.append((quad((-w / 2, d / 2, h), (w, 0, 0), (0, -d, 0)), top))
    special = kit.integer(0, 3) if kit.chance(0.35) else -1
    everywhere = kit.chance(0.15)
    skirting = wooden(kit) if kit.chance(0.6) else None
    for wall in range(4):
        length = room.wall_length(wall)
        cover = wallpaper if everywhere or wall == special else paint
        room.parts += room.on_wall([(quad((-length / 2, 0, 0), (length, 0, 0), (0, 0, h)), cover)], wall, 0)
        if skirting is not None:
            room.parts += room.on_wall([(box((length, 0.02, 0.1), (0, -0.01, 0.05)), skirting)], wall, 0)
    if kit.chance(0.12):  # a sloped or dropped ceiling
        drop = kit.uniform(0.2, 0.7)
        room.parts.append((slab(w, d * kit.uniform(0.2, 0.4), h - drop, h, 0, d * 0.3), paint))


def _decorate(room: _Room) -> None:
    kit = room.kit
    for wall in range(4):
        length = room.wall_length(wall)
        at: list[float] = []
        for _ in range(kit.integer(1, 5)):
            kind = kit.pick(["picture", "picture", "window", "shelf", "door", "towel", "clock", "pictures"])
            along = kit.uniform(-length / 2 + 0.5, length / 2 - 0.5)
            if any(abs(along - other) < 0.9 for other in at):
                continue
            at.append(along)
            if kind == "picture":
                room.parts += room.on_wall(
                    framed(kit, kit.uniform(0.25, 1.2), kit.uniform(0.25, 0.8)), wall, along, kit.uniform(1.3, 1.9)
                )
            elif kind == "pictures":
                for k in range(kit.integer(2, 4)):
                    room.parts += room.on_wall(
                        framed(kit, kit.uniform(0.15, 0.3), kit.uniform(0.15, 0.4)),
                        wall,
                        along + 0.4 * k - 0.5,
                        kit.uniform(1.2, 1.9),
                    )
            elif kind == "window":
                sill = kit.uniform(0.5, 1.2)
                room.window, before = True, room.window
                room.parts += room.on_wall(
                    window(kit, kit.uniform(0.6, 1.8), min(kit.uniform(0.8, 1.6), room.h - sill - 0.3), not before),
                    wall,
                    along,
                    sill,
                )
            elif kind == "door":
                leaf = room.on_wall(door(kit), wall, along)
                if room.free(float(extent(leaf)[0][0]) + 0.4, float(extent(leaf)[0][1]) + 0.1, 0.1):
                    room.parts += leaf
            elif kind == "shelf":
                w, z = kit.uniform(0.5, 1.2), kit.uniform(1.2, 1.9)
                board: list[Part] = [(box((w, 0.22, 0.03), (0, -0.11, 0)), wooden(kit))]
                board += (
                    place(book_row(kit, w * 0.6, 0.28), -w / 2, -0.22, 0.015)
                    if kit.chance(0.5)
                    else scatter(kit, 5, (-w / 2, w / 2), (-0.22, 0), 0.015, 0.35)
                )
                room.parts += room.on_wall(board, wall, along, z)
            elif kind == "towel":
                room.parts += room.on_wall(place(towel(kit), 0, -0.05), wall, along, kit.uniform(0.7, 1.2))


def _light(room: _Room, scene: Scene) -> None:
    kit, h = room.kit, room.h
    warm = kit.pick([(1.0, 0.82, 0.6), (1.0, 0.93, 0.84), (0.92, 0.96, 1.0), (1.0, 0.75, 0.5)])
    power = np.array(kit.shade(warm, 0.1)) * 12
    colour = (float(power[0]), float(power[1]), float(power[2]))
    for _ in range(1 if room.window else kit.integer(1, 2)):  # few lights: each one adds noise
        x, y = kit.uniform(-0.35, 0.35) * room.w, kit.uniform(-0.35, 0.35) * room.d
        style = kit.rng.random()
        if style < 0.5 or (style > 0.8 and not kit.allowed("ceiling_fan")):
            scene.lights.append(
                Light("panel", (x, y, h - 0.02), colour, size=(kit.uniform(0.2, 1.2), kit.uniform(0.2, 0.8)))
            )
            continue
        room.parts += place(ceiling_fan(kit) if style > 0.8 else lampshade(kit, kit.uniform(0.4, 1.3)), x, y, h)
        scene.lights.append(Light("point", (x + 0.2, y, h - 0.1), (colour[0] / 4, colour[1] / 4, colour[2] / 4)))
    for _ in range(kit.integer(0, 2)):
        room.parts += place(
            lampshade(kit, kit.uniform(0.5, 1.5)), kit.uniform(-0.4, 0.4) * room.w, kit.uniform(-0.4, 0.4) * room.d, h
        )


def room_scene(kit: Kit, theme: str | None = None) -> Scene:
    """A furnished room with cameras at hand-held heights, from overviews to close-ups of clutter."""
    names = sorted(THEMES)
    weights = np.array([WEIGHTS[name] for name in names], dtype=float)
    theme = theme or names[int(kit.rng.choice(len(names), p=weights / weights.sum()))]
    kit.families.add(f"room:{theme}")
    big = theme in ("classroom", "living", "office", "store")
    w, d = (
        (kit.uniform(1.4, 2.2), kit.uniform(5, 10))
        if theme == "corridor"
        else (kit.uniform(2.6, 5 + 3 * big), kit.uniform(2.6, 5 + 3 * big))
    )
    room = _Room(kit, w, d, kit.uniform(2.3, 3.1))
    scene = Scene(ambient=(kit.uniform(0.3, 0.9),) * 3)
    _shell(room)
    for wall in range(4):
        length = room.wall_length(wall)
        along = -length / 2 + kit.uniform(0, 0.4)
        while along < length / 2 - 0.3:
            name = kit.choose(THEMES[theme])
            piece = FURNITURE[name](kit)
            low, high = extent(piece)
            width = float(high[0] - low[0])
            if along + width < length / 2:
                room.try_add(room.on_wall(piece, wall, along - float(low[0]), gap=0.03), slack=0.02)
            along += width + (kit.uniform(0, 0.25) if kit.chance(0.75) else kit.uniform(0.3, 1.2))
    for _ in range(kit.integer(1, 6 if big else 3)):
        name = kit.choose(
            ("table", "chair", "sofa", "stool", "armchair", "person", "office_chair", "bin", "cartons", *THEMES[theme])
        )
        piece = place(
            FURNITURE[name](kit),
            kit.uniform(-0.4, 0.4) * w,
            kit.uniform(-0.4, 0.4) * d,
            0,
            kit.heading() if kit.chance(0.5) else kit.integer(0, 3) * np.pi / 2,
        )
        if room.try_add(piece, slack=0.02) and name in ("table", "desk"):
            low, high = extent(piece)
            for _ in range(kit.integer(0, 4)):
                angle = kit.heading()
                cx, cy = (
                    (low[0] + high[0]) / 2 + np.cos(angle) * (high[0] - low[0] + 0.5) / 2,
                    (low[1] + high[1]) / 2 + np.sin(angle) * (high[1] - low[1] + 0.5) / 2,
                )
                room.try_add(place(FURNITURE["chair"](kit), float(cx), float(cy), 0, angle - np.pi / 2), slack=0.12)
    for _ in range(kit.integer(0, 6)):
        prop = place(any_prop(kit), kit.uniform(-0.45, 0.45) * w, kit.uniform(-0.45, 0.45) * d, 0.005, kit.heading())
        if room.free(float(prop[0][0].vertices[0, 0]), float(prop[0][0].vertices[0, 1]), 0.05):
            room.parts += prop
    if kit.chance(0.4):
        rug = slab(kit.uniform(1, 2.5), kit.uniform(0.8, 1.8), 0.002, 0.012)
        room.parts.append(
            (
                rug.moved((kit.uniform(-0.2, 0.2) * w, kit.uniform(-0.2, 0.2) * d, 0), kit.heading()),
                kit.material((*CLOTH, "shapes"), metres=(0.5, 1.6), plain=0.1, kind="diffuse"),
            )
        )
    _decorate(room)
    _light(room, scene)
    if kit.chance(0.1):
        room.parts += place(person(kit), kit.uniform(-0.3, 0.3) * w, kit.uniform(-0.3, 0.3) * d)
    if kit.chance(0.12):
        column = slab(
            kit.uniform(0.2, 0.5),
            kit.uniform(0.2, 0.5),
            0,
            room.h,
            kit.uniform(-0.3, 0.3) * w,
            kit.uniform(-0.3, 0.3) * d,
        )
        room.try_add([(column, kit.material(ANY, plain=0.6))])
    scene.parts = room.parts

    def propose(rng: np.random.Generator) -> Camera:
        return _camera(room, rng)

    scene.propose = propose
    return scene


def _camera(room: _Room, rng: np.random.Generator) -> Camera:
    w, d, h = room.w, room.d, room.h
    style = rng.random()
    fov = float(rng.uniform(48, 76))
    roll = float(rng.normal(0, 3)) if rng.random() < 0.75 else float(rng.uniform(-15, 15))
    z = float(rng.uniform(0.8, 1.75))
    for _ in range(30):
        x, y = rng.uniform(-0.46, 0.46) * w, rng.uniform(-0.46, 0.46) * d
        if room.free(x, y, 0.12):
            break
    eye = np.array([x, y, z])
    if style < 0.45 or not room.points:  # an overview: across the room, tilted down a little
        yaw = np.arctan2(-y + rng.uniform(-0.5, 0.5) * d, -x + rng.uniform(-0.5, 0.5) * w)
        pitch = np.radians(rng.normal(-14, 11))
    elif style < 0.85:  # towards one piece, sometimes close to it
        point = room.points[int(rng.integers(len(room.points)))]
        away = eye[:2] - point[:2]
        distance = float(np.hypot(*away))
        wanted = float(rng.uniform(0.7, 2.2))
        if distance > wanted:
            eye[:2] = point[:2] + away / distance * wanted
        towards = point - eye + rng.normal(0, 0.15, 3)
        yaw, pitch = np.arctan2(towards[1], towards[0]), np.arctan2(towards[2], np.hypot(towards[0], towards[1]))
        pitch = np.clip(pitch, np.radians(-50), np.radians(10))
    elif style < 0.95:  # upwards
        yaw, pitch = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(5, 40))
        eye[2] = rng.uniform(0.4, 1.5)
    else:  # from high up
        eye[2] = h - rng.uniform(0.2, 0.6)
        yaw, pitch = np.arctan2(-y, -x) + rng.normal(0, 0.3), np.radians(rng.uniform(-65, -30))
    look = eye + np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    return Camera(
        (float(eye[0]), float(eye[1]), float(eye[2])), (float(look[0]), float(look[1]), float(look[2])), fov, roll
    )
