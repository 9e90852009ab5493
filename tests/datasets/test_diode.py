"""DIODE: the mask, the two fields, the halves, and the list of 612 that gives other numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from dataset_builders import diode, encoded, picture

from dabench import datasets
from dabench.datasets.base import Dataset
from dabench.errors import DatasetError, SampleError


@pytest.fixture
def key() -> str:
    return f"val/{diode.listed('indoor')[0]}"


@pytest.fixture
def root(tmp_path: Path, key: str) -> Path:
    path = tmp_path / "diode" / key
    path.parent.mkdir(parents=True)
    depth, mask = diode.depth_and_mask(5)
    path.with_name(path.name + ".png").write_bytes(encoded(picture(1, diode.HEIGHT, diode.WIDTH)))
    np.save(path.with_name(path.name + "_depth.npy"), depth)
    np.save(path.with_name(path.name + "_depth_mask.npy"), mask)
    return tmp_path


def _open(data_root: Path, key: str, field: str = "masked") -> Dataset:
    return datasets.open_dataset("diode", data_root, only=frozenset({key}), field=field)


def test_the_lists_are_the_published_ones(shared_data: Path) -> None:
    for half, file in (("indoor", "diode_val_indoor.txt"), ("outdoor", "diode_val_outdoor.txt")):
        published = [line.split()[0] for line in (shared_data / "splits" / file).read_text().splitlines()]
        assert sorted(p.removesuffix(".png") for p in published) == diode.listed(half)
    assert (len(diode.listed("indoor")), len(diode.listed("outdoor"))) == (325, 446)


@pytest.mark.parametrize("field", ["masked", "unmasked"])
def test_depth_is_metres_and_the_field_says_where_it_counts(root: Path, key: str, field: str) -> None:
    depth, mask = diode.depth_and_mask(5)
    truth = _open(root, key, field).ground_truth(key)
    np.testing.assert_array_equal(truth.depth, depth[:, :, 0])
    positive = depth[:, :, 0] > 0
    np.testing.assert_array_equal(truth.valid, positive & (mask == 1) if field == "masked" else positive)
    assert not truth.valid[2, 3] and mask[2, 3] == 1, "depth 0 is no measurement, whatever the mask says"


def test_infinite_and_undefined_depth_never_counts(root: Path, key: str) -> None:
    depth = np.full((6, 8, 1), 2.0, np.float32)
    depth[0, 0], depth[0, 1], depth[0, 2] = np.inf, np.nan, -1
    np.save(root / "diode" / f"{key}_depth.npy", depth)
    assert _open(root, key, "unmasked").ground_truth(key).valid.sum() == 45


def test_the_mask_is_not_needed_without_it(root: Path, key: str) -> None:
    (root / "diode" / f"{key}_depth_mask.npy").unlink()
    _open(root, key, "unmasked").load(key)
    with pytest.raises(DatasetError, match=r"missing .*_depth_mask\.npy"):
        _open(root, key)


@pytest.mark.parametrize(
    ("suffix", "values", "words"),
    [
        ("_depth_mask", np.ones((5, 8)), r"_depth_mask\.npy: is \(5, 8\), its depth \(6, 8\)"),
        ("_depth_mask", np.full((6, 8), 2.5), "other values than 0 and 1"),
        ("_depth", np.ones((6, 8, 3), np.float32), "not one number a pixel"),
        ("_depth", np.array([{}]), "not a plain"),
        ("_depth", np.ones((4, 4, 1), np.float32), "_depth_mask"),
    ],
)
def test_damaged_parts_fail_the_sample(root: Path, key: str, suffix: str, values: np.ndarray, words: str) -> None:
    np.save(root / "diode" / f"{key}{suffix}.npy", values)
    with pytest.raises(SampleError, match=words):
        _open(root, key).load(key)


def test_depth_of_another_size_than_its_image_fails_the_sample(root: Path, key: str) -> None:
    np.save(root / "diode" / f"{key}_depth.npy", np.ones((4, 4, 1), np.float32))
    with pytest.raises(SampleError, match=r"depth is \(4, 4\), its image \(6, 8\)"):
        _open(root, key, "unmasked").load(key)


def test_the_list_of_612_is_explained(tmp_path: Path) -> None:
    data_root = diode.build(tmp_path)
    for half, kept in (("indoor", 220), ("outdoor", 392)):
        for key in diode.listed(half)[kept:]:
            (data_root / "diode" / "val" / f"{key}_depth.npy").unlink()
    for split, message in (
        ("all", "holds 612 of the 771 images of split 'all'"),
        ("indoor", "holds 220 of the 325 images of split 'indoor'"),
        ("outdoor", "holds 392 of the 446 images of split 'outdoor'"),
    ):
        with pytest.raises(DatasetError, match=message) as caught:
            datasets.open_dataset("diode", data_root, split=split)
        assert "diode_meta.json" in str(caught.value) and "325 + 446 = 771" in str(caught.value)
    victim = data_root / "diode" / "val" / f"{diode.listed('indoor')[0]}.png"
    victim.unlink()
    with pytest.raises(DatasetError) as caught:
        datasets.open_dataset("diode", data_root, split="indoor")
    assert "diode_meta" not in str(caught.value), "219 images are a part of nothing in particular"


def test_halves_without_the_folder_val_are_explained(root: Path) -> None:
    shutil.move(root / "diode/val/indoors", root / "diode/indoors")
    (root / "diode/val").rmdir()
    with pytest.raises(DatasetError, match="holds the halves themselves"):
        datasets.open_dataset("diode", root)


def test_groups_are_the_halves(tmp_path: Path) -> None:
    dataset = datasets.open_dataset("diode", diode.build(tmp_path), split="all")
    assert [dataset.group(i) for i in dataset.ids].count("indoor") == 325
