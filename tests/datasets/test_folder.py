"""Folders with a dataset.toml: real samples of other sets, every format, and what is refused."""

from __future__ import annotations

import io
import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
import OpenEXR
import pytest
from dataset_builders import encoded, picture
from PIL import Image

from dabench.datasets import open_dataset
from dabench.datasets.base import Dataset
from dabench.datasets.depth_maps import read_depth_map
from dabench.errors import DatasetError, SampleError
from dabench.types import Sample

MINIMAL = '[depth]\nsuffix = ".npy"\nmetres_per_value = 1.0\n'


def make(root: Path, text: str = MINIMAL, maps: dict[str, np.ndarray] | None = None) -> Path:
    """images/a.png and images/b.png of 6 x 8, with .npy maps."""
    for name in ("a", "b"):
        for folder in ("images", "depth"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / f"images/{name}.png").write_bytes(encoded(picture(0, 6, 8)))
        np.save(root / f"depth/{name}.npy", (maps or {}).get(name, np.full((6, 8), 2.0, np.float32)))
    (root / "dataset.toml").write_text(text)
    return root


def truth(dataset: Dataset, sample_id: str) -> tuple[np.ndarray, np.ndarray]:
    sample = dataset.load(sample_id)
    assert isinstance(sample, Sample)
    return sample.depth, sample.valid


class TestRealFiles:
    def test_hypersim_distance_becomes_depth(self, shared_data: Path, tmp_path: Path) -> None:
        for name in ("frame.0000.color.png", "frame.0001.color.png"):
            (tmp_path / "images").mkdir(exist_ok=True)
            (tmp_path / "images" / name).write_bytes(encoded(picture(0, 768, 1024)))
        for number in range(2):
            shutil.copy(
                shared_data / "hypersim/frame.0000.depth_meters.hdf5", tmp_path / f"frame.000{number}.depth_meters.hdf5"
            )
        (tmp_path / "dataset.toml").write_text(
            '[images]\nsuffix = ".color.png"\n[depth]\nfolder = "."\nsuffix = ".depth_meters.hdf5"\n'
            'metres_per_value = 1.0\nmeans = "distance"\nfocal_length = 886.81\n'
        )
        depth, valid = truth(open_dataset("folder", tmp_path), "images/frame.0000.color")
        # known values of this frame
        found = [depth[valid].min(), np.median(depth[valid]), depth[valid].max()]
        assert found == pytest.approx([2.663, 5.193, 12.965], abs=1e-3)
        distance = read_depth_map(tmp_path / "frame.0000.depth_meters.hdf5", key="dataset").astype(np.float64)
        assert [distance.min(), np.median(distance), distance.max()] == pytest.approx([2.961, 5.504, 13.234], abs=2e-3)
        y, x = np.mgrid[:768, :1024]
        expected = distance * 886.81 / np.sqrt((x - 511.5) ** 2 + (y - 383.5) ** 2 + 886.81**2)
        np.testing.assert_allclose(depth, expected, rtol=1e-6)

    def test_tartanair_with_its_finder_files(self, shared_data: Path, tmp_path: Path) -> None:
        for folder in ("image_left", "depth_left"):
            shutil.copytree(shared_data / "tartanair" / folder, tmp_path / folder)
        (tmp_path / "dataset.toml").write_text(
            'expected = 2\n[images]\nfolder = "image_left"\n'
            '[depth]\nfolder = "depth_left"\nsuffix = "_depth.npy"\nmetres_per_value = 1.0\n'
        )
        dataset = open_dataset("folder", tmp_path)
        assert dataset.ids == ("image_left/000000_left", "image_left/000001_left")
        depth, valid = truth(dataset, dataset.ids[1])
        np.testing.assert_array_equal(depth, np.load(tmp_path / "depth_left/000001_left_depth.npy"))
        assert depth.shape == (480, 640) and valid.all()

    def test_nyu_millimetres(self, shared_data: Path, tmp_path: Path) -> None:
        shutil.copytree(shared_data / "nyu60/images/indoor", tmp_path / "images")
        shutil.copytree(shared_data / "nyu60/depth", tmp_path / "depth")
        (tmp_path / "dataset.toml").write_text('expected = 60\n[depth]\nsuffix = ".png"\nmetres_per_value = 0.001\n')
        dataset = open_dataset("folder", tmp_path)
        depth, valid = truth(dataset, dataset.ids[0])
        raw = np.asarray(Image.open(tmp_path / f"depth/{Path(dataset.ids[0]).name}.png"))
        np.testing.assert_allclose(depth, raw / 1000, rtol=1e-6)
        np.testing.assert_array_equal(valid, raw > 0)
        (tmp_path / "images/rgb_00013.jpg").rename(tmp_path / "images/rgb_99999.jpg")
        with pytest.raises(DatasetError) as caught:
            open_dataset("folder", tmp_path)
        for fault in ("holds 61 images; dataset.toml expects 60", "missing images/rgb_00013.jpg", "rgb_99999.png"):
            assert fault in str(caught.value)

    def test_an_8_bit_disparity_picture_is_not_depth(self, shared_data: Path) -> None:
        with pytest.raises(SampleError, match="256 levels"):
            read_depth_map(shared_data / "middlebury/disp2.png")


def _pfm(values: np.ndarray, order: str) -> bytes:
    height, width = values.shape
    head = f"Pf\n{width} {height}\n{'-1.0' if order == '<' else '1.0'}\n".encode()
    return head + b"".join(struct.pack(f"{order}{width}f", *row) for row in values[::-1].tolist())


def _saved(values: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == ".npy":
        np.save(stream, values)
    else:
        Image.fromarray(values).save(stream, format="TIFF")
    return stream.getvalue()


VALUES = np.arange(1, 49, dtype=np.float32).reshape(6, 8) * 100


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".npy", _saved(VALUES, ".npy")),
        (".npy", _saved(VALUES.astype(np.float64)[None], ".npy")),
        (".npy", _saved(VALUES.astype(np.int32)[..., None], ".npy")),
        (".npy", _saved(np.asfortranarray(VALUES), ".npy")),
        (".png", encoded(VALUES.astype(np.uint16))),
        (".tif", _saved(VALUES, ".tif")),
        (".TIFF", _saved(VALUES.astype(np.uint16), ".tif")),
        (".tif", encoded(VALUES, ".tif")),
        (".pfm", _pfm(VALUES, "<")),
        (".pfm", _pfm(VALUES, ">")),
    ],
)  # fmt: skip
def test_formats(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"map{suffix}"
    path.write_bytes(content)
    np.testing.assert_array_equal(read_depth_map(path), VALUES)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("channels", ["Y", "RGB"])
def test_exr(tmp_path: Path, channels: str, half: bool) -> None:
    values = VALUES.astype(np.float16 if half else np.float32)
    header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    with OpenEXR.File(header, dict.fromkeys(channels, values)) as file:
        file.write(str(tmp_path / "map.exr"))
    np.testing.assert_array_equal(read_depth_map(tmp_path / "map.exr"), values)
    with OpenEXR.File(header, {"Y": values, "Z": values + 1}) as file:
        file.write(str(tmp_path / "two.exr"))
    with pytest.raises(SampleError, match="has channels"):
        read_depth_map(tmp_path / "two.exr")


def test_hdf5_needs_a_key_only_where_there_is_a_choice(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    with h5py.File(path, "w") as file:
        file["depth"] = VALUES.astype(np.float16)
    np.testing.assert_array_equal(read_depth_map(path), VALUES)
    with h5py.File(path, "a") as file:
        file["other"] = VALUES + 1
        file.create_group("group")
    np.testing.assert_array_equal(read_depth_map(path, key="other"), VALUES + 1)
    for key, words in (
        (None, "more than one data set"),
        ("nothing", "no data set 'nothing'"),
        ("group", "no data set"),
    ):
        with pytest.raises(SampleError, match=f"{words}.*depth, other"):
            read_depth_map(path, key=key)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.npz", b"PK\x03\x04", "several arrays"),
        ("m.bin", b"1", "is none of"),
        ("m.npy", _saved(np.array([{}]), ".npy"), "not a plain array"),
        ("m.npy", _saved(np.ones((2, 3, 4)), ".npy"), "has shape"),
        ("m.npy", _saved(np.ones((0, 4)), ".npy"), "has shape"),
        ("m.npy", _saved(np.ones((2, 2), bool), ".npy"), "bool values"),
        ("m.npy", _saved(np.ones((2, 2), complex), ".npy"), "complex128 values"),
        ("m.npy", _saved(VALUES, ".npy")[:150], "damaged"),
        ("m.png", encoded(np.ones((4, 4), np.uint8)), "256 levels"),
        ("m.png", encoded(picture(0, 4, 4)), "colour picture"),
        ("m.png", encoded(VALUES.astype(np.uint16))[:60], "not a readable PNG"),
        ("m.png", encoded(picture(0, 4, 4), ".jpg"), "not a readable PNG"),
        ("m.tif", encoded(picture(0, 4, 4), ".tif"), "mode RGB"),
        ("m.tif", _saved(VALUES, ".tif")[:40], "not a readable TIFF"),
        ("m.pfm", _pfm(VALUES, "<")[:-1], "truncated"),
        ("m.pfm", _pfm(VALUES, "<").replace(b"Pf", b"PF"), "three channels"),
        ("m.pfm", _pfm(VALUES, "<").replace(b"-1.0", b"0.00"), "byte order"),
        ("m.pfm", b"P5 1 1 255 x", "not a PFM"),
        ("m.exr", b"\x76\x2f\x31\x01 and so on", "damaged OpenEXR"),
        ("m.exr", b"x", "not an OpenEXR"),
        ("m.h5", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("m.h5", None, "no such file"),
    ],
)  # fmt: skip
def test_what_is_no_depth_map_is_explained(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SampleError, match=words) as caught:
        read_depth_map(tmp_path / name)
    assert name in str(caught.value)


class TestMeaning:
    def test_invalid_values_and_what_never_counts(self, tmp_path: Path) -> None:
        values = np.array([[0, -1, np.nan, np.inf, 1e10, 65504.1, 3, 4]] * 6, np.float32)
        text = MINIMAL + "invalid = [10000000000.0, 65504.1, 4]\n"
        depth, valid = truth(open_dataset("folder", make(tmp_path, text, {"a": values})), "images/a")
        assert valid[0].tolist() == [False] * 6 + [True, False]
        assert depth[0, 6] == 3

    def test_unit(self, tmp_path: Path) -> None:
        values = np.full((6, 8), 256, np.int64)
        text = MINIMAL.replace("1.0", "0.00390625")
        assert truth(open_dataset("folder", make(tmp_path, text, {"a": values})), "images/a")[0][0, 0] == 1.0

    def test_distance_with_two_focal_lengths_and_a_principal_point(self, tmp_path: Path) -> None:
        text = MINIMAL + 'means = "distance"\nfocal_length = [4.0, 2.0]\nprincipal_point = [1.0, 3.0]\n'
        depth, _ = truth(open_dataset("folder", make(tmp_path, text)), "images/a")
        assert depth[1, 3] == 2.0
        assert depth[3, 7] == pytest.approx(2 / np.sqrt(3)), "one focal length to the right and one down"

    def test_a_map_of_another_size_fails_its_sample(self, tmp_path: Path) -> None:
        dataset = open_dataset("folder", make(tmp_path, maps={"a": np.ones((5, 8))}))
        with pytest.raises(SampleError, match=r"depth is \(5, 8\)"):
            dataset.load("images/a")
        dataset.load("images/b")


class TestDescription:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "depth"),
            ("[depth", "dataset.toml"),
            ('[depth]\nsuffix = ".npy"\n', "metres_per_value"),
            ("[depth]\nmetres_per_value = 1.0\n", "suffix"),
            (MINIMAL.replace("1.0", "0.0"), "metres_per_value"),
            (MINIMAL.replace("1.0", "nan"), "metres_per_value"),
            (MINIMAL + "unit = 3\n", "unit"),
            (MINIMAL + 'means = "disparity"\n', "means"),
            (MINIMAL + 'means = "distance"\n', "only a focal_length"),
            (MINIMAL + 'means = "distance"\nfocal_length = -3.0\n', "not positive"),
            (MINIMAL + 'means = "distance"\nfocal_length = 0.0\n', "not positive"),
            (MINIMAL + 'means = "distance"\nfocal_length = [1.0, inf]\n', "not positive"),
            (MINIMAL + "focal_length = 3.0\n", "have no use"),
            (MINIMAL + 'folder = "../depth"\n', "not a folder inside"),
            (MINIMAL + 'folder = "/tmp"\n', "not a folder inside"),
            (MINIMAL.replace(".npy", ".npz"), "ends in none of"),
            (MINIMAL + '[images]\nsuffix = []\n', "suffix"),
            ("expected = 0\n" + MINIMAL, "expected"),
            ("expected = 3\n" + MINIMAL, "holds 2 images; dataset.toml expects 3"),
            (MINIMAL + '[images]\nfolder = "nowhere"\n[nothing]\n', "nothing"),
        ],
    )  # fmt: skip
    def test_a_bad_one_is_refused(self, tmp_path: Path, text: str, words: str) -> None:
        with pytest.raises(DatasetError, match=words):
            open_dataset("folder", make(tmp_path, text))

    def test_without_one_the_layout_is_explained(self, tmp_path: Path) -> None:
        make(tmp_path)
        (tmp_path / "dataset.toml").unlink()
        with pytest.raises(DatasetError, match=r"metres_per_value") as caught:
            open_dataset("folder", tmp_path)
        (tmp_path / "dataset.toml").write_text(str(caught.value).partition("a short one:\n")[2])
        with pytest.raises(DatasetError, match=r"missing depth/a\.png"):
            open_dataset("folder", tmp_path)

    def test_an_example_with_every_field_is_in_the_documentation(self) -> None:
        from dabench.datasets import folder

        lines = (folder.__doc__ or "").partition("::\n")[2].partition("\n\nOnly ")[0].splitlines()
        text = "\n".join(line.strip() for line in lines).replace('means = "z" ', 'means = "distance" ')
        description = folder.parse_description(text, "the example")
        assert all(getattr(description.depth, f) is not None for f in description.depth.__struct_fields__)
        for fields in (folder.Description, folder.ImageFiles, folder.DepthFiles):
            assert all(f"{name}" in text for name in fields.__struct_fields__)


class TestFiles:
    def test_image_and_map_in_one_folder_are_told_apart_by_the_longer_suffix(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.png").write_bytes(encoded(picture(0, 6, 8)))
            (tmp_path / f"{name}_depth.png").write_bytes(encoded(VALUES.astype(np.uint16)))
        sections = (
            '[images]\nfolder = "."\nsuffix = "{}"\n[depth]\nfolder = "."\nsuffix = "{}"\nmetres_per_value = 1.0\n'
        )
        (tmp_path / "dataset.toml").write_text(sections.format(".png", "_depth.png"))
        dataset = open_dataset("folder", tmp_path)
        assert dataset.ids == ("a", "b") and dataset.group("a") == dataset.sequence("a") == ""
        np.testing.assert_array_equal(truth(dataset, "b")[0], VALUES)

    def test_two_images_of_one_name_are_refused(self, tmp_path: Path) -> None:
        make(tmp_path)
        (tmp_path / "images/a.jpg").write_bytes(encoded(picture(0, 6, 8), ".jpg"))
        with pytest.raises(DatasetError, match=r"two images have the name 'images/a'"):
            open_dataset("folder", tmp_path)

    def test_an_empty_set_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "dataset.toml").write_text(MINIMAL)
        with pytest.raises(DatasetError, match=r"no image below 'images' ends in \.jpg, \.jpeg, \.png"):
            open_dataset("folder", tmp_path)

    def test_linked_folders_are_followed_once(self, tmp_path: Path) -> None:
        make(tmp_path / "elsewhere")
        root = make(tmp_path / "set")
        (root / "images/more").symlink_to(tmp_path / "elsewhere/images")
        (root / "depth/more").symlink_to(tmp_path / "elsewhere/depth")
        (tmp_path / "elsewhere/images/round").symlink_to(root / "images")
        assert open_dataset("folder", root).ids == ("images/a", "images/b", "images/more/a", "images/more/b")

    def test_the_fingerprint_follows_the_maps_and_the_description(self, tmp_path: Path) -> None:
        seen = {open_dataset("folder", make(tmp_path)).fingerprint}
        seen.add(open_dataset("folder", make(tmp_path, maps={"a": np.ones((6, 8))})).fingerprint)
        seen.add(open_dataset("folder", make(tmp_path, MINIMAL + "invalid = [5]\n")).fingerprint)
        assert len(seen) == 3
