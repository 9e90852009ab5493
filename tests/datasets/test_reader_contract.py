"""What every registered reader must keep. A new reader needs one builder here and is tested by all of this."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dabench import datasets
from dabench.datasets.base import Dataset
from dabench.errors import DatasetError, ImageError, SampleError, UnknownNameError, UsageError
from dabench.types import PairSample, Sample

PAIR = {"point1": [1, 2], "point2": [15, 20], "closer_point": "point2"}
KEYS = [f"images/{scene}/view_{i}.png" for scene in ("indoor", "aerial") for i in range(3)]


def build_pairs(make_pairs: Any) -> Path:
    return Path(make_pairs({key: [PAIR] for key in KEYS}))


def build_da2k(make_pairs: Any) -> Path:
    counts = {key: 2068 // 6 + (i < 2068 % 6) for i, key in enumerate(KEYS)}
    return Path(make_pairs({key: [PAIR] * n for key, n in counts.items()}, name="da-2k")).parent


def build_mini(make_pairs: Any) -> Path:
    root = Path(make_pairs({key: [PAIR] for key in KEYS}, name="mini"))
    for number, key in enumerate(KEYS):
        path = root / key.replace("images", "depth")
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = np.random.default_rng(number).integers(0, 65536, (20, 30), dtype=np.uint16)
        raw[0] = 0
        cv2.imwrite(str(path), raw)
    samples = {key: {"depth_scale": 0.001 * (i + 1)} for i, key in enumerate(KEYS)}
    (root / "metadata.json").write_text(json.dumps({"format": 1, "samples": samples}))
    return root.parent


BUILDERS: dict[str, Callable[[Any], Path]] = {"pairs": build_pairs, "da-2k": build_da2k, "mini": build_mini}
CASES = [(name, task) for name in datasets.registry() for task in datasets.registry().get(name).info.tasks]


def test_every_reader_has_a_builder() -> None:
    assert set(BUILDERS) == set(datasets.registry().names())


@pytest.fixture(params=CASES, ids="-".join)
def opened(request: pytest.FixtureRequest, make_pairs: Any) -> tuple[str, str, Path, Dataset]:
    name, task = request.param
    root = BUILDERS[name](make_pairs)
    return name, task, root, datasets.open_dataset(name, root, task=task)


def test_info(opened: tuple[str, str, Path, Dataset]) -> None:
    name, task, _, dataset = opened
    info = dataset.info
    assert info.name == name and task in info.tasks and set(info.tasks) <= {"pairs", "depth"}
    for text in (info.title, info.summary, info.licence, info.source, info.layout, info.how_to_get):
        assert text.strip() and "\n" not in text
    assert dataset.task == task


def test_ids(opened: tuple[str, str, Path, Dataset]) -> None:
    _, _, _, dataset = opened
    assert len(set(dataset.ids)) == len(dataset.ids) == dataset.total_samples == len(KEYS)
    assert isinstance(dataset.ids, tuple)
    for sample_id in dataset.ids:
        assert not sample_id.startswith("/") and ".." not in sample_id and not sample_id.endswith((".png", ".jpg"))


def test_samples(opened: tuple[str, str, Path, Dataset]) -> None:
    _, task, _, dataset = opened
    targets = 0
    for sample_id in dataset.ids:
        sample, again = dataset.load(sample_id), dataset.load(sample_id)
        assert sample.id == sample_id and sample.group == dataset.group(sample_id) != ""
        assert sample.image.dtype == np.uint8 and sample.image.ndim == 3 and sample.image.shape[2] == 3
        np.testing.assert_array_equal(sample.image, again.image)
        if task == "pairs":
            assert isinstance(sample, PairSample) and len(sample.pairs) == dataset.targets(sample_id) >= 1
            targets += len(sample.pairs)
            height, width = sample.image.shape[:2]
            for pair in sample.pairs:
                for row, col in (pair.point1, pair.point2):
                    assert 0 <= row < height and 0 <= col < width
        else:
            assert isinstance(sample, Sample) and dataset.targets(sample_id) == 0
            assert sample.depth.dtype == np.float32 and sample.valid.dtype == np.bool_
            assert sample.depth.shape == sample.valid.shape == sample.image.shape[:2]
            assert sample.valid.any() and not sample.valid.all()
            assert np.isfinite(sample.depth[sample.valid]).all() and (sample.depth[sample.valid] > 0).all()
    assert dataset.total_targets == targets


def test_reopening_gives_the_same_set(opened: tuple[str, str, Path, Dataset]) -> None:
    name, task, root, dataset = opened
    again = datasets.open_dataset(name, root, task=task)
    assert again.ids == dataset.ids and again.fingerprint == dataset.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", dataset.fingerprint)


def test_selection(opened: tuple[str, str, Path, Dataset]) -> None:
    name, task, root, dataset = opened
    wanted = (dataset.ids[1], dataset.ids[4])
    chosen = datasets.open_dataset(name, root, task=task, only=frozenset(wanted))
    assert chosen.ids == wanted and chosen.total_samples == dataset.total_samples
    assert chosen.fingerprint == dataset.fingerprint
    with pytest.raises(UsageError, match="not in dataset"):
        datasets.open_dataset(name, root, task=task, only=frozenset({"nowhere"}))


def test_a_missing_image_is_named(opened: tuple[str, str, Path, Dataset]) -> None:
    name, task, root, _ = opened
    [victim] = [p for p in root.rglob("view_1.png") if "images" in p.parts and "aerial" in p.parts]
    victim.unlink()
    with pytest.raises(DatasetError, match=r"missing images/aerial/view_1\.png"):
        datasets.open_dataset(name, root, task=task)


def test_a_truncated_image_fails_its_sample_only(opened: tuple[str, str, Path, Dataset]) -> None:
    name, task, root, _ = opened
    [victim] = [p for p in root.rglob("view_1.png") if "images" in p.parts and "aerial" in p.parts]
    victim.write_bytes(victim.read_bytes()[:300])
    dataset = datasets.open_dataset(name, root, task=task)
    for sample_id in dataset.ids:
        if sample_id == "images/aerial/view_1":
            with pytest.raises(ImageError, match="view_1"):
                dataset.load(sample_id)
        else:
            dataset.load(sample_id)


def test_wrong_task_and_missing_root(opened: tuple[str, str, Path, Dataset]) -> None:
    name, _, root, dataset = opened
    other = {"pairs", "depth"} - set(dataset.info.tasks)
    for task in [*other, "flow"]:
        with pytest.raises(UsageError, match=f"no ground truth for task '{task}'"):
            datasets.open_dataset(name, root, task=task)
    if not dataset.info.bundled:
        with pytest.raises(DatasetError, match="does not exist"):
            datasets.open_dataset(name, root / "nowhere")
        with pytest.raises(UsageError, match="no data root"):
            datasets.open_dataset(name)


class TestMini:
    def test_depth_is_value_times_scale(self, make_pairs: Any) -> None:
        root = build_mini(make_pairs)
        dataset = datasets.open_dataset("mini", root, task="depth")
        raw = cv2.imread(str(root / "mini/depth/indoor/view_2.png"), cv2.IMREAD_UNCHANGED)
        sample = dataset.load("images/indoor/view_2")
        assert isinstance(sample, Sample)
        np.testing.assert_allclose(sample.depth, raw * 0.003, rtol=1e-6)
        np.testing.assert_array_equal(sample.valid, raw > 0)

    def test_fingerprint_follows_the_scales(self, make_pairs: Any) -> None:
        root = build_mini(make_pairs)
        before = datasets.open_dataset("mini", root, task="depth").fingerprint
        path = root / "mini/metadata.json"
        path.write_text(path.read_text().replace("0.001", "0.0015", 1))
        assert datasets.open_dataset("mini", root, task="depth").fingerprint != before

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{}", '{"samples": []}', '{"samples": {}}', '{"samples": {"images/indoor/view_0.png": {}}}'],
    )
    def test_damaged_metadata_is_refused_for_depth_only(self, make_pairs: Any, content: str) -> None:
        root = build_mini(make_pairs)
        (root / "mini/metadata.json").write_text(content)
        with pytest.raises(DatasetError, match=r"metadata\.json"):
            datasets.open_dataset("mini", root, task="depth")
        assert datasets.open_dataset("mini", root).total_samples == len(KEYS)

    @pytest.mark.parametrize("scale", ["0", "-1", "NaN", "Infinity"])
    def test_a_scale_must_be_positive(self, make_pairs: Any, scale: str) -> None:
        root = build_mini(make_pairs)
        path = root / "mini/metadata.json"
        path.write_text(path.read_text().replace("0.002", scale, 1))
        with pytest.raises(DatasetError, match=r"'images/indoor/view_1': depth_scale .* is not positive"):
            datasets.open_dataset("mini", root, task="depth")

    def test_missing_depth_is_listed(self, make_pairs: Any) -> None:
        root = build_mini(make_pairs)
        (root / "mini/depth/indoor/view_0.png").unlink()
        with pytest.raises(DatasetError, match=r"missing .*view_0\.png"):
            datasets.open_dataset("mini", root, task="depth")

    def test_depth_of_another_size_fails_its_sample(self, make_pairs: Any) -> None:
        root = build_mini(make_pairs)
        cv2.imwrite(str(root / "mini/depth/indoor/view_0.png"), np.ones((9, 9), np.uint16))
        with pytest.raises(SampleError, match="view_0"):
            datasets.open_dataset("mini", root, task="depth").load("images/indoor/view_0")


def test_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="da-2k"):
        datasets.open_dataset("da2k", Path("x"))
