"""Which world and which photographic treatment each DA-2K scene type gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from dabench.render import finish
from dabench.render.backend import Geometry
from dabench.render.kit import Kit, Scene
from dabench.render.outdoors import aerial_scene, country_scene, street_scene
from dabench.render.patterns import spectral_noise
from dabench.render.rooms import room_scene
from dabench.render.tabletop import glass_scene, object_scene, panes
from dabench.render.underwater import underwater_scene

Finish = Callable[[np.ndarray, Geometry, np.random.Generator], np.ndarray]


def _glazed_room(kit: Kit) -> Scene:
    scene = room_scene(kit)
    kit.families.add("panes")
    scene.parts += panes(kit, scene)
    return scene


def _glazed_objects(kit: Kit) -> Scene:
    scene = object_scene(kit)
    kit.families.add("panes")
    scene.parts += [(mesh.moved((0, 0, scene.stage), 0.0, 0.4), material) for mesh, material in panes(kit, scene)]
    return scene


WORLDS: dict[str, Callable[[Kit], Scene]] = {
    "room": room_scene,
    "street": street_scene,
    "country": country_scene,
    "aerial": aerial_scene,
    "objects": object_scene,
    "glass": glass_scene,
    "glazed_room": _glazed_room,
    "glazed_objects": _glazed_objects,
    "underwater": underwater_scene,
}


@dataclass(frozen=True)
class Look:
    """A world's name, a style's name, how its radiance [H, W, 3] becomes an sRGB image 0..1 [H, W, 3], and how many
    times the usual number of rays it needs."""

    world: str
    name: str
    finish: Finish
    samples: int = 1


def _photo(indoor: bool = False, dark: bool = False) -> Finish:
    def photo(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
        return finish.develop(radiance, finish.random_lens(rng, indoor=indoor, dark=dark), rng)

    return photo


def _water(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    murk = float(np.exp(rng.uniform(np.log(0.02), np.log(0.16))))
    density = murk * np.array([rng.uniform(2.0, 4.5), rng.uniform(0.8, 1.5), rng.uniform(0.7, 1.3)])
    level = float(np.median(radiance)) * rng.uniform(0.6, 1.6)
    hue = np.array([rng.uniform(0.02, 0.2), rng.uniform(0.35, 0.8), rng.uniform(0.5, 1.0)])
    height, width = geometry.depth.shape
    fade = np.linspace(1.5, 0.6, height)[:, None, None]
    rays = 1 + rng.uniform(0, 0.4) * (cv2.resize(spectral_noise(rng, 1.5, 0.2)[:8], (width, height)) - 0.5)[..., None]
    image = finish.attenuate(radiance, geometry.depth, density, level * hue * fade * rays)
    return finish.develop(image, finish.random_lens(rng), rng)


def _fog(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    near, far = np.percentile(geometry.depth[geometry.depth > 0], [10, 80])
    density = np.full(3, rng.uniform(0.4, 1.6) / (0.6 * far + 0.4 * near))
    air = np.array([1.0, 1.0, 1.0]) * float(np.percentile(radiance, 80)) * rng.uniform(0.6, 1.4)
    air = air * np.array([rng.uniform(0.9, 1.05), 1.0, rng.uniform(0.9, 1.1)])
    return finish.develop(finish.attenuate(radiance, geometry.depth, density, air), finish.random_lens(rng), rng)


def _night(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    tint = np.array([rng.uniform(0.6, 1.3), 0.9, rng.uniform(0.7, 1.5)])
    y, x = np.mgrid[-1 : 1 : radiance.shape[0] * 1j, -1 : 1 : radiance.shape[1] * 1j]
    pool = np.exp(-((x - rng.uniform(-0.7, 0.7)) ** 2 + (y - rng.uniform(-0.5, 0.7)) ** 2) / rng.uniform(0.2, 1.5))[
        ..., None
    ]
    lit = np.where((geometry.depth > 0)[..., None], 0.12 + pool, 0.03)
    return finish.develop(
        np.minimum(radiance, 3 * np.median(radiance)) * tint * lit, finish.random_lens(rng, dark=True), rng
    )


def _rain(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    hazy = _fog(radiance, geometry, rng) if rng.random() < 0.6 else _photo(dark=True)(radiance, geometry, rng)
    return finish.rain(hazy, rng)


def _blurred(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    return finish.motion_blur(_photo(dark=bool(rng.random() < 0.5))(radiance, geometry, rng), rng)


def _styled(style: str) -> Finish:
    def styled(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
        lens = finish.random_lens(rng)
        clean = finish.Lens(max(lens.exposure, 0.15), lens.white, lens.contrast, 1.2, 0.0, 0.0, 0.0)
        return finish.stylise(finish.develop(radiance, clean, rng), geometry, rng, style)

    return styled


ADVERSE: dict[str, Finish] = {
    "fog": _fog,
    "night": _night,
    "rain": _rain,
    "blur": _blurred,
    "low_light": _photo(True, True),
}


def look_of(kind: str, rng: np.random.Generator) -> Look:
    """Draw world and treatment for a scene type."""

    def pick(names: list[str]) -> str:
        return names[int(rng.integers(len(names)))]

    if kind == "indoor":
        return Look("room", "photo", _photo(indoor=True))
    if kind == "outdoor":
        return Look(pick(["street", "country"]), "photo", _photo())
    if kind == "aerial":
        return Look("aerial", "photo", _photo())
    if kind == "object":
        return Look("objects", "photo", _photo())
    if kind == "underwater":
        return Look("underwater", "water", _water)
    if kind == "transparent_reflective":
        world = pick(["glass", "glass", "glazed_room", "glazed_objects"])
        return Look(world, "photo", _photo(), 3 if world == "glass" else 1)
    if kind == "adverse_style":
        style = pick(sorted(ADVERSE))
        worlds = (
            ["room", "room", "street", "country", "objects"]
            if style in ("night", "blur", "low_light")
            else ["street", "country", "street", "aerial"]
        )
        return Look(pick(worlds), style, ADVERSE[style])
    style = pick(sorted(finish.STYLES))
    return Look(pick(["room", "room", "street", "country", "objects", "aerial", "underwater"]), style, _styled(style))
