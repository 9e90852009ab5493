"""ETH3D's raw maps under .JPG names: the right numbers, or an error that says what lies there instead."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from dataset_builders import encoded, eth3d, picture
from PIL import Image

from dabench import datasets
from dabench.datasets.base import Dataset
from dabench.datasets.eth3d import NATIVE_SIZE, SCENE_IMAGES, read_raw_depth
from dabench.errors import DatasetError, SampleError
from dabench.types import Sample

KEY = "courtyard/images/dslr_images/DSC_0286"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One scene with two images; the others are not on disk."""
    folder = tmp_path / "eth3d" / "courtyard"
    for below in ("images/dslr_images", "images/dslr_images_undistorted", "ground_truth_depth/dslr_images"):
        (folder / below).mkdir(parents=True)
    (tmp_path / "eth3d" / f"{KEY}.JPG").write_bytes(encoded(picture(1, 6, 9), ".jpg"))
    (folder / "images/dslr_images_undistorted/DSC_0286.JPG").write_bytes(encoded(picture(2, 7, 11), ".jpg"))
    _depth_file(tmp_path).write_bytes(eth3d.raw_map(3).tobytes())
    return tmp_path


def _depth_file(data_root: Path) -> Path:
    return data_root / "eth3d/courtyard/ground_truth_depth/dslr_images/DSC_0286.JPG"


def _open(data_root: Path, key: str = KEY, **options: str) -> Dataset:
    return datasets.open_dataset("eth3d", data_root, only=frozenset({key}), **options)


def test_the_list_has_the_published_counts() -> None:
    counts = {scene: sum(key.startswith(f"{scene}/") for key in eth3d.listed()) for scene in eth3d.SCENES}
    assert counts == eth3d.SCENES == SCENE_IMAGES and sum(counts.values()) == 454 and len(counts) == 13


def test_the_list_is_the_published_one(shared_data: Path) -> None:
    lines = (shared_data / "splits/eth3d_454.txt").read_text().split()
    published = {Path(line).parts[-4] + "/" + Path(line).stem for line in lines if line.startswith("rgb/")}
    assert published == set(eth3d.listed())


def test_values_are_little_endian_floats_row_by_row(root: Path) -> None:
    values = [float(i) + 0.25 for i in range(54)]
    values[7], values[8], values[9] = float("inf"), float("nan"), 0.0
    _depth_file(root).write_bytes(struct.pack("<54f", *values))
    truth = _open(root).ground_truth(KEY)
    assert truth.depth.shape == (6, 9) and truth.depth[5, 8] == 53.25 and truth.depth[1, 1] == 10.25
    assert not truth.valid[0, 7] and not truth.valid[0, 8] and not truth.valid[1, 0]
    assert truth.valid.sum() == 51 and truth.valid[0, 0]


def test_native_maps_have_97542144_bytes(tmp_path: Path) -> None:
    assert 4 * NATIVE_SIZE[0] * NATIVE_SIZE[1] == 97_542_144
    path = tmp_path / "map.JPG"
    with path.open("wb") as stream:
        stream.truncate(97_542_144)
        stream.seek(4 * (6048 * 4031 + 6047))
        stream.write(struct.pack("<f", 3.5))
    depth = read_raw_depth(path, NATIVE_SIZE)
    assert depth.shape == (4032, 6048) and depth[-1, -1] == 3.5 and depth.dtype == np.float32


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encoded(picture(1, 6, 9), ".jpg"), r"this is a photograph; the depth maps are in <scene>_dslr_depth\.7z"),
        (bytes(4 * 54 - 4), "truncated"),
        (b"", "truncated"),
        (bytes(4 * 60), "not of the same version"),
    ],
)
def test_other_content_is_explained(root: Path, content: bytes, words: str) -> None:
    _depth_file(root).write_bytes(content)
    with pytest.raises(SampleError, match=words) as caught:
        _open(root).load(KEY)
    assert "DSC_0286.JPG" in str(caught.value) and "6 x 9 raw float32 values take 216" in str(caught.value)


def test_a_small_image_beside_a_native_map_is_explained(root: Path) -> None:
    with _depth_file(root).open("wb") as stream:
        stream.truncate(97_542_144)
    with pytest.raises(SampleError, match=r"native 4032 x 6048, its image in images/dslr_images is not"):
        _open(root).load(KEY)


def test_another_size_of_the_image_is_noticed(root: Path) -> None:
    (root / "eth3d" / f"{KEY}.JPG").write_bytes(encoded(picture(1, 6, 10), ".jpg"))
    with pytest.raises(SampleError, match="6 x 10"):
        _open(root).load(KEY)


def test_a_turned_image_is_noticed_although_the_map_is_as_long(root: Path) -> None:
    (root / "eth3d" / f"{KEY}.JPG").write_bytes(encoded(np.zeros((6048, 4032, 3), np.uint8), ".jpg"))
    with _depth_file(root).open("wb") as stream:
        stream.truncate(97_542_144)
    with pytest.raises(SampleError, match=r"was turned: it is stored as 6048 x 4032"):
        _open(root).ground_truth(KEY)


def test_the_stored_raster_counts_not_the_exif_orientation(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(1, 6, 9)).save(root / "eth3d" / f"{KEY}.JPG", format="JPEG", exif=exif)
    sample = _open(root).load(KEY)
    assert isinstance(sample, Sample) and sample.image.shape == (6, 9, 3) and sample.depth.shape == (6, 9)


def test_undistorted_images_keep_their_own_size(root: Path) -> None:
    key = KEY.replace("dslr_images", "dslr_images_undistorted")
    sample = _open(root, key, split="undistorted").load(key)
    assert isinstance(sample, Sample) and sample.image.shape == (7, 11, 3) and sample.depth.shape == (6, 9)
    (root / "eth3d" / f"{KEY}.JPG").unlink()
    with pytest.raises(SampleError, match=r"4032 x 6048 raw float32 values take 97542144"):
        _open(root, key, split="undistorted").load(key)


def test_a_part_of_the_split_is_an_error_with_the_count(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds 1 of the 454 images of split 'distorted'") as caught:
        datasets.open_dataset("eth3d", root)
    message = str(caught.value)
    assert "missing courtyard/images/dslr_images/DSC_0287.JPG" in message and "... and 886 more" in message
    assert "dabench data fetch eth3d" in message
