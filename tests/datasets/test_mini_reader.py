"""``mini``: depth is value times scale, and the scales are part of the labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from dataset_builders import mini

from dabench import datasets
from dabench.errors import DatasetError, SampleError
from dabench.types import Sample


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return mini.build(tmp_path)


def test_depth_is_value_times_scale(root: Path) -> None:
    dataset = datasets.open_dataset("mini", root, task="depth")
    raw = cv2.imread(str(root / "mini/depth/indoor/view_2.png"), cv2.IMREAD_UNCHANGED)
    sample = dataset.load("images/indoor/view_2")
    assert isinstance(sample, Sample)
    np.testing.assert_allclose(sample.depth, raw * 0.003, rtol=1e-6)
    np.testing.assert_array_equal(sample.valid, raw > 0)


def test_fingerprint_follows_the_scales(root: Path) -> None:
    before = datasets.open_dataset("mini", root, task="depth").fingerprint
    path = root / "mini/metadata.json"
    path.write_text(path.read_text().replace("0.001", "0.0015", 1))
    assert datasets.open_dataset("mini", root, task="depth").fingerprint != before


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"samples": []}', '{"samples": {}}', '{"samples": {"images/indoor/view_0.png": {}}}'],
)
def test_damaged_metadata_is_refused_for_depth_only(root: Path, content: str) -> None:
    (root / "mini/metadata.json").write_text(content)
    with pytest.raises(DatasetError, match=r"metadata\.json"):
        datasets.open_dataset("mini", root, task="depth")
    assert datasets.open_dataset("mini", root).total_samples == mini.IMAGES


@pytest.mark.parametrize("scale", ["0", "-1", "NaN", "Infinity"])
def test_a_scale_must_be_positive(root: Path, scale: str) -> None:
    path = root / "mini/metadata.json"
    path.write_text(path.read_text().replace("0.002", scale, 1))
    with pytest.raises(DatasetError, match=r"'images/indoor/view_1': depth_scale .* is not positive"):
        datasets.open_dataset("mini", root, task="depth")


def test_depth_of_another_size_fails_its_sample(root: Path) -> None:
    cv2.imwrite(str(root / "mini/depth/indoor/view_0.png"), np.ones((9, 9), np.uint16))
    with pytest.raises(SampleError, match="view_0"):
        datasets.open_dataset("mini", root, task="depth").load("images/indoor/view_0")
