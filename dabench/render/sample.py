"""One scene, from its number to finished images: describe, build, choose cameras, render, develop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dabench.render import finish
from dabench.render.backend import Geometry, SceneRenderer
from dabench.render.kit import Kit, Scene, Split
from dabench.render.pairs import Candidate, candidates
from dabench.render.photo import looks as photo
from dabench.render.worlds import WORLDS, Look, look_of

GENERATOR_VERSION = "1"
SPLITS: tuple[Split, ...] = ("train", "heldout", "photo")
SCENE_TYPES = (
    "indoor",
    "outdoor",
    "non_real",
    "transparent_reflective",
    "adverse_style",
    "aerial",
    "underwater",
    "object",
)


@dataclass(frozen=True)
class Settings:
    """What decides every byte of a rendered set: seed, split, image size (height, width), scene types in proportion,
    cameras a scene, rays a pixel."""

    seed: int
    split: Split = "train"
    size: tuple[int, int] = (168, 224)
    scene_types: tuple[str, ...] = SCENE_TYPES
    views: int = 3
    samples: int = 2


@dataclass(frozen=True)
class Rendered:
    """A finished sample: image uint8 [H, W, 3] RGB, depth float32 [H, W] (metres along the axis, 0: none), its
    families and candidate pairs."""

    id: str
    scene: str
    image: np.ndarray
    depth: np.ndarray
    families: tuple[str, ...]
    pairs: list[Candidate]


def scene_type(settings: Settings, index: int) -> str:
    """The type of scene `index`: a low-discrepancy walk over `scene_types`, repeats counting as weight."""
    position = (index * 0.6180339887498949 + 0.5) % 1.0
    return settings.scene_types[int(position * len(settings.scene_types))]


def generator(settings: Settings, *numbers: int) -> np.random.Generator:
    """A random stream that depends on the generator version, the seed, the split and `numbers` only."""
    entropy = [int(GENERATOR_VERSION), SPLITS.index(settings.split), settings.seed, *numbers]
    return np.random.default_rng(np.random.SeedSequence(entropy))


def worth_showing(geometry: Geometry, scene: str) -> bool:
    """Whether a view has something to tell: several surfaces, a spread of depths, nothing against the lens."""
    hit = geometry.depth > 0
    if hit.mean() < 0.3:
        return False
    depth = geometry.depth[hit]
    low, middle, high = np.percentile(depth, [3, 50, 97])
    nearest = 0.12 if scene == "object" else 0.25
    if low < nearest or high / low < 1.35 or (scene in ("indoor", "adverse_style") and middle < 0.55):
        return False
    if scene == "transparent_reflective" and not 0.04 < geometry.see_through.mean() < 0.8:
        return False
    shares = np.bincount(geometry.surface.ravel()) / geometry.surface.size
    if (shares > 0.004).sum() < 4 or shares[1:].max(initial=0) > 0.7:
        return False
    flat = np.abs(np.diff(np.log(np.maximum(geometry.depth, 1e-3)), axis=1)) > 0.04
    return bool(flat.mean() > 0.004)


def render_scene(settings: Settings, index: int) -> list[Rendered]:
    """All views of scene number `index`; the same arrays whenever and wherever it is called."""
    kind = scene_type(settings, index)
    draw, worlds = (photo.look_of, photo.PHOTO_WORLDS) if settings.split == "photo" else (look_of, WORLDS)
    for attempt in range(6):
        rng = generator(settings, index, attempt)
        look = draw(kind, rng)
        kit = Kit(rng, settings.split)
        scene = worlds[look.world](kit)
        found = _views(settings, index, attempt, kind, look, kit, scene)
        if found:
            return found
    return []


def _views(
    settings: Settings, index: int, attempt: int, kind: str, look: Look, kit: Kit, scene: Scene
) -> list[Rendered]:
    renderer = SceneRenderer(scene)
    height, width = settings.size
    assert scene.propose is not None
    found: list[Rendered] = []
    for view in range(settings.views):
        rng = generator(settings, index, attempt, view + 1)
        for _ in range(6):
            camera = scene.propose(rng)
            geometry = renderer.geometry(camera, height, width)
            if worth_showing(geometry, kind):
                break
        else:
            continue
        offers = candidates(geometry.depth, rng)
        seed = int(rng.integers(2**20))
        behind = renderer.geometry(camera, height, width, through_panes=True) if renderer.has_panes else geometry
        shaded = renderer.shade(camera, height, width, settings.samples * look.samples, seed)
        radiance = finish.compose(shaded, behind, renderer.albedo(behind), scene.ambient)
        if renderer.has_panes:
            radiance = finish.lay_panes(radiance, geometry.see_through & ~behind.see_through, rng)
        image = look.finish(radiance, geometry, rng)
        if len(offers) < 2 or not 0.04 < image.mean() < 0.93 or image.std() < 0.04:
            continue
        name = f"{settings.split}_{settings.seed}_{index:06d}_{view}"
        pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
        families = tuple(sorted(kit.families | {f"style:{look.name}"}))
        found.append(Rendered(name, kind, pixels, geometry.depth, families, offers))
    return found
