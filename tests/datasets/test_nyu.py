"""``nyu-d`` in its four forms. The .mat and .h5 files are built from their descriptions, which shows self-consistency;
the depth values of two images are authentic."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import scipy.io
from dataset_builders import encoded, fill, nyu_d, nyu_d_bts, nyu_d_fastdepth, nyu_d_marigold

from dabench import datasets
from dabench.datasets.formats import read_scaled_depth_png
from dabench.datasets.layouts import AbsentError
from dabench.datasets.nyu import TEST
from dabench.datasets.split_lists import read_split
from dabench.errors import DatasetError, ImageError, SampleError
from dabench.types import Sample

MAT = "nyu-d/nyu_depth_v2_labeled.mat"


def test_the_list_is_the_authors_minus_one(shared_data: Path) -> None:
    theirs = scipy.io.loadmat(shared_data / "splits" / "nyu_splits.mat")["testNdxs"].ravel().astype(int) - 1
    ours = [int(line) for line in read_split(*TEST)]
    assert ours == sorted(theirs.tolist()) and len(ours) == 654 and ours[:4] == [0, 1, 8, 13]


@pytest.fixture(scope="module")
def mat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nyu_d.build(tmp_path_factory.mktemp("mat"))


class TestMat:
    def test_axes_are_turned_and_fields_kept_apart(self, mat: Path) -> None:
        for field in ("raw", "filled"):
            dataset = datasets.open_dataset("nyu-d", mat, field=field)
            for index in (0, 1, 1448):
                sample = dataset.load(f"{index:05d}")
                assert isinstance(sample, Sample)
                expected = nyu_d.depth(nyu_d.seed_of(index), field)
                np.testing.assert_array_equal(sample.image, nyu_d.picture(nyu_d.seed_of(index)))
                np.testing.assert_array_equal(sample.depth, expected)
                np.testing.assert_array_equal(sample.valid, expected > 0)
        assert sample.valid.all()

    def test_ids_are_0_based_indices_of_the_test_split(self, mat: Path) -> None:
        dataset = datasets.open_dataset("nyu-d", mat)
        assert dataset.ids == read_split(*TEST) and dataset.field == "raw"
        assert dataset.group("00000") == "bedroom" and dataset.group("00001") == "home_office"

    def test_a_truncated_file_is_refused_when_opened(self, mat: Path, tmp_path: Path) -> None:
        content = (mat / MAT).read_bytes()
        for share in (0.0, 0.3, 0.99):
            fill([tmp_path / f"{share}" / MAT], [content[: int(share * len(content))]])
            with pytest.raises(DatasetError, match=r"labeled\.mat: is no readable HDF5 file") as caught:
                datasets.open_dataset("nyu-d", tmp_path / f"{share}")
            assert "fetch the file again" in str(caught.value)

    def test_a_damaged_chunk_fails_its_sample(self, mat: Path, tmp_path: Path) -> None:
        path = tmp_path / MAT
        path.parent.mkdir()
        shutil.copyfile(mat / MAT, path)
        with h5py.File(path, "r") as file:
            places = [file[k].id.get_chunk_info_by_coord((1, 0, 0, 0)[: file[k].ndim]) for k in ("images", "rawDepths")]
        for place, error in zip(places, (ImageError, SampleError), strict=True):
            content = path.read_bytes()
            with path.open("r+b") as stream:
                stream.seek(place.byte_offset)
                stream.write(b"\xff" * place.size)
            dataset = datasets.open_dataset("nyu-d", tmp_path)
            with pytest.raises(error, match=r"labeled\.mat.*00001|labeled\.mat: 'rawDepths'"):
                dataset.load("00001")
            dataset.load("00000")
            path.write_bytes(content)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda f: f.move("rawDepths", "elsewhere"), "'rawDepths' is missing"),
            (lambda f: f.move("images", "elsewhere"), "'images' is missing"),
            (lambda f: (f.move("images", "x"), f.create_dataset("images", (1449, 480, 640, 3), "u1")),
             r"'images' is \[1449, 480, 640, 3\]; in the official file it is \[1449, 3, 640, 480\]"),
            (lambda f: (f.move("rawDepths", "x"), f.create_dataset("rawDepths", (654, 640, 480), "f4")), r"\[654, 640"),
            (lambda f: (f.move("rawDepths", "x"), f.create_group("rawDepths")), "'rawDepths' is missing"),
        ],
    )  # fmt: skip
    def test_other_contents_are_refused(self, tmp_path: Path, change: Callable[[Any], Any], told: str) -> None:
        path = tmp_path / MAT
        path.parent.mkdir()
        with h5py.File(path, "w") as file:
            file.create_dataset("images", (1449, 3, 640, 480), "u1", chunks=(1, 3, 640, 480))
            file.create_dataset("rawDepths", (1449, 640, 480), "f4", chunks=(1, 640, 480))
            change(file)
        with pytest.raises(DatasetError, match=told):
            datasets.open_dataset("nyu-d", tmp_path)

    def test_values_that_are_no_depths_fail_the_sample_and_missing_scene_types_do_not(self, tmp_path: Path) -> None:
        path = tmp_path / MAT
        path.parent.mkdir()
        with h5py.File(path, "w") as file:
            file.create_dataset("images", (1449, 3, 640, 480), "u1", chunks=(1, 3, 640, 480))
            maps = file.create_dataset("rawDepths", (1449, 640, 480), "f4", chunks=(1, 640, 480))
            maps[0, 3, 4], maps[1, 3, 4] = np.nan, -1
        dataset = datasets.open_dataset("nyu-d", tmp_path)
        for sample_id in ("00000", "00001"):
            with pytest.raises(SampleError, match=rf"'{sample_id}' holds values that are no depths"):
                dataset.load(sample_id)
        assert dataset.group("00000") == ""

    def test_authentic_depth_goes_through_unchanged(self, shared_data: Path, tmp_path: Path) -> None:
        path = tmp_path / MAT
        path.parent.mkdir()
        maps = {
            key: read_scaled_depth_png(shared_data / "nyu_raw" / f"00000_{field}.png", 1e-4)[0]
            for key, field in (("rawDepths", "raw"), ("depths", "filled"))
        }
        rgb = cv2.imread(str(shared_data / "nyu_raw" / "00000_rgb.png"))[..., ::-1]
        with h5py.File(path, "w") as file:
            images = file.create_dataset("images", (1449, 3, 640, 480), "u1", chunks=(1, 3, 640, 480))
            images[0] = rgb.transpose(2, 1, 0)
            for key, values in maps.items():
                file.create_dataset(key, (1449, 640, 480), "f4", chunks=(1, 640, 480))[0] = values.T
        raw, filled = (datasets.open_dataset("nyu-d", tmp_path, field=f).load("00000") for f in ("raw", "filled"))
        assert isinstance(raw, Sample) and isinstance(filled, Sample)
        np.testing.assert_array_equal(raw.image, rgb)
        assert raw.valid.mean() == pytest.approx(0.761, abs=5e-4) and filled.valid.all()
        assert float(np.median(raw.depth[raw.valid])) == pytest.approx(3.042, abs=5e-4)
        assert float(np.median(filled.depth)) == pytest.approx(2.9415, abs=1e-5)


class TestTrees:
    @pytest.mark.parametrize("base", ["official_splits/test/", "nyu_depth_v2/official_splits/test/", "test/", ""])
    def test_bts_millimetres_of_an_authentic_image(self, shared_data: Path, tmp_path: Path, base: str) -> None:
        sample_id = f"{base}kitchen/rgb_01338"
        scene = tmp_path / "nyu-d" / base / "kitchen"
        scene.mkdir(parents=True)
        cv2.imwrite(str(scene / "rgb_01338.jpg"), cv2.imread(str(shared_data / "nyu_raw" / "01338_rgb.png")))
        shutil.copyfile(shared_data / "nyu_raw" / "01338_depth_mm.png", scene / "sync_depth_01338.png")
        dataset = datasets.open_dataset("nyu-d", tmp_path, only=frozenset({sample_id}))
        sample = dataset.load(sample_id)
        assert dataset.ids == (sample_id,) and dataset.total_samples == 654 and sample.group == "kitchen"
        assert isinstance(sample, Sample) and sample.valid.mean() == pytest.approx(0.681, abs=5e-4)
        assert float(np.median(sample.depth[sample.valid])) == pytest.approx(3.495, abs=5e-4)
        with pytest.raises(DatasetError, match=r"1 of the 654 images(.|\n)*missing .*<scene>/rgb_00000\.jpg"):
            datasets.open_dataset("nyu-d", tmp_path)

    def test_marigolds_numbers_are_1_based(self, tmp_path: Path) -> None:
        marigold, bts = nyu_d_marigold.build(tmp_path / "m"), nyu_d_bts.build(tmp_path / "b")
        ours, theirs = datasets.open_dataset("nyu-d", marigold), datasets.open_dataset("nyu-d", bts)
        assert ours.ids[2] == "test/study_room/rgb_0009" and theirs.ids[2].endswith("study_room/rgb_00008")
        for one, other in zip(ours.ids[:4], theirs.ids[:4], strict=True):
            np.testing.assert_array_equal(ours.ground_truth(one).depth, theirs.ground_truth(other).depth)

    def test_images_outside_the_test_split_are_left_out(self, tmp_path: Path) -> None:
        root = nyu_d_bts.build(tmp_path)
        scene = root / "nyu-d/official_splits/test/kitchen"
        before = datasets.open_dataset("nyu-d", root)
        fill([scene / "rgb_00002.jpg", scene / "sync_depth_00002.png", scene / "notes.txt"], [b"training image"])
        after = datasets.open_dataset("nyu-d", root)
        assert after.ids == before.ids and after.fingerprint == before.fingerprint

    def test_an_image_in_two_scenes_is_refused(self, tmp_path: Path) -> None:
        root = nyu_d_bts.build(tmp_path)
        fill([root / "nyu-d/official_splits/test/attic/rgb_00000.jpg"], [b"copy"])
        with pytest.raises(DatasetError, match=r"holds image 0 twice: .*attic.*bathroom"):
            datasets.open_dataset("nyu-d", root)

    @pytest.mark.parametrize("scene", ["a\\b", "new\nline", "tab\there", "a:b", "*"])
    def test_hostile_scene_names_are_refused(self, tmp_path: Path, scene: str) -> None:
        root = nyu_d_bts.build(tmp_path)
        (root / "nyu-d/official_splits/test" / scene).mkdir()
        datasets.open_dataset("nyu-d", root)
        fill([root / "nyu-d/official_splits/test" / scene / "rgb_00002.jpg"], [b""])
        with pytest.raises(DatasetError, match="holds images and is no name of a scene type") as caught:
            datasets.open_dataset("nyu-d", root)
        assert repr(scene) in str(caught.value)

    def test_other_sizes_fail_the_sample(self, tmp_path: Path) -> None:
        scene = tmp_path / "nyu-d/test/kitchen"
        sample_id = "test/kitchen/rgb_00000"
        fill([scene / "rgb_00000.jpg"], [nyu_d_bts.jpeg(0)])
        fill([scene / "sync_depth_00000.png"], [encoded(np.ones((480, 639), np.uint16))])
        dataset = datasets.open_dataset("nyu-d", tmp_path, only=frozenset({sample_id}))
        with pytest.raises(SampleError, match=r"sync_depth_00000\.png: .* is \[480, 639\]"):
            dataset.load(sample_id)
        (scene / "rgb_00000.jpg").write_bytes(encoded(nyu_d.picture(0)[:, :320], ".jpg"))
        with pytest.raises(ImageError, match=r"rgb_00000\.jpg: .* is \[480, 320, 3\]"):
            dataset.load(sample_id)


class TestFastDepth:
    def write(self, tmp_path: Path, rgb: Any, depth: Any) -> str:
        path = tmp_path / "nyu-d/val/official/00001.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for key, values in (("rgb", rgb), ("depth", depth)):
                if values is not None:
                    file[key] = values
        return "val/official/00001"

    def test_channels_come_first_and_depth_is_metres(self, tmp_path: Path) -> None:
        sample_id = self.write(tmp_path, nyu_d.picture(2).transpose(2, 0, 1), nyu_d.depth(2, "filled"))
        sample = datasets.open_dataset("nyu-d", tmp_path, field="filled", only=frozenset({sample_id})).load(sample_id)
        assert isinstance(sample, Sample)
        np.testing.assert_array_equal(sample.image, nyu_d.picture(2))
        np.testing.assert_array_equal(sample.depth, nyu_d.depth(2, "filled"))

    @pytest.mark.parametrize(
        ("rgb", "depth", "told"),
        [
            (None, np.ones((480, 640), "f4"), "'rgb' cannot be read"),
            (nyu_d.picture(0).transpose(2, 0, 1), None, "'depth' cannot be read"),
            (nyu_d.picture(0), np.ones((480, 640), "f4"), r"is \[640, 3, 480\]"),
            (nyu_d.picture(0)[..., 0], np.ones((480, 640), "f4"), r"'rgb' is uint8 \[480, 640\]"),
            (nyu_d.picture(0).transpose(2, 0, 1) / 255, np.ones((480, 640), "f4"), "'rgb' is float64"),
            (nyu_d.picture(0).transpose(2, 0, 1), np.ones((480, 640), "u2"), "'depth' is uint16"),
            (nyu_d.picture(0).transpose(2, 0, 1), np.ones((640, 480), "f4"), r"is \[640, 480\]"),
            (nyu_d.picture(0).transpose(2, 0, 1), np.full((480, 640), np.inf, "f4"), "no depths"),
        ],
    )
    def test_other_contents_fail_the_sample(self, tmp_path: Path, rgb: Any, depth: Any, told: str) -> None:
        sample_id = self.write(tmp_path, rgb, depth)
        dataset = datasets.open_dataset("nyu-d", tmp_path, field="filled", only=frozenset({sample_id}))
        with pytest.raises(SampleError, match=rf"00001\.h5: .*{told}"):
            dataset.load(sample_id)


def test_layouts_agree_on_the_numbering(mat: Path, tmp_path: Path) -> None:
    fastdepth = nyu_d_fastdepth.build(tmp_path)
    official, ours = (datasets.open_dataset("nyu-d", root, field="filled") for root in (mat, fastdepth))
    assert [int(i) + 1 for i in official.ids] == [int(i.rpartition("/")[2]) for i in ours.ids]


@pytest.mark.parametrize("other", [nyu_d_bts, nyu_d_marigold, nyu_d_fastdepth])
def test_a_root_with_two_layouts_is_refused(tmp_path: Path, other: ModuleType) -> None:
    other.build(tmp_path)
    (tmp_path / MAT).touch()
    with pytest.raises(DatasetError, match=r"holds both nyu_depth_v2_labeled\.mat and .*, whose images differ"):
        datasets.open_dataset("nyu-d", tmp_path)


def test_a_field_that_a_layout_lacks_names_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match=r"rawDepths only; filled depth is in nyu_depth_v2_labeled\.mat") as caught:
        datasets.open_dataset("nyu-d", nyu_d_bts.build(tmp_path), field="filled")
    assert "horatio.cs.nyu.edu" in str(caught.value)
