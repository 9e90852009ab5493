"""Rendered depth against scenes whose depth is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("mitsuba", reason="rendering needs Mitsuba: pip install 'dabench[render]'")

from dabench.render.backend import SceneRenderer, camera_axes
from dabench.render.kit import Camera, Light, Material, Scene
from dabench.render.mesh import box, quad, sphere

GREY = Material("diffuse", (0.5, 0.5, 0.5))
LIGHT = Light("point", (0.0, 0.0, 9.0), (30.0, 30.0, 30.0))
HEIGHT, WIDTH = 48, 64


def rays(camera: Camera) -> np.ndarray:
    """Directions [H, W, 3] through the pixel centres, of length 1 along the optical axis."""
    right, up, forward = camera_axes(camera)
    focal = WIDTH / 2 / math.tan(math.radians(camera.fov) / 2)
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, np.arange(HEIGHT) + 0.5 - HEIGHT / 2)
    return forward + columns[..., None] / focal * right - rows[..., None] / focal * up


@pytest.mark.parametrize("roll", [0.0, 13.0])
@pytest.mark.parametrize("target", [(0.3, 6.0, 0.2), (-2.0, 3.0, 0.0)])
def test_depth_of_a_plane_is_exact_and_is_z_not_ray_length(target: tuple[float, float, float], roll: float) -> None:
    camera = Camera((0.2, -3.0, 1.4), target, 62.0, roll)
    scene = Scene([(quad((-50, -50, 0), (100, 0, 0), (0, 100, 0)), GREY)], [LIGHT])
    depth = SceneRenderer(scene).geometry(camera, HEIGHT, WIDTH).depth
    direction = rays(camera)
    with np.errstate(divide="ignore"):
        expected = -1.4 / direction[..., 2]
    point = np.asarray(camera.position) + expected[..., None] * direction
    hit = (expected > 0) & (np.abs(point[..., 0]) < 49.9) & (np.abs(point[..., 1]) < 49.9)
    assert hit.sum() > 500
    np.testing.assert_allclose(depth[hit], expected[hit], rtol=2e-5)
    length = expected * np.linalg.norm(direction, axis=-1)
    assert np.abs(depth[hit] / length[hit] - 1).max() > 0.02
    above = expected <= 0
    assert above.any() and (depth[above] == 0).all()


def test_depth_of_a_sphere_matches_the_quadratic() -> None:
    camera = Camera((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 50.0)
    centre, radius = np.array([0.2, 4.0, -0.1]), 1.1
    scene = Scene([(sphere(radius, 256).moved(centre), GREY)], [LIGHT])
    depth = SceneRenderer(scene).geometry(camera, HEIGHT, WIDTH).depth
    d = rays(camera)
    a, b, c = (d * d).sum(-1), d @ centre, float(centre @ centre) - radius**2
    root = b * b - a * c
    expected = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, 0.0)
    inner = root > 0.05 * root.max()
    assert inner.sum() > 200
    np.testing.assert_allclose(depth[inner], expected[inner], rtol=5e-4)  # the mesh has 256 facets
    assert (depth[root < -0.05] == 0).all()


@pytest.mark.parametrize("kind", ["glass", "mirror", "pane", "metal"])
def test_glass_and_mirrors_have_the_depth_of_their_own_surface(kind: str) -> None:
    camera = Camera((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), 40.0)
    front = quad((-5, 2.0, -5), (10, 0, 0), (0, 0, 10))
    wall = quad((-9, 5.0, -9), (18, 0, 0), (0, 0, 18))
    specular = kind != "pane"
    scene = Scene([(front, Material(kind, (0.9, 0.9, 0.9))), (wall, GREY)], [LIGHT], specular=specular)
    renderer = SceneRenderer(scene)
    geometry = renderer.geometry(camera, HEIGHT, WIDTH)
    np.testing.assert_allclose(geometry.depth, 2.0, rtol=1e-5)
    assert geometry.see_through.all()
    if kind == "pane":
        np.testing.assert_allclose(renderer.geometry(camera, HEIGHT, WIDTH, through_panes=True).depth, 5.0, rtol=1e-5)


def test_surface_numbers_and_colours_follow_the_materials() -> None:
    red, blue = Material("diffuse", (0.9, 0.1, 0.1)), Material("diffuse", (0.1, 0.1, 0.9))
    lamp = Material("light", (1.0, 1.0, 1.0), radiance=5.0)
    parts = [
        (box((1, 1, 1), (-1.0, 5, 1)), red),
        (box((1, 1, 1), (1.0, 5, 1)), blue),
        (box((9, 0.1, 9), (0, 9, 1)), lamp),
    ]
    renderer = SceneRenderer(Scene(parts, [LIGHT]))
    geometry = renderer.geometry(Camera((0, 0, 1), (0, 1, 1), 50.0), HEIGHT, WIDTH)
    assert geometry.surface[24, 21] == 1 and geometry.surface[24, 43] == 2 and geometry.surface[24, 32] == 3
    albedo = renderer.albedo(geometry)
    assert albedo[24, 21, 0] > 5 * albedo[24, 21, 2] and albedo[24, 43, 2] > 5 * albedo[24, 43, 0]
    shaded = renderer.shade(Camera((0, 0, 1), (0, 1, 1), 50.0), HEIGHT, WIDTH, 1, 0)[0]
    np.testing.assert_allclose((shaded.light * shaded.albedo)[24, 32], 5.0, rtol=0.05)


def test_rolled_camera_turns_the_picture() -> None:
    camera = Camera((0, 0, 0), (0, 1, 0), 50.0, 90.0)
    right, up, forward = camera_axes(camera)
    np.testing.assert_allclose(np.cross(right, forward), up, atol=1e-12)
    np.testing.assert_allclose(right, (0, 0, -1), atol=1e-12)
    scene = Scene([(box((0.5, 0.5, 0.5), (0, 4, 1.0)), GREY)], [LIGHT])
    depth = SceneRenderer(scene).geometry(camera, HEIGHT, WIDTH).depth
    assert (depth[:, : WIDTH // 2] > 0).any() and not (depth[:, WIDTH // 2 :] > 0).any()
