"""Images and stored labels joined for training."""

from __future__ import annotations

import io
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from dabench.errors import DatasetError, ImageError, RecordError, SampleError, UsageError
from model_zoo.depth_anything_v2.preprocess import network_size, prepare
from model_zoo.depth_anything_v2.training.pseudo_label.teacher import Teacher
from model_zoo.depth_anything_v2.training.pseudo_label.worker import LabelOptions, label_shards
from model_zoo.depth_anything_v2.training.pseudo_labelled import PseudoLabelled, resize_image
from model_zoo.depth_anything_v2.training.sample import TrainingDataset
from model_zoo.depth_anything_v2.training.shards import find_shards

SIZES = [(42, 56), (70, 42), (30, 50)]


def forward(x: torch.Tensor) -> torch.Tensor:
    """Green, positive, with a sky of exact zeros in the upper quarter."""
    values = x[:, 1] + 5
    values[:, : x.shape[2] // 4] = 0
    return values


def expected_label(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    x = prepare(image, network_size(image.shape[0], image.shape[1], 28))
    values = x[1] + 5
    values[: x.shape[1] // 4] = 0
    return values


def write_images(root: Path, count: int = 10) -> Path:
    root.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (*SIZES[number % 3], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number:03d}.png")
    return root


def make_labels(images: Path | list[Path], out: Path, shard_size: int = 4, sha: str = "f00d", **options: Any) -> None:
    teacher = Teacher(options.pop("forward", forward), name="t", weights_sha256=sha, input_size=28)
    shards = find_shards(images if isinstance(images, list) else [images], shard_size=shard_size)
    label_shards(shards, out, teacher, LabelOptions(threads=1, **options))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images, the fifth of them damaged, labelled in shards of four."""
    images = write_images(tmp_path / "set")
    (images / "004.png").write_text("no image")
    make_labels(images, tmp_path / "labels")
    return images


def test_every_label_meets_its_image(folder: Path) -> None:
    data = PseudoLabelled(folder, labels="../labels")
    assert isinstance(data, TrainingDataset) and data.name == "pseudo-labelled" and data.metric is False
    assert data.block_sizes == (4, 3, 2) and len(data) == 9
    ids = [data.id_of(index) for index in range(9)]
    assert ids == [f"{number:03d}" for number in range(10) if number != 4]
    for index in (8, 0, 5, 4, 3, 7, 1, 2, 6):
        sample = data[index]
        original = np.asarray(Image.open(folder / f"{ids[index]}.png"))
        label = expected_label(original)
        assert sample.id == ids[index] and not sample.metric
        assert sample.disparity.shape == sample.image.shape[:2] == label.shape
        assert sample.disparity.dtype == np.float32 and sample.image.dtype == np.uint8
        assert np.abs(sample.disparity - label).max() <= (label.max() - label.min()) / 65535 * 1.01
        assert np.array_equal(sample.sky, label == 0) and sample.sky.any() and sample.valid.all()
        assert np.array_equal(sample.image, cv2.resize(original, label.shape[::-1], interpolation=cv2.INTER_AREA))
    assert data[-1].id == "009"
    with pytest.raises(IndexError):
        data[9]


def test_labels_are_beside_a_root_that_is_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "elsewhere" / "set")
    folder.symlink_to(tmp_path / "elsewhere" / "set")
    assert len(PseudoLabelled(folder, labels="../labels")) == 9


def test_labels_may_be_brought_to_the_image(folder: Path) -> None:
    data = PseudoLabelled(folder, labels="../labels", resize="label")
    for index in range(3):
        sample = data[index]
        original = np.asarray(Image.open(folder / f"{index:03d}.png"))
        assert np.array_equal(sample.image, original)
        label = expected_label(original)
        assert sample.disparity.shape == sample.sky.shape == original.shape[:2]
        assert (sample.disparity[sample.sky] == 0).all() and (sample.disparity[~sample.sky] > 0).all()
        rows = original.shape[0]
        assert sample.sky[: rows // 5].all() and not sample.sky[rows // 3 :].any()
        inside = slice(rows // 2, None)
        smooth = cv2.resize(label, original.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        assert np.abs(sample.disparity[inside] - smooth[inside]).max() < 1e-3


def test_images_grow_by_cubic_and_shrink_by_area() -> None:
    image = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    assert resize_image(image, (12, 16)) is image
    halved = image.reshape(6, 2, 8, 2, 3).mean((1, 3))
    assert np.abs(resize_image(image, (6, 8)) - halved).max() <= 0.5 + 1e-6
    assert np.array_equal(resize_image(image, (24, 8)), cv2.resize(image, (8, 24), interpolation=cv2.INTER_CUBIC))


def test_tar_shards_are_joined_as_folders_are(folder: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(3):
        with tarfile.open(shards / f"set-{number:06d}.tar", "w") as archive:
            for path in sorted(folder.iterdir())[4 * number : 4 * number + 4]:
                archive.add(path, path.name)
    make_labels(shards, tmp_path / "tar-labels")
    one, two = PseudoLabelled(folder, labels="../labels"), PseudoLabelled(shards, labels=tmp_path / "tar-labels")
    listed = PseudoLabelled(sorted(shards.iterdir()), labels=tmp_path / "tar-labels")
    two.check()
    assert one.block_sizes == two.block_sizes == listed.block_sizes
    for index in range(9):
        a, b, c = one[index], two[index], listed[index]
        for name in ("image", "disparity", "sky", "valid"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
            assert np.array_equal(getattr(a, name), getattr(c, name))
    copy = pickle.loads(pickle.dumps(two))
    assert copy.id_of(5) == two.id_of(5) and np.array_equal(copy[5].disparity, two[5].disparity)


def test_a_constant_map_has_no_valid_pixel(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set", 2)
    make_labels(images, tmp_path / "labels", forward=lambda x: torch.full_like(x[:, 0], 3.0))
    sample = PseudoLabelled(images, labels=tmp_path / "labels")[0]
    assert not sample.valid.any() and not sample.sky.any() and (sample.disparity == 0).all()


def test_missing_labels_are_an_error_unless_a_part_is_wanted(tmp_path: Path) -> None:
    images = write_images(tmp_path / "set")
    with pytest.raises(RecordError, match=r"no run\.json"):
        PseudoLabelled(images, labels=tmp_path / "labels")
    make_labels(images, tmp_path / "labels", limit=2)
    done = sorted(path.stem for path in (tmp_path / "labels").glob("*.tar"))
    (left,) = {"set-000000", "set-000001", "set-000002"} - set(done)
    with pytest.raises(DatasetError, match=f"lacks labels of 1 of 3 shards, the first is {left}"):
        PseudoLabelled(images, labels=tmp_path / "labels")
    part = PseudoLabelled(images, labels=tmp_path / "labels", partial=True)
    assert len(part) == len(part.block_sizes) * 4 or len(part) == 6
    assert all(part[index].valid.all() for index in range(len(part)))


def test_another_teacher_is_an_error(folder: Path, tmp_path: Path) -> None:
    assert len(PseudoLabelled(folder, labels="../labels", teacher="F00")) == 9
    with pytest.raises(DatasetError, match="by teacher f00d, expected beef"):
        PseudoLabelled(folder, labels="../labels", teacher="beef")
    make_labels(folder, tmp_path / "other", sha="beef")
    shutil.copy(tmp_path / "other" / "set-000001.tar", tmp_path / "labels" / "set-000001.tar")
    with pytest.raises(DatasetError, match=r"set-000001\.tar: labelled by teacher beef, the folder's is f00d"):
        PseudoLabelled(folder, labels="../labels")


def test_other_images_are_an_error(folder: Path, tmp_path: Path) -> None:
    (folder / "0005.png").write_bytes((folder / "005.png").read_bytes())
    with pytest.raises(DatasetError, match="not those that were labelled: 11 files in folders now, 10"):
        PseudoLabelled(folder, labels="../labels")
    (folder / "0005.png").unlink()
    Image.new("RGB", (10, 10)).save(folder / "001.png")
    with pytest.raises(SampleError, match=r"001\.png: has \[10, 10\] pixels, and had \[70, 42\]"):
        PseudoLabelled(folder, labels="../labels")[1]
    (folder / "001.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"001\.png"):
        PseudoLabelled(folder, labels="../labels")[1]


def rewrite(path: Path, change: Any) -> None:
    """The tar file again, with its members passed through `change`."""
    with tarfile.open(path) as archive:
        content = [(m.name, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as archive:
        for name, data in change(content):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_a_key_mismatch_is_an_error(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels" / "set-000000.tar"
    rewrite(path, lambda members: [*members[2:4], *members[:2], *members[4:]])
    with pytest.raises(DatasetError, match=r"set-000000\.tar: expected 000\.depth\.png"):
        PseudoLabelled(folder, labels="../labels")[0]
    rewrite(path, lambda members: members[2:])
    with pytest.raises(DatasetError, match=r"set-000000\.tar: expected"):
        PseudoLabelled(folder, labels="../labels").check()
    shutil.copy(tmp_path / "labels" / "set-000001.tar", path)
    with pytest.raises(DatasetError, match=r"set-000000\.tar: holds the labels of shard set-000001"):
        PseudoLabelled(folder, labels="../labels")


def test_tar_shards_with_other_keys_are_an_error(folder: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for round_ in range(2):
        with tarfile.open(shards / "s.tar", "w") as archive:
            for number, path in enumerate(sorted(folder.iterdir())[:4]):
                archive.add(path, f"{number + round_}.png")
        if not round_:
            make_labels(shards, tmp_path / "tar-labels")
    with pytest.raises(DatasetError, match="labels of 4 other images than the 4 of shard s"):
        PseudoLabelled(shards, labels=tmp_path / "tar-labels").id_of(0)


def test_damaged_members_are_sample_errors(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels" / "set-000000.tar"
    rewrite(path, lambda m: [(m[0][0], m[0][1][:-20]), (m[1][0], m[1][1]), (m[2][0], m[2][1]), (m[3][0], b"{"), *m[4:]])
    data = PseudoLabelled(folder, labels="../labels")
    with pytest.raises(SampleError, match=r"set-000000\.tar: 000\.depth\.png: no whole PNG"):
        data[0]
    with pytest.raises(SampleError, match=r"set-000000\.tar: 001\.json is damaged"):
        data[1]
    assert data[2].id == "002"


def test_an_unknown_resize_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="image or label"):
        PseudoLabelled(folder, labels="../labels", resize="both")
