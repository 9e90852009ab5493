"""A small ray caster for boxes, ellipsoids and cylinders: exact z-depth, texture and one light, in milliseconds.

World axes: x right, y up, z forward. A camera ray has unit forward component, so its parameter at a hit is the z-depth
(metres along the optical axis). Everything is float32 NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Texture = Callable[[Array, Array], Array]
"""(position [N, 3] in metres in the solid's own axes, normal [N, 3] likewise) -> colour [N, 3] in [0, 1]."""

FAR = np.float32(1e4)


@dataclass(frozen=True)
class Solid:
    """An oriented shape: `kind` "box" (and "room", seen from inside), "ellipsoid", "cylinder" (along y).

    centre [3] and half sizes [3] in metres; axes [3, 3] has the solid's axes in world coordinates as columns.
    """

    kind: str
    centre: Array
    half: Array
    texture: Texture
    axes: Array = field(default_factory=lambda: np.eye(3, dtype=np.float32))


@dataclass(frozen=True)
class Camera:
    """position [3] in metres; axes [3, 3] with right, up, forward as columns; focal length in pixels."""

    position: Array
    axes: Array
    focal: float


@dataclass(frozen=True)
class View:
    """image: float32 [H, W, 3] linear RGB; depth: float32 [H, W] metres, 0 where no surface was hit."""

    image: Array
    depth: Array


def hit(solid: Solid, origins: Array, directions: Array) -> Array:
    """Parameter [N] of the first hit in front of `origins` [N, 3] along `directions` [N, 3]; FAR for a miss."""
    o = ((origins - solid.centre) @ solid.axes) / solid.half
    d = (directions @ solid.axes) / solid.half
    d = np.where(np.abs(d) < 1e-9, np.float32(1e-9), d)
    if solid.kind == "ellipsoid":
        enter, leave = _quadratic(d, o)
    elif solid.kind == "cylinder":
        round_in, round_out = _quadratic(d[:, ::2], o[:, ::2])
        a, b = (-1 - o[:, 1]) / d[:, 1], (1 - o[:, 1]) / d[:, 1]
        enter, leave = np.maximum(round_in, np.minimum(a, b)), np.minimum(round_out, np.maximum(a, b))
    else:
        a, b = (-1 - o) / d, (1 - o) / d
        enter, leave = np.minimum(a, b).max(1), np.maximum(a, b).min(1)
        if solid.kind == "room":
            return np.where(leave > 1e-3, leave, FAR)
    return np.where((enter < leave) & (enter > 1e-3), enter, FAR)


def _quadratic(d: Array, o: Array) -> tuple[Array, Array]:
    a, b, c = (d * d).sum(1), (d * o).sum(1), (o * o).sum(1) - 1
    discriminant = b * b - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    missed = discriminant <= 0
    return np.where(missed, FAR, (-b - root) / a), np.where(missed, -FAR, (-b + root) / a)


def _normal(solid: Solid, local: Array) -> Array:
    """Outward normals [N, 3] in the solid's axes at `local` [N, 3] (in half sizes); inward for a room."""
    if solid.kind == "ellipsoid":
        normal = local / solid.half
    elif solid.kind == "cylinder":
        cap = np.abs(local[:, 1]) > 0.999
        normal = np.where(cap[:, None], local * [0, 1, 0], local * [1, 0, 1] / solid.half)
    else:
        normal = np.eye(3, dtype=np.float32)[np.abs(local).argmax(1)] * np.sign(local)
        if solid.kind == "room":
            normal = -normal
    return (normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _window(solid: Solid, camera: Camera, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Pixels that a solid can cover: the box around its projected corners, or everything where it passes the camera."""
    everything = slice(0, size[0]), slice(0, size[1])
    if solid.kind == "room":
        return everything
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    corners = ((signs * solid.half) @ solid.axes.T + solid.centre - camera.position) @ camera.axes
    if corners[:, 2].max() <= 0.01:
        return None
    if corners[:, 2].min() <= 0.05:
        return everything
    columns = corners[:, 0] / corners[:, 2] * camera.focal + size[1] / 2
    rows = -corners[:, 1] / corners[:, 2] * camera.focal + size[0] / 2
    top, bottom = np.clip([np.floor(rows.min()), np.ceil(rows.max()) + 1], 0, size[0]).astype(int)
    left, right = np.clip([np.floor(columns.min()), np.ceil(columns.max()) + 1], 0, size[1]).astype(int)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def render(
    solids: list[Solid],
    camera: Camera,
    light: Array,
    ambient: float,
    sky: Callable[[Array], Array],
    size: tuple[int, int],
) -> View:
    """First visible surfaces of `solids` at `size` (rows, columns).

    light [3]: position of a lamp, or of the far-away sun. ambient: share of light that reaches shadows. sky: unit
    directions [N, 3] -> colour [N, 3].
    """
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32) + 0.5
    in_camera = np.stack(
        [(columns - size[1] / 2) / camera.focal, (size[0] / 2 - rows) / camera.focal, np.ones_like(rows)], 2
    )
    directions = (in_camera @ camera.axes.T).astype(np.float32)
    depth = np.full(size, FAR, np.float32)
    colour, normal = np.zeros((*size, 3), np.float32), np.zeros((*size, 3), np.float32)
    for solid in solids:
        window = _window(solid, camera, size)
        if window is None:
            continue
        rays = directions[window].reshape(-1, 3)
        distance = hit(solid, np.broadcast_to(camera.position, rays.shape), rays)
        nearer = distance < depth[window].reshape(-1)
        if not nearer.any():
            continue
        rays, distance = rays[nearer], distance[nearer]
        local = (camera.position + rays * distance[:, None] - solid.centre) @ solid.axes
        facing = _normal(solid, local / solid.half)
        mask = np.zeros(size, bool)
        mask[window] = nearer.reshape(depth[window].shape)
        depth[mask] = distance
        colour[mask] = solid.texture(local.astype(np.float32), facing)
        normal[mask] = facing @ solid.axes.T
    seen = depth < FAR
    image = colour * _illumination(solids, camera.position + directions * depth[..., None], normal, light, ambient)
    unit = directions[~seen] / np.linalg.norm(directions[~seen], axis=1, keepdims=True)
    image[~seen] = sky(unit)
    return View(np.clip(image, 0, 1).astype(np.float32), np.where(seen, depth, 0).astype(np.float32))


def _illumination(solids: list[Solid], points: Array, normal: Array, light: Array, ambient: float) -> Array:
    """Light [H, W, 1] at surface points: a soft sky term, and Lambert's cosine with shadows cast at half resolution."""
    towards = light - points
    distance = np.linalg.norm(towards, axis=2, keepdims=True)
    cosine = np.maximum((normal * towards).sum(2, keepdims=True) / np.maximum(distance, 1e-6), 0)
    falloff = 1 / (1 + (distance / max(float(np.linalg.norm(light)), 3.0)) ** 2) * 2
    coarse = points[::2, ::2] + 2e-3 * normal[::2, ::2]
    shape = coarse.shape[:2]
    origins, rays = coarse.reshape(-1, 3), towards[::2, ::2].reshape(-1, 3)
    blocked = np.zeros(len(origins), bool)
    for solid in solids:
        if solid.kind != "room":
            open_rays = np.flatnonzero(~blocked)
            blocked[open_rays] = hit(solid, origins[open_rays], rays[open_rays]) < 1
    lit = cv2.resize(1 - blocked.reshape(shape).astype(np.float32), points.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    soft = cv2.blur(lit, (3, 3))[..., None]
    return ambient * (0.75 + 0.25 * normal[..., 1:2]) + (1 - ambient) * 1.3 * cosine * falloff * soft
