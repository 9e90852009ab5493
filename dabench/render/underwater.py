"""The sea bed: rocks, corals, weeds, fish, wreckage, seen through water."""

from __future__ import annotations

import numpy as np

from dabench.render.kit import Camera, Kit, Light, Part, Scene, direction, place
from dabench.render.mesh import rotation_z
from dabench.render.nature import (
    ball_float,
    coral,
    fish,
    ground,
    height_at,
    jelly,
    kelp,
    manta,
    relief,
    scattered,
    starfish,
    stone,
    wreckage,
)


def underwater_scene(kit: Kit) -> Scene:
    """Reefs and sand with animals at all heights; cameras look along, down, and up."""
    kit.families.add("sea")
    size = kit.uniform(20, 50)
    heights = relief(kit, 90, size, size * kit.uniform(0.02, 0.22), kit.uniform(1.4, 2.2))
    sand = kit.material(
        ("caustics", "speckle", "clouds", "caustics"),
        kit.shade(kit.pick([(0.7, 0.65, 0.5), (0.5, 0.47, 0.4), (0.4, 0.4, 0.35)]), 0.25),
        contrast=0.5,
        metres=(1, 4),
        plain=0,
        kind="diffuse",
    )
    parts: list[Part] = [(ground(heights, size), sand)]
    near = kit.uniform(4, 8)
    parts += scattered(kit, ["stone"], {"stone": stone}, kit.integer(4, 16), heights, size, near, (0.5, 2.5), 1.0)
    parts += scattered(kit, ["coral"], {"coral": coral}, kit.integer(6, 30), heights, size, near, (0.6, 2.0), 0.8)
    parts += scattered(kit, ["kelp"], {"kelp": kelp}, kit.integer(0, 12), heights, size, near, (0.7, 1.6), 1.0)
    if kit.allowed("starfish"):
        parts += scattered(kit, ["starfish"], {"starfish": starfish}, 5, heights, size, 4)
    if kit.chance(0.5):
        parts += scattered(
            kit, ["wreckage"], {"wreckage": wreckage}, kit.integer(1, 4), heights, size, 5, keep_clear=1.2
        )
    base = height_at(heights, size, 0, 0)
    shoal = fish(kit)
    for _ in range(kit.integer(1, 26)):
        animal = shoal if kit.chance(0.6) else fish(kit)
        at = kit.rng.normal(0, 2.5, 3) + np.array([0, 0, base + 1.6])
        if np.hypot(at[0], at[1]) > 0.7:
            parts += place(
                animal, float(at[0]), float(at[1]), max(float(at[2]), base + 0.3), kit.heading(), kit.uniform(0.7, 1.4)
            )
    for _ in range(kit.integer(0, 4)):
        other = kit.choose(("jelly", "manta", "buoy"))
        animal = {"jelly": jelly, "manta": manta, "buoy": ball_float}[other](kit)
        parts += place(animal, *kit.around(3), base + kit.uniform(1, 3.5), kit.heading())
    if kit.chance(0.3):  # a wall or an overhang of rock
        side = kit.heading()
        away = rotation_z(side) @ np.array([0.0, kit.uniform(2.5, 5), 0.0])
        for k in range(kit.integer(3, 7)):
            parts += place(
                stone(kit, 1.0, 1.8),
                away[0] + kit.uniform(-1.5, 1.5),
                away[1] + kit.uniform(-1.5, 1.5),
                base + 0.8 * k,
                kit.heading(),
            )
    down = -direction(kit.heading(), kit.uniform(0.9, 1.5))
    top = Light("sun", (float(down[0]), float(down[1]), float(down[2])), (2.0, 2.0, 2.0))
    sky = np.full((16, 32, 3), 0.35, np.float32)
    sky[:6] = 1.0
    scene = Scene(parts, [top], sky, (kit.uniform(0.2, 0.5),) * 3)

    def propose(rng: np.random.Generator) -> Camera:
        x, y = rng.normal(0, 1.6, 2)
        eye = np.array([x, y, height_at(heights, size, x, y) + rng.uniform(0.4, 3.0)])
        style = rng.random()
        pitch = np.radians(
            rng.normal(-8, 10) if style < 0.5 else rng.uniform(-75, -25) if style < 0.75 else rng.uniform(5, 45)
        )
        look = eye + direction(rng.uniform(0, 2 * np.pi), pitch)
        roll = float(rng.normal(0, 8))
        return Camera(
            (float(eye[0]), float(eye[1]), float(eye[2])),
            (float(look[0]), float(look[1]), float(look[2])),
            float(rng.uniform(50, 85)),
            roll,
        )

    scene.propose = propose
    return scene
