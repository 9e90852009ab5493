"""What every registered training set must keep; a new one needs a builder and gets all of this."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_set_builders import BUILDERS, SIZE, Built, leave_finder_files

from dabench.errors import DatasetError, SampleError, UnknownNameError, UsageError
from model_zoo.depth_anything_v2.training.datasets import DATASETS, open_dataset, registry
from model_zoo.depth_anything_v2.training.sample import TrainingDataset

ELSEWHERE = {"pseudo-labelled"}
"""Sets that are made of other files than images and depth maps, with tests of their own."""

NAMES = sorted(set(DATASETS) - ELSEWHERE)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    return {name: BUILDERS[name](tmp_path_factory.mktemp(name)) for name in NAMES}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def built(name: str, sets: dict[str, Built]) -> Built:
    return sets[name]


def opened(name: str, built: Built, **options: Any) -> TrainingDataset:
    return open_dataset(name, built.root, **{**built.options, **options})


@contextmanager
def replaced(path: Path, content: bytes | None) -> Iterator[None]:
    before = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def test_every_set_has_a_builder() -> None:
    assert set(BUILDERS) == set(NAMES)


@pytest.mark.parametrize("key", sorted(DATASETS))
def test_every_name_leads_to_its_reader(key: str) -> None:
    assert registry().get(key).name == key


def test_an_option_that_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'pseudo-labelled' needs the option 'labels'"):
        open_dataset("pseudo-labelled", tmp_path)


def test_names_and_ids(name: str, built: Built) -> None:
    dataset = opened(name, built)
    assert dataset.name == name
    ids = [dataset.id_of(index) for index in range(len(dataset))]
    assert ids == sorted(built.truths) and len(ids) >= 3
    reader = registry().get(name)
    assert getattr(reader, "home", "") and getattr(reader, "layout", "")
    with pytest.raises(IndexError):
        dataset.id_of(len(dataset))
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_samples_hold_what_was_stored(name: str, built: Built) -> None:
    dataset = opened(name, built)
    skies = holes = 0
    for index in range(len(dataset)):
        sample, truth = dataset[index], built.truths[dataset.id_of(index)]
        assert sample.id == dataset.id_of(index) and sample.metric is dataset.metric
        assert sample.image.dtype == np.uint8 and sample.image.shape == (*SIZE, 3)
        assert sample.disparity.dtype == np.float32 and sample.disparity.shape == SIZE
        assert sample.valid.dtype == np.bool_ and sample.sky.dtype == np.bool_
        np.testing.assert_array_equal(sample.sky, truth.sky & ~truth.hole)
        np.testing.assert_array_equal(sample.valid, ~truth.hole)
        assert not (sample.sky & ~sample.valid).any()
        surface = sample.valid & ~sample.sky
        assert (sample.disparity[~surface] == 0).all() and (sample.disparity[surface] > 0).all()
        np.testing.assert_allclose(1 / sample.disparity[surface], truth.depth[surface], rtol=truth.tolerance)
        skies += int(sample.sky.sum())
        holes += int((~sample.valid).sum())
    assert (skies > 0) == any(truth.sky.any() for truth in built.truths.values())
    assert (holes > 0) == any(truth.hole.any() for truth in built.truths.values())


def test_images_are_the_ones_beside_the_depth(name: str, built: Built) -> None:
    from PIL import Image

    dataset = opened(name, built)
    for index in range(len(dataset)):
        with Image.open(built.truths[dataset.id_of(index)].image_file) as image:
            np.testing.assert_array_equal(dataset[index].image, np.asarray(image.convert("RGB")))


def test_reading_twice_and_in_another_process_is_the_same(name: str, built: Built) -> None:
    dataset = opened(name, built)
    copy = pickle.loads(pickle.dumps(dataset))
    again = opened(name, built)
    for other in (copy, again, dataset):
        assert len(other) == len(dataset)
        first, second = dataset[1], other[1]
        for part in ("image", "disparity", "valid", "sky"):
            np.testing.assert_array_equal(getattr(first, part), getattr(second, part))
        assert first.id == second.id


@pytest.mark.parametrize("which", ["image_file", "depth_file"])
@pytest.mark.parametrize("damage", ["absent", "empty", "half", "other"])
def test_a_damaged_file_is_named(name: str, built: Built, which: str, damage: str) -> None:
    dataset = opened(name, built)
    path: Path = getattr(built.truths[dataset.id_of(0)], which)
    content = path.read_bytes()
    damaged = {"absent": None, "empty": b"", "half": content[: len(content) // 2], "other": b"no such format" * 30}
    with replaced(path, damaged[damage]):
        assert len(opened(name, built)) in (len(dataset), len(dataset) - 1)
        with pytest.raises(SampleError) as caught:
            dataset[0]
        assert str(path) in str(caught.value)
    dataset[0]


def test_an_image_of_another_size_is_refused(name: str, built: Built) -> None:
    import cv2

    dataset = opened(name, built)
    path = built.truths[dataset.id_of(0)].image_file
    with replaced(path, bytes(cv2.imencode(path.suffix, np.zeros((8, 9, 3), np.uint8))[1])):
        with pytest.raises(SampleError) as caught:
            dataset[0]
        assert str(path) in str(caught.value)


def test_files_of_macos_are_ignored(name: str, tmp_path: Path) -> None:
    built = BUILDERS[name](tmp_path)
    before = opened(name, built)
    leave_finder_files(tmp_path)
    after = opened(name, built)
    assert [after.id_of(i) for i in range(len(after))] == [before.id_of(i) for i in range(len(before))]


def test_an_absent_or_empty_root_is_an_error_that_helps(name: str, built: Built, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "absent", tmp_path / "empty"):
        with pytest.raises(DatasetError) as caught:
            open_dataset(name, root, **built.options)
        assert str(root) in caught.value.message and caught.value.hint


def test_unknown_options_and_rules_are_refused(name: str, built: Built) -> None:
    with pytest.raises(UsageError, match=f"'{name}' has no option 'depth_limit'") as caught:
        opened(name, built, depth_limit=3)
    assert "rule" in str(caught.value)
    with pytest.raises(UsageError, match="no field 'skyy'"):
        opened(name, built, rule={"skyy": 1.0})


def test_a_changed_rule_is_followed(name: str, built: Built) -> None:
    limit = 30.0
    dataset = opened(name, built, rule={"far": limit, "sky_from": None, "min_valid": 0.0})
    assert dataset.rule.far == limit  # type: ignore[attr-defined]
    zero_is_sky = dataset.rule.zero_is_sky  # type: ignore[attr-defined]
    for index in range(len(dataset)):
        sample, truth = dataset[index], built.truths[dataset.id_of(index)]
        surface = sample.valid & ~sample.sky
        near = truth.depth < limit * (1 - 2 * truth.tolerance)
        expected = near & ~truth.hole & ~truth.sky
        beyond = truth.depth > limit * (1 + 2 * truth.tolerance)
        assert surface[expected].all() and not surface[beyond].any()
        assert zero_is_sky or name == "virtual-kitti-2" or not sample.sky.any()


def test_an_image_with_too_little_depth_is_refused(name: str, built: Built) -> None:
    dataset = opened(name, built, rule={"min_valid": 1.0, "far": 2.0, "sky_from": None})
    with pytest.raises(SampleError, match="too little valid depth") as caught:
        dataset[0]
    assert str(built.truths[dataset.id_of(0)].depth_file) in str(caught.value)


def test_an_unknown_set_names_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'virtual-kitti-2'"):
        open_dataset("virtual-kitti", tmp_path)


def test_listing_the_names_imports_no_reader() -> None:
    import subprocess
    import sys

    code = (
        "import sys, model_zoo.depth_anything_v2.training.datasets as d; assert len(d.DATASETS) > 5; "
        "print([m for m in sys.modules if m.startswith(d.__name__ + '.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
