"""The photo split: disjoint from the other two, repeatable, and standing on its feet."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mitsuba", reason="rendering needs Mitsuba: pip install 'dabench[render]'")

import dabench.render.photo
from dabench.render import finish, nature, props, urban
from dabench.render.backend import SceneRenderer
from dabench.render.furniture import FURNITURE
from dabench.render.kit import HELDOUT_FAMILIES, Kit
from dabench.render.patterns import HELDOUT_PATTERNS, PATTERNS
from dabench.render.photo.furnishings import FURNISHINGS
from dabench.render.photo.interiors import PLACES
from dabench.render.photo.looks import PHOTO_ADVERSE, PHOTO_WORLDS, look_of
from dabench.render.photo.patterns import PHOTO_PATTERNS
from dabench.render.photo.seabed import REEF, SWIMMERS
from dabench.render.photo.structures import STREET, WORKS
from dabench.render.photo.styles import PHOTO_STYLES
from dabench.render.photo.terrain import PLANTS
from dabench.render.photo.things import THINGS, bounds, strewn
from dabench.render.rooms import THEMES
from dabench.render.sample import SCENE_TYPES, SPLITS, Settings, generator, render_scene
from dabench.render.worlds import ADVERSE, WORLDS

OTHERS = (
    {*FURNITURE, *props.PROPS, *nature.TREES, *urban.VEHICLES, *urban.STREET_THINGS}
    | {f"room:{theme}" for theme in THEMES}
    | {f"style:{name}" for name in (*finish.STYLES, *ADVERSE, "photo", "water")}
    | {"tree", "person", "street", "country", "aerial", "tabletop", "glassware", "panes", "sea"}
    | {"stone", "bush", "coral", "kelp", "starfish", "wreckage", "jelly", "manta", "buoy"}
    | HELDOUT_FAMILIES
    | (set(PATTERNS) - set(PHOTO_PATTERNS))
)
"""Everything that train and held-out scenes record as their families."""

PHOTO = {*FURNISHINGS, *THINGS, *PLANTS, *STREET, *WORKS, *REEF, *SWIMMERS, *PHOTO_PATTERNS}

# mean of picture, mean of depth (m) of scene 0, seed 11, 36 x 48, as they were before there was a photo split
BEFORE = {
    ("train", "indoor"): (100.09857, 2.4086003),
    ("train", "aerial"): (131.34028, 143.78510),
    ("train", "adverse_style"): (48.21238, 1.7278608),
    ("heldout", "indoor"): (110.04861, 2.3835125),
    ("heldout", "outdoor"): (101.32176, 4.9025674),
    ("heldout", "object"): (102.42554, 1.4076431),
}


def build(world: str, seed: int) -> Kit:
    """A kit after it has built a world of the photo split."""
    kit = Kit(np.random.default_rng(seed), "photo")
    scene = PHOTO_WORLDS[world](kit)
    assert scene.parts and scene.propose is not None
    kit.families |= {material.pattern[0] for _, material in scene.parts if material.pattern}
    return kit


def test_names_of_the_three_sets_are_disjoint() -> None:
    assert not PHOTO & OTHERS
    assert not {f"style:{name}" for name in (*PHOTO_STYLES, *PHOTO_ADVERSE, "camera", "deep")} & OTHERS
    assert not set(PHOTO_WORLDS) & set(WORLDS) and not set(PLACES) & set(THEMES)
    assert not set(PHOTO_PATTERNS) & HELDOUT_PATTERNS


def test_photo_worlds_build_on_primitives_only() -> None:
    """No shape, texture list or scene of the other splits is imported, whatever it would be recorded as."""
    allowed = {"backend", "camera_pipeline", "kit", "mesh", "noise"}
    for path in Path(dabench.render.photo.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dabench"):
                names = {alias.name for alias in node.names}
                module = (node.module or "").removeprefix("dabench.render.")
                borrowed = (module == "finish" and names == {"attenuate"}) or (
                    module == "worlds" and names <= {"Look", "Finish"}
                )
                assert module in allowed or module.startswith("photo") or borrowed, (path.name, node.module, names)
    for path in Path(finish.__file__).parent.glob("*.py"):
        if path.name not in ("patterns.py", "sample.py"):
            assert "render.photo" not in path.read_text(), path.name


@pytest.mark.slow
@pytest.mark.parametrize("world", sorted(PHOTO_WORLDS))
def test_photo_worlds_use_nothing_of_the_others_and_repeat(world: str) -> None:
    used: set[str] = set()
    for seed in range(3):
        used |= build(world, seed).families
    assert len(used) > 6 and not used & OTHERS
    assert build(world, 1).families == build(world, 1).families


@pytest.mark.slow
def test_other_splits_use_nothing_of_photo() -> None:
    for split in ("train", "heldout"):
        for name, world in WORLDS.items():
            kit = Kit(np.random.default_rng(5), split)
            scene = world(kit)
            used = kit.families | {material.pattern[0] for _, material in scene.parts if material.pattern}
            assert not used & PHOTO, (split, name)
            assert used <= OTHERS, (split, name, used - OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize(("split", "kind"), sorted(BEFORE))
def test_train_and_heldout_are_what_they_were(split: str, kind: str) -> None:
    settings = Settings(seed=11, split=split, size=(36, 48), views=1, samples=1, scene_types=(kind,))  # type: ignore[arg-type]
    (sample,) = render_scene(settings, 0)
    picture, depth = BEFORE[split, kind]
    assert sample.image.mean() == pytest.approx(picture, abs=0.05)
    assert sample.depth.mean() == pytest.approx(depth, rel=1e-4)


def test_the_splits_have_their_own_streams() -> None:
    draws = {generator(Settings(seed=3, split=split), 7).random() for split in SPLITS}
    assert len(draws) == 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCENE_TYPES)
def test_every_scene_type_renders_and_repeats(kind: str) -> None:
    settings = Settings(seed=1, split="photo", size=(36, 48), views=1, samples=1, scene_types=(kind,))
    found = next(found for index in range(6) if (found := render_scene(settings, index)))
    sample = found[0]
    index = int(sample.id.split("_")[2])
    again = render_scene(settings, index)[0]
    np.testing.assert_array_equal(sample.image, again.image)
    np.testing.assert_array_equal(sample.depth, again.depth)
    assert sample.id.startswith("photo_1_") and sample.image.dtype == np.uint8 and sample.image.shape == (36, 48, 3)
    assert (sample.depth > 0).mean() >= 0.3 and np.isfinite(sample.depth).all() and len(sample.pairs) >= 2
    assert not set(sample.families) & OTHERS


@pytest.mark.parametrize("name", sorted(THINGS))
def test_things_stand_on_the_ground(name: str) -> None:
    for seed in range(4):
        low, high = bounds(THINGS[name](Kit(np.random.default_rng(seed), "photo")))
        size = float((high - low).max())
        assert -0.06 * size < low[2] < 0.06 * size and 0.02 < size < 1.0, (name, low, high)
        assert np.abs((low + high) / 2)[:2].max() < 0.6 * size


@pytest.mark.parametrize("name", sorted(FURNISHINGS))
def test_furnishings_stand_with_their_back_to_the_wall(name: str) -> None:
    for seed in range(4):
        low, high = bounds(FURNISHINGS[name](Kit(np.random.default_rng(seed), "photo")))
        assert abs(low[2]) < 0.03 and 0.12 < high[2] < 3.0, (name, low, high)
        assert high[1] < 0.12 and -3.0 < low[1] < -0.05, (name, low, high)


@pytest.mark.parametrize("name", sorted({**STREET, **WORKS}))
def test_street_things_stand_on_the_ground(name: str) -> None:
    for seed in range(3):
        low, high = bounds({**STREET, **WORKS}[name](Kit(np.random.default_rng(seed), "photo")))
        assert abs(low[2]) < 0.06 and 0.4 < high[2] < 16, (name, low, high)


def test_strewn_things_do_not_meet_and_stay_inside() -> None:
    parts = strewn(Kit(np.random.default_rng(2), "photo"), 12, (-0.5, 0.5), (-0.3, 0.3), 1.0, 0.3)
    low, high = bounds(parts)
    assert low[0] > -0.53 and high[0] < 0.53 and low[1] > -0.33 and high[1] < 0.33 and high[2] < 1.33


@pytest.mark.slow
@pytest.mark.parametrize("world", ["interior", "plaza", "woods"])
def test_cameras_are_above_the_ground_and_outside_of_things(world: str) -> None:
    near = []
    for seed in range(2):
        scene = PHOTO_WORLDS[world](Kit(np.random.default_rng(seed), "photo"))
        renderer = SceneRenderer(scene)
        for view in range(4):
            assert scene.propose is not None
            camera = scene.propose(np.random.default_rng(view))
            assert 20 < camera.fov < 105
            depth = renderer.geometry(camera, 24, 32).depth
            near.append(float(np.percentile(depth[depth > 0], 5)) if (depth > 0).any() else 9.0)
    assert np.mean(np.array(near) > 0.3) >= 0.75


@pytest.mark.parametrize("name", sorted(PHOTO_STYLES))
def test_styles_change_the_picture_but_not_its_size(name: str) -> None:
    from dabench.render.backend import Geometry

    rng = np.random.default_rng(0)
    image = np.clip(np.linspace(0, 1, 40 * 56 * 3).reshape(40, 56, 3) + 0.1 * rng.random((40, 56, 3)), 0, 1)
    normal = np.zeros((40, 56, 3), np.float32)
    normal[..., 2] = 1
    flat = np.ones((40, 56), np.float32)
    geometry = Geometry(flat, normal, flat.astype(np.int32), flat < 0, np.zeros((40, 56, 2), np.float32))
    drawn = PHOTO_STYLES[name](image.astype(np.float32), geometry, rng)
    assert drawn.shape == image.shape and np.isfinite(drawn).all() and drawn.std() > 0.02
    assert np.abs(drawn - image).mean() > 0.01


def test_every_scene_type_has_a_look_of_the_photo_split() -> None:
    for kind in SCENE_TYPES:
        looks = [look_of(kind, np.random.default_rng(seed)) for seed in range(40)]
        assert all(look.world in PHOTO_WORLDS and f"style:{look.name}" not in OTHERS for look in looks)
    assert {look_of("adverse_style", np.random.default_rng(s)).name for s in range(60)} == set(PHOTO_ADVERSE)
    assert {look_of("non_real", np.random.default_rng(s)).name for s in range(60)} == set(PHOTO_STYLES)
