"""``kitti``: lists, folders, incomplete roots, authentic depth maps, and the projection of laser scans.

The scans and the folders are built from KITTI's published descriptions: those tests show self-consistency.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from dataset_builders import encoded, fill, kitti, picture, rewrite

from dabench import datasets
from dabench.datasets.base import Dataset
from dabench.datasets.formats import read_kitti_depth_png
from dabench.datasets.kitti import EIGEN, LINEAGE, VAL_DRIVES
from dabench.datasets.kitti_velodyne import project_scan, read_calibration, read_scan
from dabench.datasets.layouts import AbsentError
from dabench.datasets.split_lists import read_split
from dabench.errors import DatasetError, ImageError, SampleError, UsageError
from dabench.types import Sample

DRIVE, FRAME = "2011_09_26_drive_0002_sync", "0000000069"
IMAGE = f"2011_09_26/{DRIVE}/image_02/data/{FRAME}"
DEPTH = f"{DRIVE}/proj_depth/groundtruth/image_02/{FRAME}.png"


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def opened(data_root: Path, sample_id: str, **options: str) -> Dataset:
    return datasets.open_dataset("kitti", data_root, only=frozenset({sample_id}), **options)  # type: ignore[arg-type]


class TestLists:
    def test_eigen_is_monodepth2s_in_its_order(self, shared_data: Path) -> None:
        ours = [tuple(line.split()) for line in read_split(*EIGEN)]
        text = (shared_data / "splits" / "kitti_eigen_test.txt").read_text().splitlines()
        assert [(d, f) for d, f, _ in ours] == [(a.split("/")[1], f) for a, f, _ in map(str.split, text)]
        text = (shared_data / "splits" / "kitti_eigen_benchmark_test.txt").read_text().splitlines()
        theirs = [(a.split("/")[1], int(f)) for a, f, _ in map(str.split, text)]
        assert [(d, int(f)) for d, f, half in ours if half != "none"] == theirs and len(theirs) == 652

    def test_the_frames_without_annotated_depth_are_btss(self, shared_data: Path) -> None:
        text = (shared_data / "splits" / "kitti_eigen_test_files_with_gt.txt").read_text().splitlines()
        without = {rgb.split("/")[1] + rgb[-15:-4] for rgb, depth, _ in map(str.split, text) if depth == "None"}
        ours = {f"{d}/{f}" for d, f, half in map(str.split, read_split(*EIGEN)) if half == "none"}
        assert len(without) == 45 and without == ours

    def test_halves(self) -> None:
        halves = Counter(line.split()[2] for line in read_split(*EIGEN))
        assert halves == {"train": 491, "val": 161, "none": 45}
        assert len(VAL_DRIVES) == 13
        assert all((d in VAL_DRIVES) == (h == "val") for d, _, h in map(str.split, read_split(*EIGEN)) if h != "none")

    def test_lineage_is_the_first_annotated_frames_of_each_validation_drive(self) -> None:
        frames: dict[str, list[int]] = {}
        for drive, frame, half in map(str.split, read_split(*LINEAGE)):
            assert half == "val"
            frames.setdefault(drive, []).append(int(frame))
        assert set(frames) == VAL_DRIVES
        for numbers in frames.values():
            assert numbers == list(range(5, 5 + len(numbers))) and len(numbers) <= 110
        # an evaluation that looked for these frames among Eigen's 652 is on record with 82 images
        eigen = {line for line in read_split(*EIGEN) if line.endswith(" val")}
        assert len(eigen & set(read_split(*LINEAGE))) == 82


class TestFolders:
    @pytest.mark.parametrize("raw", ["raw/", "raw_data/", "kitti_raw/", "KITTI_raw/", ""])
    @pytest.mark.parametrize(
        "depth",
        [
            "data_depth_annotated/val/", "data_depth_annotated/", "depth_annotated/val/", "gts/", "gts/val/", "val/",
            "", "RAW",
        ],
    )  # fmt: skip
    def test_what_people_have_is_found(self, tmp_path: Path, raw: str, depth: str) -> None:
        root = tmp_path / "kitti"
        write(root / f"{raw}{IMAGE}.png", encoded(picture(1, 8, 20)))
        write(root / (f"{raw}2011_09_26/" if depth == "RAW" else depth) / DEPTH, kitti.depth_map(2, 8, 20))
        for split in ("eigen-benchmark", "eigen-benchmark-val"):
            dataset = opened(tmp_path, f"{raw}{IMAGE}", split=split)
            sample = dataset.load(f"{raw}{IMAGE}")
            assert dataset.ids == (f"{raw}{IMAGE}",) and isinstance(sample, Sample)
            np.testing.assert_array_equal(sample.depth, read_kitti_depth_png_of(kitti.depth_map(2, 8, 20), tmp_path))

    def test_the_fingerprint_is_that_of_the_files_and_not_of_their_folders(self, tmp_path: Path) -> None:
        found = set()
        for number, (raw, depth) in enumerate([("raw/", "data_depth_annotated/val/"), ("", "gts/")]):
            root = tmp_path / str(number) / "kitti"
            write(root / f"{raw}{IMAGE}.png", encoded(picture(1, 8, 20)))
            write(root / depth / DEPTH, kitti.depth_map(2, 8, 20))
            found.add(opened(root.parent, f"{raw}{IMAGE}").fingerprint)
        write(root / depth / DEPTH, kitti.depth_map(3, 8, 20) + b"longer")
        assert len(found) == 1 and opened(root.parent, f"{raw}{IMAGE}").fingerprint not in found

    def test_two_raw_trees_are_refused(self, tmp_path: Path) -> None:
        for raw in ("raw", "raw_data"):
            write(tmp_path / "kitti" / raw / f"{IMAGE}.png", b"")
        with pytest.raises(DatasetError, match=r"both .* hold raw drives"):
            opened(tmp_path, f"raw/{IMAGE}")

    @pytest.mark.parametrize(
        "base",
        [
            "depth_selection/val_selection_cropped/", "data_depth_selection/depth_selection/val_selection_cropped/",
            "data_depth_selection/val_selection_cropped/", "val_selection_cropped/", "",
        ],
    )  # fmt: skip
    def test_the_selection_is_found(self, tmp_path: Path, base: str) -> None:
        name = f"{base}image/{DRIVE}_image_0000000008_image_03"
        write(tmp_path / "kitti" / f"{name}.png", encoded(picture(1, 352, 1216)))
        truth = f"{base}groundtruth_depth/{DRIVE}_groundtruth_depth_0000000008_image_03.png"
        write(tmp_path / "kitti" / truth, kitti.depth_map(2, 352, 1216))
        dataset = opened(tmp_path, name, split="val-selection")
        assert dataset.total_samples == 1000 and dataset.sequence(name) == DRIVE and dataset.group(name) == "val"
        dataset.load(name)
        with pytest.raises(DatasetError, match="holds 1 frames; the official set has 1000"):
            datasets.open_dataset("kitti", tmp_path, split="val-selection")
        write(tmp_path / "kitti" / f"{name}.png", encoded(picture(1, 351, 1216)))
        with pytest.raises(SampleError, match="351 x 1216"):
            dataset.load(name)
        (tmp_path / "kitti" / f"{name}.png").unlink()
        with pytest.raises(DatasetError, match=r"missing .*image_0000000008_image_03"):
            opened(tmp_path, name, split="val-selection")


def read_kitti_depth_png_of(content: bytes, folder: Path) -> npt.NDArray[np.float32]:
    (folder / "depth.png").write_bytes(content)
    return read_kitti_depth_png(folder / "depth.png")[0]


class TestIncompleteRoots:
    @pytest.fixture
    def half(self, tmp_path: Path) -> Path:
        """All images of the benchmark, and the depth of the annotated ``val`` only."""
        frames = [f for f in map(str.split, read_split(*EIGEN)) if f[2] != "none"]
        root = tmp_path / "kitti"
        fill((root / f"raw/{d[:10]}/{d}/image_02/data/{f}.png" for d, f, _ in frames), [b"image"])
        depth = root / "data_depth_annotated"
        inner = "proj_depth/groundtruth/image_02"
        fill((depth / h / d / inner / f"{f}.png" for d, f, h in frames if h == "val"), [b"depth"])
        return tmp_path

    def test_161_of_652_names_the_missing_train_part(self, half: Path) -> None:
        with pytest.raises(DatasetError, match="161 of the 652 images") as caught:
            datasets.open_dataset("kitti", half)
        assert "missing are 491 of data_depth_annotated/train" in str(caught.value)
        assert "cvlibs.net" in str(caught.value) and not isinstance(caught.value, AbsentError)
        assert datasets.open_dataset("kitti", half, split="eigen-benchmark-val").total_samples == 161

    def test_an_eigen_tree_is_no_lineage_tree(self, half: Path) -> None:
        with pytest.raises(DatasetError, match="82 of the 1269 images"):
            datasets.open_dataset("kitti", half, split="lineage-1269")

    def test_what_is_wholly_absent_is_told_apart(self, half: Path) -> None:
        for split, field in (("val-selection", "annotated"), ("eigen", "velodyne")):
            with pytest.raises(AbsentError):
                datasets.open_dataset("kitti", half, split=split, field=field)

    def test_a_copy_in_jpeg_is_no_substitute(self, half: Path) -> None:
        path = half / "kitti/raw" / f"{IMAGE}.png"
        path.rename(path.with_suffix(".jpg"))
        with pytest.raises(DatasetError, match=r"69\.jpg is there, but a copy in JPEG is another image"):
            datasets.open_dataset("kitti", half, split="eigen-benchmark-val")

    def test_eigen_with_annotated_depth_is_refused(self, half: Path) -> None:
        with pytest.raises(UsageError, match="45 of the 697 frames of split 'eigen' have no annotated depth"):
            datasets.open_dataset("kitti", half, split="eigen")


class TestDepthMaps:
    @pytest.mark.parametrize(("frame", "share"), [("05", 0.195), ("50", 0.206), ("100", 0.183)])
    def test_real_frames(self, shared_data: Path, tmp_path: Path, frame: str, share: float) -> None:
        source = shared_data / "kitti" / f"{int(frame):010d}_depth.png"
        image = tmp_path / "kitti/raw" / f"{IMAGE}.png"
        write(image, b"")
        shutil.copyfile(source.with_name(source.name.replace("depth", "rgb")), image)
        write(tmp_path / "kitti/data_depth_annotated/val" / DEPTH, source.read_bytes())
        sample = opened(tmp_path, f"raw/{IMAGE}").load(f"raw/{IMAGE}")
        assert isinstance(sample, Sample) and sample.depth.shape == (375, 1242)
        assert sample.valid.mean() == pytest.approx(share, abs=5e-4)
        assert (sample.depth[~sample.valid] == 0).all() and sample.depth.max() > 80

    def test_value_256_is_one_metre_and_zero_is_nothing(self, tmp_path: Path) -> None:
        raw = np.array([[0, 1, 256], [257, 25600, 65535]], np.uint16)
        write(tmp_path / "d.png", encoded(raw))
        depth, valid = read_kitti_depth_png(tmp_path / "d.png")
        assert depth.dtype == np.float32
        np.testing.assert_array_equal(depth, raw.astype(np.float64) / 256)
        np.testing.assert_array_equal(valid, raw > 0)

    def test_maps_that_were_saved_with_8_bits_are_refused(self, tmp_path: Path) -> None:
        for name, values in {
            "low.png": np.full((3, 4), 255, np.uint16),
            "none.png": np.zeros((3, 4), np.uint16),
        }.items():
            write(tmp_path / name, encoded(values))
            with pytest.raises(ImageError, match=rf"{name}.*8 bits"):
                read_kitti_depth_png(tmp_path / name)
        write(tmp_path / "grey.png", encoded(np.full((3, 4), 255, np.uint8)))
        with pytest.raises(ImageError, match=r"grey\.png.*mode L"):
            read_kitti_depth_png(tmp_path / "grey.png")

    def test_a_map_of_another_size_fails_its_sample(self, tmp_path: Path) -> None:
        write(tmp_path / "kitti/raw" / f"{IMAGE}.png", encoded(picture(1, 8, 20)))
        write(tmp_path / "kitti/data_depth_annotated/val" / DEPTH, kitti.depth_map(2, 8, 21))
        with pytest.raises(SampleError, match=r"\(8, 21\), its image \(8, 20\)"):
            opened(tmp_path, f"raw/{IMAGE}").load(f"raw/{IMAGE}")


def slow_projection(points: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float64]:
    """Point by point, with the numbers of the builder's calibration files; values are x, the distance ahead."""
    depth: dict[tuple[int, int], float] = {}
    for x, y, z, _ in points.astype(np.float64):
        if x < 0:
            continue
        right, down, ahead = -y + 0.01, -z - 0.07, x - 0.27
        u = (10 * right + 9.5 * ahead + 0.4) / (ahead + 0.002)
        v = (10 * down + 4 * ahead + 0.01) / (ahead + 0.002)
        pixel = (round(v) - 1, round(u) - 1)  # Python and NumPy both round half to even
        if 0 <= pixel[0] < height and 0 <= pixel[1] < width:
            depth[pixel] = min(depth.get(pixel, np.inf), x)
    dense = np.zeros((height, width))
    for pixel, value in depth.items():
        dense[pixel] = value
    return dense


class TestVelodyne:
    @pytest.fixture
    def day(self, tmp_path: Path) -> Path:
        (tmp_path / "calib_cam_to_cam.txt").write_text(kitti.CAMERA)
        (tmp_path / "calib_velo_to_cam.txt").write_text(kitti.SCANNER)
        return tmp_path

    @pytest.mark.parametrize("seed", range(6))
    def test_projection_agrees_with_one_written_point_by_point(self, day: Path, seed: int) -> None:
        (day / "scan.bin").write_bytes(kitti.scan(seed))
        points = read_scan(day / "scan.bin")
        truth = project_scan(points, read_calibration(day))
        expected = slow_projection(points, kitti.HEIGHT, kitti.WIDTH)
        np.testing.assert_allclose(truth.depth, expected, rtol=1e-6)
        np.testing.assert_array_equal(truth.valid, expected > 0)
        assert 5 < truth.valid.sum() < truth.valid.size

    def test_the_value_is_the_distance_ahead_of_the_nearest_point(self, day: Path) -> None:
        straight = [[9, 0.01, -0.07, 0.5], [7, 0.01, -0.07, 0.1], [8, 0.01, -0.07, 0.9], [-7, 0.01, -0.07, 0.9]]
        truth = project_scan(np.array(straight, np.float32), read_calibration(day))
        assert truth.valid.sum() == 1 and truth.depth[truth.valid] == [7.0]
        row, col = np.argwhere(truth.valid)[0]
        assert (row, col) == (3, 9)  # the image coordinate (4.0, 9.5 + a little) of the ray, rounded, minus 1

    def test_a_scan_that_hits_nothing_is_empty_ground_truth(self, day: Path) -> None:
        truth = project_scan(np.array([[-5, 0, 0, 0]], np.float32), read_calibration(day))
        assert not truth.valid.any() and (truth.depth == 0).all()

    def test_damaged_scans_name_the_file(self, day: Path) -> None:
        path = day / "scan.bin"
        for content in (b"", b"12345", kitti.scan(0)[:-4], np.full((2, 4), np.nan, "<f4").tobytes()):
            path.write_bytes(content)
            with pytest.raises(SampleError, match=r"scan\.bin"):
                read_scan(path)

    @pytest.mark.parametrize("name", ["calib_cam_to_cam.txt", "calib_velo_to_cam.txt"])
    @pytest.mark.parametrize("cut", ["", "P_rect_02: 1 2 3\nR: 1 2\n", "P_rect_02: a\nR: b\n", "\0\xff"])
    def test_damaged_calibration_names_the_file_and_the_entry(self, day: Path, name: str, cut: str) -> None:
        (day / name).write_text(cut)
        with pytest.raises(SampleError, match=rf"{name}: lacks the entry"):
            read_calibration(day)
        (day / name).unlink()
        with pytest.raises(SampleError, match=rf"{name}: no such file"):
            read_calibration(day)

    def test_an_impossible_image_size_is_refused(self, day: Path) -> None:
        for size in ("0 8", "20 -8", "1e9 1e9"):
            text = kitti.CAMERA.replace("S_rect_02: 20.000000e+00 8.000000e+00", f"S_rect_02: {size}")
            assert size in text
            (day / "calib_cam_to_cam.txt").write_text(text)
            with pytest.raises(SampleError, match="S_rect_02"):
                read_calibration(day)

    def test_missing_calibration_is_named_once(self, tmp_path: Path) -> None:
        root = kitti.build(tmp_path)
        rewrite(root / "kitti/raw/2011_09_28/calib_velo_to_cam.txt", None)
        with pytest.raises(DatasetError) as caught:
            datasets.open_dataset("kitti", root, split="eigen", field="velodyne")
        assert str(caught.value).count("missing raw/2011_09_28/calib_velo_to_cam.txt") == 1
