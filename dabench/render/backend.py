"""Mitsuba 3 (scalar variant, CPU): turns a described scene into radiance and exact geometry images.

Mitsuba's scalar ray tracing slows down with the number of shapes, so all opaque surfaces become one white mesh that
Mitsuba lights, and their textures are looked up afterwards (`texturing`). What glass and mirrors show of the others has
each material's mean colour. Thin panes are left out while shading and laid over the image later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dabench.errors import DabenchError
from dabench.render.kit import Camera, Light, Material, Scene
from dabench.render.mesh import Mesh, merge
from dabench.render.texturing import Palette, page, to_linear


def load_mitsuba() -> Any:
    """The mitsuba module with variant scalar_rgb: no compiler needed, reproducible."""
    try:
        import mitsuba
    except ImportError as error:
        raise DabenchError("rendering needs Mitsuba 3", hint="pip install 'dabench[render]'") from error
    if mitsuba.variant() != "scalar_rgb":
        mitsuba.set_variant("scalar_rgb")
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    return mitsuba


@dataclass(frozen=True)
class Geometry:
    """What the ray through each pixel centre hits first.

    depth float32 [H, W]: metres along the optical axis, 0 where nothing is hit; normal float32 [H, W, 3] (world, unit,
    turned towards the camera); surface int32 [H, W]: material number + 1, 0 for nothing; see_through bool [H, W]: glass
    or polished, so that its image shows other surfaces than the one hit; uv float32 [H, W, 2] in texture periods.
    """

    depth: np.ndarray
    normal: np.ndarray
    surface: np.ndarray
    see_through: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True)
class Shaded:
    """One noisy rendering: radiance = light * albedo, both linear float32 [H, W, 3], and what each ray hit.

    In scenes with glass or mirrors the albedo is 1 on those, so that the light holds what is seen through them.
    """

    light: np.ndarray
    albedo: np.ndarray
    geometry: Geometry


def camera_axes(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (right, up, forward) of a camera, roll applied (positive turns the camera clockwise)."""
    forward = np.subtract(camera.target, camera.position).astype(float)
    forward /= np.linalg.norm(forward)
    world_up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, world_up)
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    roll = math.radians(camera.roll)
    return (math.cos(roll) * right - math.sin(roll) * up, math.cos(roll) * up + math.sin(roll) * right, forward)


_SEE_THROUGH = frozenset({"glass", "pane", "mirror", "metal"})
_SPECULAR = frozenset({"glass", "mirror", "metal", "light"})
_GEOMETRY = "t:depth,p:position,n:sh_normal,i:shape_index,f:prim_index,u:uv"


@dataclass(frozen=True)
class _Built:
    """A Mitsuba scene, and for each of its shapes (in Mitsuba's order) the material number of every face."""

    scene: Any
    faces: list[np.ndarray | None]


class SceneRenderer:
    """A scene built once (acceleration structure, textures) and rendered from any number of cameras."""

    def __init__(self, scene: Scene):
        self._mitsuba = load_mitsuba()
        self._specular = scene.specular
        groups: dict[Material, list[Mesh]] = {}
        for mesh, material in scene.parts:
            groups.setdefault(material, []).append(mesh)
        self._palette = Palette(list(groups))
        self._clear = np.array([False, *(material.kind in _SEE_THROUGH for material in groups)])
        self._mean = np.array([self._glow(material) for material in groups]).reshape(-1, 3)
        meshes = [merge(parts) for parts in groups.values()]
        meshes = [
            Mesh(m.vertices, m.normals, m.uv / material.metres, m.faces)
            for m, material in zip(meshes, groups, strict=True)
        ]
        self.has_panes = any(material.kind == "pane" for material in groups)
        self._all = self._build(scene, meshes, panes=True)
        self._behind = self._build(scene, meshes, panes=False) if self.has_panes else self._all

    def _build(self, scene: Scene, meshes: list[Mesh], panes: bool) -> _Built:
        materials = self._palette.materials
        numbers = [n for n, material in enumerate(materials) if panes or material.kind != "pane"]
        alone = [
            n for n in numbers if materials[n].kind == "light" or (scene.specular and materials[n].kind in _SPECULAR)
        ]
        together = [n for n in numbers if n not in set(alone)]
        content: dict[str, Any] = {"type": "scene"}
        tables: dict[str, np.ndarray] = {}
        if together:
            table = np.repeat(together, [len(meshes[n].faces) for n in together])
            colours = self._mean[table] if scene.specular else None
            content["surfaces"] = self._shape(
                merge([meshes[n] for n in together]), Material("diffuse", (1.0, 1.0, 1.0)), colours
            )
            tables["surfaces"] = table
        for n in alone:
            content[f"surface{n:04d}"] = self._shape(meshes[n], materials[n])
            tables[f"surface{n:04d}"] = np.full(len(meshes[n].faces), n)
        for n, light in enumerate(scene.lights):
            content[f"light{n:04d}"] = self._light(light)
        if scene.sky is not None:
            content["sky"] = self._sky(scene.sky)
        built = self._mitsuba.load_dict(content)
        # Mitsuba reorders shapes, and its shape_index counts from 1; lamp panels have no material of ours.
        return _Built(built, [tables.get(shape.id()) for shape in built.shapes()])

    def geometry(self, camera: Camera, height: int, width: int, through_panes: bool = False) -> Geometry:
        """Exact first-hit geometry through the pixel centres (one unjittered ray a pixel)."""
        built = self._behind if through_panes else self._all
        integrator = self._mitsuba.load_dict({"type": "aov", "aovs": _GEOMETRY})
        return self._unpack(built, camera, self._render(built, camera, height, width, integrator, 0, jitter=False))

    def shade(self, camera: Camera, height: int, width: int, samples: int, seed: int) -> list[Shaded]:
        """`samples` independent one-ray-a-pixel renderings without panes, each ray somewhere within its pixel."""
        inner: dict[str, Any] = {"type": "direct", "emitter_samples": 1, "bsdf_samples": 0}
        if self._specular:
            inner = {"type": "path", "max_depth": 6, "rr_depth": 9}
        integrator = self._mitsuba.load_dict({"type": "aov", "aovs": _GEOMETRY, "image": inner})
        shaded = []
        for number in range(samples):
            image = self._render(self._behind, camera, height, width, integrator, seed * 64 + number, jitter=True)
            geometry = self._unpack(self._behind, camera, image[..., 3:])
            light = np.nan_to_num(image[..., :3], nan=0.0, posinf=0.0)
            for n, material in enumerate(self._palette.materials):
                if material.kind == "glow":
                    light[geometry.surface == n + 1] = material.radiance
                elif self._specular and material.kind not in _SPECULAR:  # take Mitsuba's flat colour out again
                    light[geometry.surface == n + 1] /= np.maximum(self._mean[n], 0.01)
            shaded.append(Shaded(light, self.albedo(geometry), geometry))
        return shaded

    def albedo(self, geometry: Geometry) -> np.ndarray:
        """Surface colour, linear float32 [H, W, 3]; 1 where other surfaces show, relative to the mean on lights."""
        albedo = self._palette.sample(np.where(geometry.see_through, 0, geometry.surface) - 1, geometry.uv)
        for n, material in enumerate(self._palette.materials):
            if material.kind == "light":
                albedo[geometry.surface == n + 1] /= np.maximum(self._mean[n], 0.01)
        return albedo

    def _unpack(self, built: _Built, camera: Camera, image: np.ndarray) -> Geometry:
        distance, position, normal = image[..., 0], image[..., 1:4], image[..., 4:7]
        shape, face, uv = np.rint(image[..., 7]).astype(int), np.rint(image[..., 8]).astype(int), image[..., 9:11]
        _, _, forward = camera_axes(camera)
        hit = np.isfinite(distance) & (distance > 0)
        towards = position.astype(np.float64) - np.asarray(camera.position)
        depth = np.where(hit, towards @ forward, 0.0).astype(np.float32)
        away = (normal * towards).sum(axis=-1, keepdims=True) > 0
        normal = np.where(away, -normal, normal) * hit[..., None]
        surface = np.zeros(depth.shape, np.int32)
        for number, table in enumerate(built.faces, start=1):
            if table is not None:
                inside = hit & (shape == number)
                surface[inside] = table[face[inside]] + 1
        return Geometry(depth, normal.astype(np.float32), surface, self._clear[surface], uv)

    def _render(
        self, built: _Built, camera: Camera, height: int, width: int, integrator: Any, seed: int, jitter: bool
    ) -> np.ndarray:
        transform = self._mitsuba.ScalarTransform4f
        _, up, _ = camera_axes(camera)
        film = {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
            "component_format": "float32",
        }
        sampler = {"type": "independent"} if jitter else {"type": "stratified", "jitter": False}
        view = transform().look_at(origin=list(camera.position), target=list(camera.target), up=up.tolist())
        sensor = self._mitsuba.load_dict(
            {
                "type": "perspective",
                "fov": camera.fov,
                "fov_axis": "x",
                "near_clip": 1e-3,
                "far_clip": 1e5,
                "to_world": view,
                "film": film,
                "sampler": {**sampler, "sample_count": 1},
            }
        )
        image = self._mitsuba.render(built.scene, sensor=sensor, integrator=integrator, spp=1, seed=seed)
        return np.array(image, dtype=np.float32)

    def _shape(self, mesh: Mesh, material: Material, face_colours: np.ndarray | None = None) -> Any:
        """A Mitsuba mesh; `face_colours` float [F, 3], linear, replaces the material's colour."""
        mi = self._mitsuba
        properties = mi.Properties()
        bsdf = self._bsdf(material)
        if face_colours is not None:
            bsdf = {
                "type": "twosided",
                "surface": {"type": "diffuse", "reflectance": {"type": "mesh_attribute", "name": "face_color"}},
            }
        properties["mesh_bsdf"] = mi.load_dict(bsdf)
        if material.kind == "light":
            radiance = {"type": "rgb", "value": (self._glow(material) * material.radiance).tolist()}
            properties["mesh_emitter"] = mi.load_dict({"type": "area", "radiance": radiance})
        shape = mi.Mesh(
            "mesh",
            len(mesh.vertices),
            len(mesh.faces),
            has_vertex_normals=True,
            has_vertex_texcoords=True,
            props=properties,
        )
        data = mi.traverse(shape)
        data["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
        data["vertex_normals"] = mesh.normals.astype(np.float32).ravel()
        data["vertex_texcoords"] = mesh.uv.astype(np.float32).ravel()
        data["faces"] = mesh.faces.astype(np.uint32).ravel()
        data.update()
        if face_colours is not None:
            shape.add_attribute("face_color", 3, face_colours.astype(np.float32).ravel())
        return shape

    def _glow(self, material: Material) -> np.ndarray:
        """Mean linear colour [3] of a light's surface."""
        return np.asarray(to_linear(page(material).astype(np.float64) / 255).mean(axis=(0, 1)))

    def _bsdf(self, material: Material) -> dict[str, Any]:
        if material.kind == "glass":
            return {"type": "dielectric", "int_ior": 1.5}
        colour = {"type": "rgb", "value": to_linear(np.asarray(material.colour)).tolist()}
        if material.kind == "mirror":
            inner: dict[str, Any] = {"type": "conductor", "specular_reflectance": colour}
        elif material.kind == "metal":
            inner = {"type": "roughconductor", "alpha": material.roughness, "specular_reflectance": colour}
        else:
            inner = {"type": "diffuse", "reflectance": colour}
        return {"type": "twosided", "surface": inner}

    def _light(self, light: Light) -> dict[str, Any]:
        colour = {"type": "rgb", "value": list(light.colour)}
        if light.kind == "point":
            return {"type": "point", "position": list(light.position), "intensity": colour}
        if light.kind == "sun":
            return {"type": "directional", "direction": list(light.position), "irradiance": colour}
        transform = self._mitsuba.ScalarTransform4f
        target = np.add(light.position, light.facing)
        up = [0.0, 1.0, 0.0] if abs(light.facing[2]) > 0.9 else [0.0, 0.0, 1.0]
        view = transform().look_at(origin=list(light.position), target=target.tolist(), up=up)
        view = view @ transform().scale([light.size[0] / 2, light.size[1] / 2, 1.0])
        return {"type": "rectangle", "to_world": view, "emitter": {"type": "area", "radiance": colour}}

    def _sky(self, sky: np.ndarray) -> dict[str, Any]:
        mi = self._mitsuba
        upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
        bitmap = mi.Bitmap(np.ascontiguousarray(sky.astype(np.float32)))
        return {"type": "envmap", "bitmap": bitmap, "to_world": upright}
