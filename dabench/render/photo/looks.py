"""Which world and which treatment each scene type gets in the photo split; all end in the camera pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from dabench.render.backend import Geometry
from dabench.render.camera_pipeline import CameraSettings, draw_settings, meter, photograph
from dabench.render.finish import attenuate
from dabench.render.kit import Kit, Scene
from dabench.render.noise import spectral_noise
from dabench.render.photo.closeups import still_life, vitreous_scene, vitrine_scene
from dabench.render.photo.exteriors import (
    canal_scene,
    plaza_scene,
    ruins_scene,
    shore_scene,
    woods_scene,
    yard_scene,
)
from dabench.render.photo.interiors import interior_scene
from dabench.render.photo.overhead import overhead_scene
from dabench.render.photo.seabed import seabed_scene
from dabench.render.photo.styles import PHOTO_STYLES
from dabench.render.worlds import Finish, Look

PHOTO_WORLDS: dict[str, Callable[[Kit], Scene]] = {
    "interior": interior_scene,
    "canal": canal_scene,
    "plaza": plaza_scene,
    "yard": yard_scene,
    "woods": woods_scene,
    "shore": shore_scene,
    "ruins": ruins_scene,
    "overhead": overhead_scene,
    "still_life": still_life,
    "vitreous": vitreous_scene,
    "vitrine": vitrine_scene,
    "seabed": seabed_scene,
}
OUTSIDE = ("canal", "plaza", "yard", "woods", "shore", "ruins")


def _developed(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255


def _haze(radiance: np.ndarray, depth: np.ndarray, rng: np.random.Generator, clear: float) -> np.ndarray:
    """Air that lets the share `clear` through at the 90th percentile of depth; bluish in the distance."""
    seen = depth[depth > 0]
    far = float(np.percentile(seen, 90)) if seen.size else 1.0
    density = -np.log(clear) / far * np.array([rng.uniform(0.75, 1.0), 1.0, rng.uniform(1.0, 1.3)])
    air = float(np.percentile(radiance, 75)) * np.array([rng.uniform(0.85, 1.0), 0.97, rng.uniform(0.95, 1.15)])
    # the sky stays what it is: it is bright air already
    hazy = attenuate(radiance, np.where(depth > 0, depth, 1e-6), density, air)
    return np.where((depth > 0)[..., None], hazy, 0.7 * radiance + 0.3 * air).astype(np.float32)


def _camera(dim: float = 0.0, air: bool = False) -> Finish:
    def finish(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
        if air and rng.random() < 0.6:
            radiance = _haze(radiance, geometry.depth, rng, float(rng.uniform(0.45, 0.95)))
        settings = draw_settings(rng, dim * float(rng.random()))
        return _developed(photograph(radiance.astype(np.float32), rng, geometry.depth, settings))

    return finish


def _mist(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Mist with thicker banks, or smoke."""
    height, width = geometry.depth.shape
    seen = geometry.depth[geometry.depth > 0]
    middle = float(np.percentile(seen, 60)) if seen.size else 1.0
    bank = cv2.resize(spectral_noise(rng, 2.0, 0.3), (width, height))[..., None]
    distance = np.where(geometry.depth > 0, geometry.depth, 30 * middle).astype(np.float32)
    clear = np.exp(-distance[..., None] / middle * rng.uniform(0.5, 1.6) * (0.5 + bank))
    tone = float(np.percentile(radiance, 70)) * np.array([rng.uniform(0.8, 1.1), 1.0, rng.uniform(0.85, 1.15)])
    return _camera()((radiance * clear + tone * (1 - clear)).astype(np.float32), geometry, rng)


def _snowfall(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Flakes of many sizes before everything, a whitened distance."""
    height, width = geometry.depth.shape
    scene = _haze(radiance, geometry.depth, rng, float(rng.uniform(0.15, 0.5)))
    flakes = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(150, 600))):
        size = float(rng.pareto(2.5)) * 0.4 + 0.4
        at = (int(rng.uniform(0, width) * 8), int(rng.uniform(0, height) * 8))
        cv2.circle(flakes, at, int(min(size, 4) * 8), float(rng.uniform(0.3, 1.0) / max(size, 1)), -1, cv2.LINE_AA, 3)
    soft = cv2.GaussianBlur(flakes, (0, 0), 0.8)[..., None]
    return _camera()((scene + soft * float(np.percentile(radiance, 90))).astype(np.float32), geometry, rng)


def _glare(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Against the light: a wide veil around a bright place, washed-out or too dark."""
    height, width = geometry.depth.shape
    y, x = np.mgrid[:height, :width] / height
    away = np.hypot(x - rng.uniform(0, width / height), y - rng.uniform(-0.1, 0.5))
    level = float(np.percentile(radiance, 80))
    veil = level * (rng.uniform(0.5, 3) * np.exp(-3 * away) + rng.uniform(2, 10) * np.exp(-18 * away))
    lit = radiance + veil[..., None] * np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.55, 1.0)])
    settings = replace(draw_settings(rng), exposure=float(rng.uniform(-0.6, 1.3)))
    return _developed(photograph(lit.astype(np.float32), rng, geometry.depth, settings))


def _dusk(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Little light, blue or sodium-yellow, a torch's cone that falls off with distance, much noise."""
    height, width = geometry.depth.shape
    y, x = np.mgrid[:height, :width] / height - 0.5
    cone = np.exp(-(((x - rng.uniform(0.3, 1.0)) ** 2 + (y - rng.uniform(-0.2, 0.3)) ** 2) / rng.uniform(0.05, 0.3)))
    seen = geometry.depth[geometry.depth > 0]
    near = float(np.percentile(seen, 20)) if seen.size else 1.0
    reach = np.where(geometry.depth > 0, 1 / (1 + (geometry.depth / near / 2) ** 2), 0.02)
    tint = np.array([0.5, 0.7, 1.2] if rng.random() < 0.6 else [1.3, 0.8, 0.35])
    lit = np.minimum(radiance, 4 * np.median(radiance)) * (
        0.12 * tint + (cone * reach)[..., None] * rng.uniform(0.0, 2.5)
    )
    settings = replace(draw_settings(rng, dim=1.0), exposure=float(rng.uniform(-1.6, -0.3)))
    return _developed(photograph(lit.astype(np.float32), rng, geometry.depth, settings))


def _shaken(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """A long exposure by hand, or a focus that missed."""
    settings = draw_settings(rng, dim=0.5)
    if rng.random() < 0.5:
        settings = replace(settings, shake=float(rng.uniform(4, 10)))
    else:
        settings = replace(
            settings, aperture=float(rng.uniform(2.5, 5)), focus=float(rng.choice([-0.2, 0.0, 1.0, 1.2]))
        )
    return _developed(photograph(radiance.astype(np.float32), rng, geometry.depth, settings))


def _wet_lens(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Drops on the glass: soft bright discs with their surroundings smeared."""
    height, width = geometry.depth.shape
    soft = cv2.GaussianBlur(radiance.astype(np.float32), (0, 0), 6)
    drops = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(8, 40))):
        at = (int(rng.uniform(0, width) * 8), int(rng.uniform(0, height) * 8))
        cv2.circle(drops, at, int(rng.uniform(1.5, 9) * 8), float(rng.uniform(0.4, 0.95)), -1, cv2.LINE_AA, 3)
    share = cv2.GaussianBlur(drops, (0, 0), 1.0)[..., None]
    return _camera()(radiance * (1 - share) + soft * share * float(rng.uniform(0.9, 1.4)), geometry, rng)


PHOTO_ADVERSE: dict[str, Finish] = {
    "mist": _mist,
    "snowfall": _snowfall,
    "glare": _glare,
    "dusk": _dusk,
    "shaken": _shaken,
    "wet_lens": _wet_lens,
}


def _deep(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Water that swallows red first, with drifting specks near the lens."""
    height, width = geometry.depth.shape
    murk = float(np.exp(rng.uniform(np.log(0.03), np.log(0.2))))
    green = rng.random() < 0.45
    density = murk * np.array([rng.uniform(2.5, 5.0), 0.8 if green else 1.2, 1.7 if green else 0.8])
    hue = np.array([0.08, 0.55, 0.4]) if green else np.array([0.05, rng.uniform(0.3, 0.5), rng.uniform(0.6, 0.9)])
    fade = np.linspace(rng.uniform(1.2, 2.0), 0.5, height)[:, None, None]
    level = float(np.median(radiance)) * rng.uniform(0.5, 1.5)
    image = attenuate(radiance, geometry.depth, density, (level * hue * fade * np.ones((height, width, 1))))
    for _ in range(int(rng.integers(0, 60))):
        at = (int(rng.uniform(0, width) * 8), int(rng.uniform(0, height) * 8))
        spot = np.zeros((height, width), np.float32)
        cv2.circle(spot, at, int(rng.uniform(0.4, 1.6) * 8), 1.0, -1, cv2.LINE_AA, 3)
        image += (spot * level * rng.uniform(0.1, 0.6))[..., None]
    settings = replace(draw_settings(rng, 0.4), saturation=float(rng.uniform(0.8, 1.4)))
    return _developed(photograph(image.astype(np.float32), rng, geometry.depth, settings))


def _styled(name: str) -> Finish:
    def finish(radiance: np.ndarray, geometry: Geometry, rng: np.random.Generator) -> np.ndarray:
        gain = CameraSettings(exposure=float(rng.uniform(0.1, 0.9)), contrast=float(rng.uniform(0, 0.5)), quality=98)
        clean = _developed(photograph(meter(radiance), rng, None, gain))
        drawn = np.clip(PHOTO_STYLES[name](clean, geometry, rng), 0, 1)
        copy = replace(draw_settings(rng), exposure=float(rng.normal(0, 0.15)), aperture=0.0, shake=0.0, curve="srgb")
        return _developed(photograph((drawn * 255 + 0.5).astype(np.uint8), rng, None, copy))

    return finish


def look_of(kind: str, rng: np.random.Generator) -> Look:
    """Draw world and treatment for a scene type of the photo split."""

    def pick(names: tuple[str, ...]) -> str:
        return names[int(rng.integers(len(names)))]

    if kind == "indoor":
        return Look("interior", "camera", _camera(dim=0.7))
    if kind == "outdoor":
        return Look(pick(OUTSIDE), "camera", _camera(air=True))
    if kind == "aerial":
        return Look("overhead", "camera", _camera(air=True))
    if kind == "object":
        return Look("still_life", "camera", _camera(dim=0.3))
    if kind == "underwater":
        return Look("seabed", "deep", _deep)
    if kind == "transparent_reflective":
        world = pick(("vitreous", "vitreous", "vitrine"))
        return Look(world, "camera", _camera(dim=0.3), 3 if world == "vitreous" else 1)
    if kind == "adverse_style":
        style = pick(tuple(sorted(PHOTO_ADVERSE)))
        worlds = (
            (*OUTSIDE, "overhead")
            if style in ("mist", "snowfall")
            else ("interior", "interior", "still_life", *OUTSIDE)
        )
        return Look(pick(worlds), style, PHOTO_ADVERSE[style])
    style = pick(tuple(sorted(PHOTO_STYLES)))
    return Look(pick(("interior", *OUTSIDE, "overhead", "still_life", "seabed")), style, _styled(style))
