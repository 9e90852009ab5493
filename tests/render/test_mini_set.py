"""The bundled `mini`: what its makers promise."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

import dabench
from dabench.render.kit import HELDOUT_FAMILIES
from dabench.render.mini import EACH, SETTINGS
from dabench.render.patterns import HELDOUT_PATTERNS
from dabench.render.sample import SCENE_TYPES

ROOT = Path(dabench.__file__).parent / "datasets" / "bundled" / "mini"


@pytest.fixture(scope="module")
def metadata() -> dict:
    return json.loads((ROOT / "metadata.json").read_text())


@pytest.fixture(scope="module")
def annotations() -> dict:
    return json.loads((ROOT / "annotations.json").read_text())


def test_counts_and_weight(metadata: dict, annotations: dict) -> None:
    assert Counter(entry["scene"] for entry in metadata["samples"].values()) == dict.fromkeys(SCENE_TYPES, EACH)
    assert (
        set(annotations)
        == set(metadata["samples"])
        == {str(path.relative_to(ROOT)) for path in (ROOT / "images").rglob("*.jpg")}
    )
    assert all(2 <= len(pairs) <= 4 for pairs in annotations.values())
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 9_000_000


def test_made_with_the_recorded_heldout_settings(metadata: dict) -> None:
    assert metadata["split"] == "heldout" == SETTINGS.split
    assert metadata["seed"] == SETTINGS.seed and tuple(metadata["size"]) == SETTINGS.size
    reserved = HELDOUT_FAMILIES | HELDOUT_PATTERNS
    with_reserved = [bool(reserved & set(entry["families"])) for entry in metadata["samples"].values()]
    assert np.mean(with_reserved) > 0.8


def test_location_prior_is_a_coin_toss_in_every_scene(annotations: dict) -> None:
    right: dict[str, list[bool]] = {}
    for image, pairs in annotations.items():
        for pair in pairs:
            lower = "point1" if pair["point1"][0] > pair["point2"][0] else "point2"
            assert pair["point1"][0] != pair["point2"][0]
            right.setdefault(image.split("/")[1], []).append(lower == pair["closer_point"])
    assert set(right) == set(SCENE_TYPES)
    for scene, answers in right.items():
        assert 0.45 <= np.mean(answers) <= 0.55, scene


def test_pairs_agree_with_the_depth_maps(metadata: dict, annotations: dict) -> None:
    for image, entry in metadata["samples"].items():
        file = ROOT / image.replace("images/", "depth/").replace(".jpg", ".png")
        units = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert units.dtype == np.uint16 and units.shape == SETTINGS.size
        assert cv2.imread(str(ROOT / image)).shape == (*SETTINGS.size, 3)
        assert (units > 0).mean() >= 0.3 and entry["depth_scale"] > 0
        for pair in annotations[image]:
            d1, d2 = (float(units[tuple(pair[name])]) for name in ("point1", "point2"))
            assert min(d1, d2) > 0 and max(d1, d2) / min(d1, d2) > 1.14
            assert pair["closer_point"] == ("point1" if d1 < d2 else "point2")


def test_pictures_are_neither_black_nor_white_nor_flat() -> None:
    for path in (ROOT / "images").rglob("*.jpg"):
        picture = cv2.imread(str(path)).astype(float) / 255
        assert 0.03 < picture.mean() < 0.95 and picture.std() > 0.03, path.name
