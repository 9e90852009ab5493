"""Figures, abstract solids, clothes and curiosities, standing on z = 0 around the origin."""

from __future__ import annotations

import numpy as np

from dabench.render.finishes import ANY, CLOTH, plain_metal
from dabench.render.kit import Kit, Part
from dabench.render.mesh import (
    Mesh,
    cloth,
    cushion,
    extrude,
    faceted,
    lathe,
    random_rotation,
    rock,
    rotation_x,
    rotation_y,
    slab,
    sphere,
    superquadric,
    torus,
    tube,
)


def clothes(kit: Kit) -> list[Part]:
    """A crumpled heap of cloth, a bag or a pillow."""
    lump = rock(kit.rng, kit.uniform(0.1, 0.28), kit.uniform(0.15, 0.35), 26)
    flat = lump.stretched((1, 1, kit.uniform(0.3, 0.8)))
    low = float(flat.vertices[:, 2].min())
    return [(flat.moved((0, 0, -low * 0.8)), kit.material(CLOTH, metres=(0.1, 0.5), plain=0.3, kind="diffuse"))]


def solid(kit: Kit) -> list[Part]:
    """Some abstract object: superquadric, polyhedron, prism, ring or turned shape, in any pose."""
    size = kit.uniform(0.04, 0.18)
    kind = kit.pick(["superquadric", "hull", "prism", "ring", "turned"])
    if kind == "superquadric":
        mesh = superquadric(size * kit.rng.uniform(0.4, 1.2, 3), kit.uniform(0.15, 2), kit.uniform(0.15, 2))
    elif kind == "hull":
        points = kit.rng.normal(size=(kit.integer(6, 14), 3))
        points *= size / np.linalg.norm(points, axis=1, keepdims=True)
        mesh = _hull(points)
    elif kind == "prism":
        corners = kit.integer(3, 8)
        angle = np.arange(corners) / corners * 2 * np.pi
        radius = size * (0.7 + 0.5 * kit.rng.random(corners))
        mesh = extrude(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), -size * 0.6, size * 0.6)
    elif kind == "ring":
        mesh = torus(size, size * kit.uniform(0.1, 0.4))
    else:
        z = np.linspace(-size, size, 9)
        mesh = lathe([(0, -size), *[(size * kit.uniform(0.2, 0.9), float(h)) for h in z], (0, size)], 18)
    if kit.chance(0.6):
        mesh = mesh.rotated(random_rotation(kit.rng))
    low = float(mesh.vertices[:, 2].min())
    return [(mesh.moved((0, 0, -low)), kit.material(ANY, metres=(0.1, 0.5), vivid=0.4))]


def _hull(points: np.ndarray) -> Mesh:
    from scipy.spatial import ConvexHull

    hull = ConvexHull(points)
    faces = hull.simplices.copy()
    a, b, c = (points[faces[:, k]] for k in range(3))
    inward = (np.cross(b - a, c - a) * (a + b + c)).sum(axis=1) < 0
    faces[inward] = faces[inward][:, [0, 2, 1]]
    return faceted(points, faces)


def toy(kit: Kit) -> list[Part]:
    """A plush figure: body, head, ears, limbs."""
    s = kit.uniform(0.06, 0.16)
    fur = kit.material(CLOTH, metres=(0.05, 0.3), kind="diffuse", vivid=0.5)
    other = kit.material(CLOTH, metres=(0.05, 0.3), kind="diffuse", vivid=0.5)
    parts: list[Part] = [
        (superquadric((s * 0.7, s * 0.6, s * 0.9), 1, 1, 14).moved((0, 0, s * 0.9)), fur),
        (sphere(s * 0.6, 14).moved((0, 0, s * 2.1)), fur),
    ]
    ear = kit.uniform(0.2, 0.8)
    for side in (-1, 1):
        parts.append((superquadric((s * 0.2, s * 0.1, s * ear), 1, 1, 10).moved((side * s * 0.4, 0, s * 2.6)), other))
        parts.append(
            (superquadric((s * 0.25, s * 0.7, s * 0.25), 1, 1, 10).moved((side * s * 0.5, -s * 0.5, s * 0.25)), other)
        )
        parts.append((superquadric((s * 0.6, s * 0.2, s * 0.2), 1, 1, 10).moved((side * s * 0.9, 0, s * 1.3)), fur))
    parts.append((sphere(s * 0.18, 8).moved((0, -s * 0.6, s * 2.05)), other))
    return parts


def teapot(kit: Kit) -> list[Part]:
    """A pot with a lid, spout and handle."""
    r = kit.uniform(0.06, 0.11)
    t = np.linspace(-1.2, 1.2, 9)
    paint = kit.material(ANY, metres=(0.1, 0.4), plain=0.5, kind="plastic", vivid=0.4)
    parts: list[Part] = [
        (lathe([(0, 0), *[(float(r * np.cos(a)), float(r * 0.9 + r * 0.95 * np.sin(a))) for a in t]], 20), paint)
    ]
    parts.append(
        (
            lathe([(r * 0.45, r * 1.75), (r * 0.3, r * 1.9), (0.01, r * 1.95), (0.015, r * 2.1), (0, r * 2.15)], 14),
            paint,
        )
    )
    spout = np.array([[r * 0.8, 0, r * 0.7], [r * 1.3, 0, r * 0.9], [r * 1.6, 0, r * 1.5]])
    parts.append((tube(spout, [r * 0.25, r * 0.15, r * 0.1], 8), paint))
    parts.append((torus(r * 0.5, r * 0.08, 14).rotated(rotation_x(np.pi / 2), (-r * 1.15, 0, r)), paint))
    return parts


def robot(kit: Kit) -> list[Part]:
    """A toy robot of boxes."""
    s = kit.uniform(0.06, 0.15)
    shell = kit.material((), kind="plastic", vivid=0.6)
    trim = plain_metal(kit)
    parts: list[Part] = [(slab(s, s * 0.7, s, s * 2.2), shell), (slab(s * 0.7, s * 0.6, s * 2.3, s * 2.9), trim)]
    for side in (-1, 1):
        parts.append((slab(s * 0.3, s * 0.4, 0, s, side * s * 0.28), trim))
        parts.append((slab(s * 0.22, s * 0.3, s * 1.0, s * 2.1, side * s * 0.65), shell))
        parts.append((sphere(s * 0.09, 8).moved((side * s * 0.17, -s * 0.31, s * 2.6)), shell))
    return parts


def knot(kit: Kit) -> list[Part]:
    """A (p, q) torus knot on the ground."""
    s, p, q = kit.uniform(0.06, 0.14), kit.integer(2, 3), kit.pick([3, 5, 7])
    t = np.linspace(0, 2 * np.pi, 121)
    r = 1 + 0.4 * np.cos(q * t)
    path = s * np.stack([r * np.cos(p * t), r * np.sin(p * t), 0.5 + 0.4 * np.sin(q * t)], axis=1)
    mesh = tube(path, s * kit.uniform(0.08, 0.16), 10)
    low = float(mesh.vertices[:, 2].min())
    return [(mesh.moved((0, 0, -low)), kit.material(ANY, metres=(0.05, 0.3), vivid=0.5))]


def crystal(kit: Kit) -> list[Part]:
    """A cluster of pointed prisms."""
    paint = kit.material(("clouds", "marble"), metres=(0.1, 0.4), kind="plastic", vivid=0.7)
    parts: list[Part] = []
    for _ in range(kit.integer(4, 9)):
        r, h = kit.uniform(0.01, 0.035), kit.uniform(0.06, 0.2)
        angle = np.arange(6) / 6 * 2 * np.pi
        ring = np.stack([np.cos(angle), np.sin(angle)], 1) * r
        vertices = np.concatenate(
            [np.column_stack([ring, np.zeros(6)]), np.column_stack([ring, np.full(6, h * 0.75)]), [[0, 0, h]]]
        )
        i, j = np.arange(6), (np.arange(6) + 1) % 6
        faces = np.concatenate(
            [np.stack([i, j, 6 + j], 1), np.stack([i, 6 + j, 6 + i], 1), np.stack([6 + i, 6 + j, np.full(6, 12)], 1)]
        )
        lean = rotation_x(kit.uniform(-0.6, 0.6)) @ rotation_y(kit.uniform(-0.6, 0.6))
        parts.append((faceted(vertices, faces).rotated(lean, (*kit.around(0.02), 0)), paint))
    return parts


def shoe(kit: Kit) -> list[Part]:
    """A shoe: sole, toe, heel cup."""
    paint = kit.material(CLOTH, metres=(0.05, 0.2), plain=0.6, vivid=0.4)
    sole = kit.material((), kind="diffuse")
    return [
        (cushion(0.09, 0.27, 0, 0.03, soft=0.4), sole),
        (cushion(0.085, 0.16, 0.02, 0.075, 0, -0.05, 0.8), paint),
        (cushion(0.075, 0.13, 0.02, 0.12, 0, 0.06, 0.6), paint),
    ]


def towel(kit: Kit) -> list[Part]:
    """Hanging cloth; its top edge at z = height."""
    mesh = cloth(kit.rng, kit.uniform(0.2, 0.6), kit.uniform(0.3, 0.9), 0.02, kit.uniform(2, 5), 30)
    return [(mesh, kit.material(CLOTH, metres=(0.1, 0.6), kind="diffuse"))]
