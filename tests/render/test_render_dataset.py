"""Rendered sets: layout, determinism, resuming, splits."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("mitsuba", reason="rendering needs Mitsuba: pip install 'dabench[render]'")

from dabench.errors import DabenchError, DatasetError
from dabench.render import backend
from dabench.render.dataset import depth_path, encode_depth, generate, merge
from dabench.render.kit import HELDOUT_FAMILIES, Kit
from dabench.render.patterns import HELDOUT_PATTERNS, PATTERNS, pattern
from dabench.render.rooms import THEMES, room_scene
from dabench.render.sample import SCENE_TYPES, Settings, generator, render_scene, scene_type
from dabench.render.worlds import WORLDS

SMALL = Settings(seed=4, size=(36, 48), views=2, scene_types=("object", "underwater", "indoor"))


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    generate(out, 3, SMALL)
    return out


@pytest.mark.slow
def test_layout_is_that_of_a_pair_set_with_depth(rendered: Path) -> None:
    metadata = json.loads((rendered / "metadata.json").read_text())
    annotations = json.loads((rendered / "annotations.json").read_text())
    assert metadata["format"] == 1 and metadata["size"] == [36, 48] and metadata["seed"] == 4
    assert set(metadata["samples"]) == set(annotations)
    assert {entry["scene"] for entry in metadata["samples"].values()} == {"object", "underwater", "indoor"}
    for name, entry in metadata["samples"].items():
        image = cv2.imread(str(rendered / name))
        units = cv2.imread(str(rendered / depth_path(name)), cv2.IMREAD_UNCHANGED)
        assert image.shape == (36, 48, 3) and units.shape == (36, 48) and units.dtype == np.uint16
        depth = units * entry["depth_scale"]
        for pair in annotations[name]:
            d1, d2 = depth[tuple(pair["point1"])], depth[tuple(pair["point2"])]
            assert pair["closer_point"] == ("point1" if d1 < d2 else "point2") and min(d1, d2) > 0


@pytest.mark.slow
def test_bytes_do_not_depend_on_workers_or_interruption(rendered: Path, tmp_path: Path) -> None:
    generate(tmp_path, 3, SMALL, workers=2)
    assert contents(tmp_path) == contents(rendered)
    victim = next(iter(json.loads((tmp_path / "metadata.json").read_text())["samples"]))
    (tmp_path / victim).unlink()
    (tmp_path / "scenes" / "000001.json").unlink()
    (tmp_path / "annotations.json").unlink()
    generate(tmp_path, 3, SMALL)
    assert contents(tmp_path) == contents(rendered)


@pytest.mark.slow
def test_killed_run_continues_to_the_same_bytes(rendered: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from dabench.render.dataset import generate\nfrom dabench.render.sample import Settings\n"
        f"if __name__ == '__main__':\n    generate(Path(sys.argv[1]), 3, {SMALL!r})\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    out = tmp_path / "set"
    process = subprocess.Popen([sys.executable, str(script), str(out)], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 120
    while not (out / "scenes" / "000000.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert (out / "scenes" / "000000.json").is_file()
    generate(out, 3, SMALL)
    assert contents(out) == contents(rendered)


@pytest.mark.slow
def test_other_settings_are_refused_in_a_begun_folder(rendered: Path) -> None:
    with pytest.raises(DatasetError, match="other settings"):
        generate(rendered, 3, Settings(seed=5))


@pytest.mark.slow
def test_a_longer_set_begins_with_the_shorter_one(rendered: Path) -> None:
    again = render_scene(SMALL, 2)
    stored = json.loads((rendered / "scenes" / "000002.json").read_text())
    assert [f"images/{sample.scene}/{sample.id}.jpg" for sample in again] == list(stored)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WORLDS))
def test_train_never_uses_heldout_families(name: str) -> None:
    reserved = HELDOUT_FAMILIES | HELDOUT_PATTERNS
    used: set[str] = set()
    for seed in range(3):
        kit = Kit(np.random.default_rng(seed), "train")
        scene = WORLDS[name](kit)
        assert scene.parts and scene.propose is not None
        used |= kit.families | {material.pattern[0] for _, material in scene.parts if material.pattern}
    assert used and not used & reserved


@pytest.mark.slow
def test_heldout_uses_the_reserved_families() -> None:
    reserved = HELDOUT_FAMILIES | HELDOUT_PATTERNS
    used: set[str] = set()
    for seed in range(2):
        for world in (*WORLDS.values(), *(partial(room_scene, theme=theme) for theme in THEMES)):
            kit = Kit(np.random.default_rng(seed), "heldout")
            world(kit)
            used |= kit.families & reserved
    assert len(used) >= 0.8 * len(reserved)


def test_splits_and_seeds_give_different_streams() -> None:
    draws = {
        generator(Settings(seed=s, split=p), i).random() for s in (0, 1) for p in ("train", "heldout") for i in (0, 1)
    }
    assert len(draws) == 8


def test_scene_types_share_as_asked() -> None:
    settings = Settings(seed=0, scene_types=("indoor", "indoor", "aerial"))
    kinds = [scene_type(settings, index) for index in range(300)]
    assert abs(kinds.count("indoor") - 200) <= 3
    assert {scene_type(Settings(seed=0), index) for index in range(16)} == set(SCENE_TYPES)


def test_depth_survives_encoding() -> None:
    depth = np.geomspace(0.2, 900, 12 * 16).reshape(12, 16).astype(np.float32)
    depth[0, :3] = 0
    data, scale = encode_depth(depth)
    units = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.abs(units * scale - depth).max() <= 0.51 * scale + 1e-6
    assert ((units == 0) == (depth == 0)).all()


@pytest.mark.parametrize("family", sorted(PATTERNS))
def test_patterns_are_varied_bounded_and_repeatable(family: str) -> None:
    page = pattern(family, 3)
    assert page.shape == (128, 128) and page.min() >= 0 and page.max() <= 1 and page.std() > 0.01
    pattern.cache_clear()
    np.testing.assert_array_equal(pattern(family, 3), page)


def test_merging_an_empty_folder_gives_empty_files(tmp_path: Path) -> None:
    assert merge(tmp_path, SMALL, 5) == 0
    assert json.loads((tmp_path / "annotations.json").read_text()) == {}


def test_without_mitsuba_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(DabenchError, match="Mitsuba") as caught:
        backend.load_mitsuba()
    assert caught.value.hint == "pip install 'dabench[render]'"
