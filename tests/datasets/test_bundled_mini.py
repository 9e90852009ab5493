"""The benchmark in the wheel: whole, balanced against the location prior, and labelled as its depth says."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from dabench import datasets
from dabench.datasets.base import Dataset
from dabench.datasets.da2k import SCENES
from dabench.datasets.mini import METADATA, bundled_root
from dabench.scoring.pairs import score_pairs
from dabench.types import Output, PairSample, Prediction, Sample


@pytest.fixture(scope="module")
def mini() -> Dataset:
    if not bundled_root().is_dir():
        pytest.skip("the bundled set has not been rendered into this checkout")
    return datasets.open_dataset("mini")


def test_size_and_scenes(mini: Dataset) -> None:
    assert mini.total_samples >= 96
    images = Counter(mini.group(i) for i in mini.ids)
    assert set(images) == set(SCENES) and min(images.values()) >= 8
    assert all(2 <= mini.targets(i) <= 4 for i in mini.ids)


def test_labels_follow_from_the_depth(mini: Dataset) -> None:
    """Every label, and at a distance that a person would see too."""
    dense = datasets.open_dataset("mini", task="depth")
    assert dense.ids == mini.ids
    for sample_id in mini.ids:
        pairs, depth = mini.load(sample_id), dense.load(sample_id)
        assert isinstance(pairs, PairSample) and isinstance(depth, Sample)
        assert pairs.image.shape[:2] == depth.depth.shape and depth.valid.mean() > 0.05, sample_id
        truth = Prediction(np.where(depth.valid, depth.depth, np.inf).astype(np.float32), Output.METRIC)
        verdicts = score_pairs(truth, pairs.pairs)
        assert verdicts.correct.all() and verdicts.usable.all(), sample_id
        for pair in pairs.pairs:
            near, far = sorted((float(depth.depth[pair.point1]), float(depth.depth[pair.point2])))
            assert far / near > 1.02, (sample_id, pair)


def test_the_location_prior_is_right_half_of_the_time_in_every_scene(mini: Dataset) -> None:
    right, pairs = Counter[str](), Counter[str]()
    for sample_id in mini.ids:
        sample = mini.load(sample_id)
        assert isinstance(sample, PairSample)
        height, width = sample.image.shape[:2]
        rows = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
        right[sample.group] += int(score_pairs(Prediction(rows, Output.DISPARITY), sample.pairs).correct.sum())
        pairs[sample.group] += len(sample.pairs)
    assert 0.47 <= right.total() / pairs.total() <= 0.53
    assert {
        scene: right[scene] / pairs[scene] for scene in pairs if not 0.4 <= right[scene] / pairs[scene] <= 0.6
    } == {}


def test_metadata_and_weight(mini: Dataset) -> None:
    content = json.loads((bundled_root() / METADATA).read_text())
    assert content["format"] == 1 and {"generator_version", "seed", "size", "samples"} <= set(content)
    assert {key.rsplit(".", 1)[0] for key in content["samples"]} == set(mini.ids)
    for sample in content["samples"].values():
        assert {"depth_scale", "scene", "seed", "families"} <= set(sample) and sample["scene"] in SCENES
    files = [path for path in bundled_root().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 16 * 1024 * 1024, "it travels in every wheel"
    assert len(files) == 2 * mini.total_samples + 2, "pictures, depth maps, labels, metadata, and nothing else"
