"""Triangle meshes as arrays, and the primitive shapes that every scene is assembled from.

World axes: x right, y forward, z up; lengths in metres. Texture coordinates are in metres too, so that a material has
one physical size wherever it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh: vertices float64 [V, 3] (m), normals [V, 3] (unit), uv [V, 2] (m), faces int64 [F, 3]."""

    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray

    def moved(self, offset: Sequence[float] | np.ndarray = (0, 0, 0), yaw: float = 0.0, scale: float = 1.0) -> Mesh:
        """Scale about the origin, turn about z by `yaw` radians, then translate by `offset` metres."""
        return self.rotated(rotation_z(yaw), offset, scale)

    def rotated(
        self, rotation: np.ndarray, offset: Sequence[float] | np.ndarray = (0, 0, 0), scale: float = 1.0
    ) -> Mesh:
        """Scale, apply the rotation matrix [3, 3], then translate by `offset` metres."""
        vertices = (self.vertices * scale) @ rotation.T + np.asarray(offset, dtype=float)
        return Mesh(vertices, self.normals @ rotation.T, self.uv * scale, self.faces)

    def stretched(self, factors: Sequence[float]) -> Mesh:
        """Scale each axis on its own; normals are corrected by the inverse factors."""
        factor = np.asarray(factors, dtype=float)
        return Mesh(self.vertices * factor, _unit(self.normals / factor), self.uv * factor.mean(), self.faces)

    def unit_uv(self) -> Mesh:
        """The same mesh with texture coordinates stretched to 0..1, for a picture shown once; v grows upward."""
        low, high = self.uv.min(axis=0), self.uv.max(axis=0)
        return Mesh(self.vertices, self.normals, (self.uv - low) / np.maximum(high - low, 1e-9), self.faces)


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several, without sharing vertices."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
    )


def rotation_z(angle: float) -> np.ndarray:
    """Rotation matrix [3, 3] about z by `angle` radians, counter-clockwise seen from above."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotation_x(angle: float) -> np.ndarray:
    """Rotation matrix [3, 3] about x by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rotation_y(angle: float) -> np.ndarray:
    """Rotation matrix [3, 3] about y by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation matrix [3, 3] drawn uniformly (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return q


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def smooth_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals [V, 3]."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    face_normals = np.cross(b - a, c - a)
    normals = np.empty_like(vertices)
    index = faces.T.ravel()
    for axis in range(3):
        normals[:, axis] = np.bincount(index, np.tile(face_normals[:, axis], 3), len(vertices))
    return _unit(normals)


def faceted(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A flat-shaded mesh: every triangle gets its own vertices, and uv from the dominant axis plane."""
    corners = vertices[faces].reshape(-1, 3)
    triangle = corners.reshape(-1, 3, 3)
    normals = _unit(np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]))
    normals = np.repeat(normals, 3, axis=0)
    return Mesh(corners, normals, planar_uv(corners, normals), np.arange(len(corners)).reshape(-1, 3))


def planar_uv(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Texture coordinates [V, 2] by projecting along the dominant axis of each normal."""
    axis = np.abs(normals).argmax(axis=1)
    u = np.where(axis == 0, points[:, 1], points[:, 0])
    v = np.where(axis == 2, points[:, 1], points[:, 2])
    return np.stack([u, v], axis=1)


def surface(points: np.ndarray, uv: np.ndarray | None = None, close_u: bool = False) -> Mesh:
    """A smooth sheet through a grid of points [M, N, 3]; `close_u` marks that the last column repeats the first."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    vertices = points.reshape(-1, 3)
    normals = smooth_normals(vertices, faces)
    if close_u:  # the seam's two columns are one place, so they share a normal
        grid = normals.reshape(rows, columns, 3)
        seam = _unit(grid[:, 0] + grid[:, -1])
        grid[:, 0] = seam
        grid[:, -1] = seam
    if uv is None:
        along = np.linalg.norm(np.diff(points, axis=1, prepend=points[:, :1]), axis=2).cumsum(axis=1)
        across = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=2).cumsum(axis=0)
        uv = np.stack([along, across], axis=-1)
    return Mesh(vertices, normals, uv.reshape(-1, 2), faces)


def _box_template() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corner signs [24, 3], normals [24, 3], in-plane axes of each corner [24, 2], uv corners, faces [12, 3]."""
    corners, normals, axes, uv = [], [], [], []
    for axis in range(3):
        for side in (1.0, -1.0):
            a, b = ((axis + 1) % 3, (axis + 2) % 3) if side > 0 else ((axis + 2) % 3, (axis + 1) % 3)
            for s, r in ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)):
                corner, normal = np.zeros(3), np.zeros(3)
                corner[[axis, a, b]] = side, s, r
                normal[axis] = side
                corners.append(corner)
                normals.append(normal)
                flat = (a, b) if b == 2 or (a != 2 and a < b) else (b, a)
                axes.append(flat)
                uv.append([corner[flat[0]] + 1, corner[flat[1]] + 1])
    base = np.arange(6)[:, None, None] * 4
    faces = (base + np.array([[0, 1, 2], [0, 2, 3]])[None]).reshape(-1, 3)
    return np.array(corners), np.array(normals), np.array(axes), np.array(uv), faces


_CORNERS, _NORMALS, _AXES, _UV, _FACES = _box_template()


def box(size: Sequence[float], centre: Sequence[float] = (0, 0, 0)) -> Mesh:
    """An axis-aligned box of `size` (x, y, z) metres."""
    half = np.asarray(size, dtype=float) / 2
    return Mesh(_CORNERS * half + np.asarray(centre, dtype=float), _NORMALS, _UV * half[_AXES], _FACES)


def slab(x: float, y: float, z0: float, z1: float, cx: float = 0.0, cy: float = 0.0) -> Mesh:
    """A box of footprint x by y metres centred on (cx, cy), from height z0 to z1."""
    return box((x, y, z1 - z0), (cx, cy, (z0 + z1) / 2))


def quad(corner: Sequence[float], edge_u: Sequence[float], edge_v: Sequence[float]) -> Mesh:
    """A parallelogram with a corner and two edge vectors, facing edge_u x edge_v."""
    c, u, v = (np.asarray(value, dtype=float) for value in (corner, edge_u, edge_v))
    normal = _unit(np.cross(u, v))
    lu, lv = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    uv = np.array([[0, 0], [lu, 0], [lu, lv], [0, lv]], dtype=float)
    return Mesh(np.array([c, c + u, c + u + v, c + v]), np.tile(normal, (4, 1)), uv, np.array([[0, 1, 2], [0, 2, 3]]))


def lathe(profile: Sequence[tuple[float, float]], segments: int = 20) -> Mesh:
    """A surface of revolution about z through (radius, height) points, outward-facing for rising heights."""
    radius, height = np.asarray(profile, dtype=float).T
    angle = np.linspace(0.0, 2 * np.pi, segments + 1)
    x = radius[:, None] * np.cos(angle)
    y = radius[:, None] * np.sin(angle)
    z = np.broadcast_to(height[:, None], x.shape)
    widest = max(float(radius.max()), 1e-6)
    length = np.hypot(np.diff(radius, prepend=radius[0]), np.diff(height, prepend=height[0])).cumsum()
    uv = np.stack(np.broadcast_arrays(angle[None] * widest, length[:, None]), axis=-1)
    return surface(np.stack([x, y, z], axis=-1), uv, close_u=True)


def cylinder(radius: float, z0: float, z1: float, segments: int = 16, top_radius: float | None = None) -> Mesh:
    """A capped (truncated) cone about z; sharp rims."""
    top = radius if top_radius is None else top_radius
    side = lathe([(radius, z0), (top, z1)], segments)
    caps = [lathe([(0.0, z0), (radius, z0)], segments), lathe([(top, z1), (0.0, z1)], segments)]
    return merge([side, caps[0], caps[1]])


def sphere(radius: float, segments: int = 20) -> Mesh:
    """A UV sphere around the origin."""
    t = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    return lathe([(radius * float(np.cos(a)), radius * float(np.sin(a))) for a in t], segments)


def superquadric(half: Sequence[float] | np.ndarray, e1: float, e2: float, segments: int = 20) -> Mesh:
    """A superellipsoid with half axes `half` (m) and exponents e1, e2 (1: ellipsoid, towards 0: box).

    Barr, Superquadrics and Angle-Preserving Transformations, IEEE CG&A 1981.
    """
    eta = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)[:, None]
    omega = np.linspace(-np.pi, np.pi, segments + 1)[None]

    def power(value: np.ndarray, exponent: float) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** exponent

    x = half[0] * power(np.cos(eta), e1) * power(np.cos(omega), e2)
    y = half[1] * power(np.cos(eta), e1) * power(np.sin(omega), e2)
    z = half[2] * power(np.sin(eta), e1) * np.ones_like(omega)
    return surface(np.stack([x, y, z], axis=-1), close_u=True)


def cushion(x: float, y: float, z0: float, z1: float, cx: float = 0.0, cy: float = 0.0, soft: float = 0.3) -> Mesh:
    """A rounded block of footprint x by y metres from height z0 to z1; larger `soft` is rounder."""
    mesh = superquadric((x / 2, y / 2, (z1 - z0) / 2), soft, soft, 24)
    return mesh.moved((cx, cy, (z0 + z1) / 2))


def torus(major: float, minor: float, segments: int = 20) -> Mesh:
    """A ring around z."""
    a = np.linspace(0, 2 * np.pi, segments + 1)[None]
    b = np.linspace(0, 2 * np.pi, segments // 2 + 1)[:, None]
    r = major + minor * np.cos(b)
    return surface(np.stack([r * np.cos(a), r * np.sin(a), minor * np.sin(b) * np.ones_like(a)], axis=-1), close_u=True)


def tube(path: np.ndarray, radii: Sequence[float] | np.ndarray | float, segments: int = 8) -> Mesh:
    """A round tube along a path of points [N, 3] with one radius a point."""
    points = np.asarray(path, dtype=float)
    tangent = _unit(np.gradient(points, axis=0))
    reference = np.array([0.0, 0.0, 1.0]) if abs(tangent[0, 2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    side = _unit(np.cross(tangent, reference))
    other = np.cross(tangent, side)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    radius = np.broadcast_to(np.asarray(radii, dtype=float), (len(points),))[:, None, None]
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * other[:, None]
    return surface(points[:, None] + radius * ring, close_u=True)


def extrude(outline: np.ndarray, z0: float, z1: float) -> Mesh:
    """A prism over a star-shaped outline [N, 2] (counter-clockwise), flat-shaded."""
    n = len(outline)
    bottom = np.column_stack([outline, np.full(n, z0)])
    top = np.column_stack([outline, np.full(n, z1)])
    centre = np.append(outline.mean(axis=0), z1)[None]
    vertices = np.concatenate([bottom, top, centre])
    i = np.arange(n)
    j = (i + 1) % n
    faces = np.concatenate(
        [np.stack([i, j, n + j], 1), np.stack([i, n + j, n + i], 1), np.stack([n + i, n + j, np.full(n, 2 * n)], 1)]
    )
    return faceted(vertices, faces)


def height_field(heights: np.ndarray, size: tuple[float, float]) -> Mesh:
    """Terrain over a rectangle of `size` (x, y) metres around the origin; heights [M, N] in metres, rows along y."""
    rows, columns = heights.shape
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, columns) * size[0], np.linspace(-0.5, 0.5, rows) * size[1])
    return surface(np.stack([x, y, heights], axis=-1), np.stack([x, y], axis=-1))


def rock(rng: np.random.Generator, radius: float, roughness: float = 0.25, segments: int = 20) -> Mesh:
    """A sphere displaced by a few random plane waves: a boulder, or a lump of anything."""
    ball = sphere(1.0, segments)
    offset = np.zeros(len(ball.vertices))
    for octave in range(4):
        waves = rng.normal(size=(3, 3)) * 1.6 * 2**octave
        offset += (np.sin(ball.vertices @ waves.T + rng.uniform(0, 6.28, 3)).sum(axis=1) / 3) * 0.6**octave
    vertices = ball.vertices * (1 + roughness * offset[:, None]) * radius * rng.uniform(0.6, 1.2, 3)
    return Mesh(vertices, smooth_normals(vertices, ball.faces), ball.uv * radius, ball.faces)


def cloth(rng: np.random.Generator, width: float, height: float, fold: float, folds: float, columns: int = 60) -> Mesh:
    """A hanging curtain in the xz plane, from z = 0 up to `height`, folds of depth `fold` metres along y."""
    u = np.linspace(0, 1, columns)
    v = np.linspace(0, 1, 6)[:, None]
    phase = rng.uniform(0, 6.28)
    y = fold * np.sin(u * folds * 2 * np.pi + phase + 0.8 * np.sin(3 * u + phase)) * (1.2 - 0.5 * v)
    x = np.broadcast_to((u - 0.5) * width, y.shape)
    return surface(np.stack([x, y, np.broadcast_to(v * height, y.shape)], axis=-1))
