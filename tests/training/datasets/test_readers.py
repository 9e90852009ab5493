"""What each reader has of its own: splits, lists, choices, and values in real files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from training_set_builders import (
    BUILDERS,
    SIZE,
    Built,
    picture,
    write_hdf5,
    write_npy,
    write_pfm,
    write_picture,
    write_png16,
)

from dabench.errors import DatasetError, SampleError, UsageError
from model_zoo.depth_anything_v2.training.datasets import open_dataset
from model_zoo.depth_anything_v2.training.datasets.hypersim import tone_map
from model_zoo.depth_anything_v2.training.sample import TrainingDataset


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Built]:
    def make(name: str) -> Built:
        root = tmp_path / name
        root.mkdir()
        return BUILDERS[name](root)

    return make


Build = Callable[[str], Built]


def ids(dataset: TrainingDataset) -> list[str]:
    return [dataset.id_of(index) for index in range(len(dataset))]


class TestHypersim:
    def test_splits_and_broken_cameras(self, build: Build) -> None:
        root = build("hypersim").root
        assert [len(open_dataset("hypersim", root, split=s)) for s in ("train", "val", "all")] == [3, 1, 5]
        assert len(open_dataset("hypersim", root, broken=True)) == 4
        with pytest.raises(DatasetError, match="no image was found"):
            open_dataset("hypersim", root, split="test")
        with pytest.raises(UsageError, match="split 'training' is unknown"):
            open_dataset("hypersim", root, split="training")

    def test_the_split_file(self, build: Build) -> None:
        root = build("hypersim").root
        split = root / "metadata_images_split_scene_v1.csv"
        nested = root / "evermotion_dataset/analysis"
        nested.mkdir(parents=True)
        shutil.move(split, nested)
        assert len(open_dataset("hypersim", root)) == 3
        shutil.rmtree(root / "evermotion_dataset")
        with pytest.raises(DatasetError, match=split.name):
            open_dataset("hypersim", root)
        assert len(open_dataset("hypersim", root, split="all")) == 5
        split.write_text("scene,camera\nai_001_001,cam_00\n")
        with pytest.raises(DatasetError, match="no column 'scene_name'"):
            open_dataset("hypersim", root)

    def test_missing_scenes(self, build: Build) -> None:
        root = build("hypersim").root
        shutil.rmtree(root / "ai_004_009")
        with pytest.raises(DatasetError, match="1 scenes of split 'train' are missing, the first is ai_004_009"):
            open_dataset("hypersim", root)
        assert len(open_dataset("hypersim", root, partial=True)) == 2

    @pytest.mark.parametrize(
        "line",
        [
            "train/ai_001_001/rgb_cam_00_fr0011.png train/ai_001_001/depth_plane_cam_00_fr0011.png",
            "/data/hypersim/ai_001_001/images/scene_cam_00_final_preview/frame.0011.tonemap.jpg "
            "/data/hypersim/ai_001_001/images/scene_cam_00_geometry_hdf5/frame.0011.depth_meters.hdf5",
        ],
    )
    def test_lists_of_others(self, build: Build, line: str) -> None:
        root = build("hypersim").root
        (root / "list.txt").write_text(line + "\n")
        dataset = open_dataset("hypersim", root, frames="list.txt")
        assert ids(dataset) == ["ai_001_001/images/scene_cam_00_final_preview/frame.0011"]
        (root / "list.txt").write_text("rgb_00011.jpg\n")
        with pytest.raises(DatasetError, match="names no scene"):
            open_dataset("hypersim", root, frames="list.txt")

    def test_colour_from_hdf5(self, build: Build) -> None:
        built = build("hypersim")
        dataset = open_dataset("hypersim", built.root, image="hdf5")
        stem = built.root / "ai_001_001/images"
        with h5py.File(stem / "scene_cam_00_final_hdf5/frame.0011.color.hdf5") as file:
            colour = file["dataset"][()].astype(np.float64)
        with h5py.File(stem / "scene_cam_00_geometry_hdf5/frame.0011.render_entity_id.hdf5") as file:
            hit = file["dataset"][()] != -1
        image = dataset[1].image / 255
        brightness = 0.3 * image[..., 0] ** 2.2 + 0.59 * image[..., 1] ** 2.2 + 0.11 * image[..., 2] ** 2.2
        unclipped = image.max(axis=2) < 1
        ratio = brightness[unclipped] / (colour @ [0.3, 0.59, 0.11])[unclipped]
        np.testing.assert_allclose(ratio, 0.8**2.2 / np.percentile((colour @ [0.3, 0.59, 0.11])[hit], 90), rtol=0.05)

        geometry = stem / "scene_cam_00_geometry_hdf5/frame.0011.render_entity_id.hdf5"
        geometry.unlink()
        with pytest.raises(SampleError, match=r"render_entity_id\.hdf5: no such file"):
            dataset[1]
        preview = open_dataset("hypersim", built.root)
        assert preview[1].valid.sum() > dataset[0].valid.size * 0.9  # holes by entity are not known then

    def test_tone_map_of_odd_pictures(self) -> None:
        hit = np.full(SIZE, True)
        assert (tone_map(np.zeros((*SIZE, 3)), hit) == 0).all()
        assert (tone_map(np.full((*SIZE, 3), 1e-5), hit) == 0).all()  # too dark to expose
        odd = np.ones((*SIZE, 3), np.float16)
        odd[0, 0], odd[0, 1], odd[0, 2] = np.inf, np.nan, -1
        toned = tone_map(odd, hit)
        assert toned[0, 0].tolist() == [255] * 3 and toned[0, 1].tolist() == toned[0, 2].tolist() == [0] * 3
        assert (toned[1:] == round(0.8 * 255)).all()
        unscaled = tone_map(np.full((*SIZE, 3), 0.5), ~hit)
        assert (unscaled == round(0.5 ** (1 / 2.2) * 255)).all()

    def test_a_real_frame(self, shared_data: Path, tmp_path: Path) -> None:
        scene = tmp_path / "ai_001_001/images"
        geometry = scene / "scene_cam_00_geometry_hdf5"
        geometry.mkdir(parents=True)
        shutil.copy(shared_data / "hypersim/frame.0000.depth_meters.hdf5", geometry)
        preview = scene / "scene_cam_00_final_preview/frame.0000.tonemap.jpg"
        write_picture(preview, np.zeros((768, 1024, 3), np.uint8))
        sample = open_dataset("hypersim", tmp_path, split="all")[0]
        z = 1 / sample.disparity[sample.valid]
        np.testing.assert_allclose([z.min(), np.median(z), z.max()], [2.663, 5.193, 12.965], atol=5e-4)
        assert sample.valid.all() and sample.metric


class TestVirtualKitti2:
    def test_choices(self, build: Build) -> None:
        built = build("virtual-kitti-2")
        assert len(open_dataset("virtual-kitti-2", built.root, **{**built.options, "cameras": [0, 1]})) == 16
        fewer = open_dataset("virtual-kitti-2", built.root, scenes="20", variations="fog", cameras=[1])
        assert {i.rpartition("/")[0] for i in ids(fewer)} == {"Scene20/fog/frames/rgb/Camera_1"}

    def test_what_is_missing_is_named(self, build: Build) -> None:
        root = build("virtual-kitti-2").root
        with pytest.raises(DatasetError, match="Scene01/15-deg-left/frames/rgb/Camera_0"):
            open_dataset("virtual-kitti-2", root)
        shutil.rmtree(root / "Scene01/clone/frames/depth")
        with pytest.raises(DatasetError, match="Scene01/clone/frames/depth/Camera_0"):
            open_dataset("virtual-kitti-2", root, scenes=["01"], variations=["clone"])

    @pytest.mark.parametrize(
        "options",
        [
            {"scenes": ["03"]},
            {"variations": ["snow"]},
            {"cameras": [2]},
            {"cameras": []},
            {"cameras": 0},
            {"cameras": "0"},
            {"scenes": []},
        ],
    )
    def test_unknown_choices(self, tmp_path: Path, options: dict[str, Any]) -> None:
        with pytest.raises(UsageError):
            open_dataset("virtual-kitti-2", tmp_path, **options)

    @pytest.mark.slow
    def test_official_counts(self, tmp_path: Path) -> None:
        """Frames a scene as published; the sums are Marigold's and the set's own."""
        frames = {"Scene01": 447, "Scene02": 233, "Scene06": 270, "Scene18": 339, "Scene20": 837}
        heads = [f"{angle}-deg-{side}" for angle in (15, 30) for side in ("left", "right")]
        for scene, count in frames.items():
            for variation in [*heads, "clone", "fog", "morning", "overcast", "rain", "sunset"]:
                for camera in (0, 1):
                    rgb = tmp_path / scene / variation / f"frames/rgb/Camera_{camera}"
                    rgb.mkdir(parents=True)
                    (tmp_path / scene / variation / f"frames/depth/Camera_{camera}").mkdir(parents=True)
                    for frame in range(count):
                        (rgb / f"rgb_{frame:05d}.jpg").touch()
        counts = [
            len(open_dataset("virtual-kitti-2", tmp_path, split=split))
            for split in ("all", "marigold-train", "marigold-val")
        ]
        assert counts == [21_260, 20_148, 5_364]

    def test_far_and_sky(self, tmp_path: Path) -> None:
        frames = tmp_path / "Scene01/clone/frames"
        codes = np.full(SIZE, 8000)
        codes[0], codes[1], codes[2, 0] = 65535, 65534, 0
        write_picture(frames / "rgb/Camera_0/rgb_00000.jpg", picture(0))
        write_png16(frames / "depth/Camera_0/depth_00000.png", codes)
        sample = open_dataset("virtual-kitti-2", tmp_path, scenes=["01"], variations=["clone"])[0]
        assert sample.sky[:2].all() and not sample.sky[2:].any() and not sample.valid[2, 0]
        np.testing.assert_allclose(1 / sample.disparity[3:], 80, rtol=1e-6)
        loose = open_dataset("virtual-kitti-2", tmp_path, scenes=["01"], variations=["clone"], rule={"sky_from": None})[
            0
        ]
        assert loose.sky[0].all() and not loose.sky[1].any()
        np.testing.assert_allclose(1 / loose.disparity[1], 655.34, rtol=1e-6)

    def test_eight_bits_are_no_depth(self, build: Build) -> None:
        built = build("virtual-kitti-2")
        dataset = open_dataset("virtual-kitti-2", built.root, **built.options)
        path = built.truths[dataset.id_of(0)].depth_file
        write_picture(path, np.zeros((*SIZE, 3), np.uint8))
        with pytest.raises(SampleError, match="16 bits"):
            dataset[0]


class TestIRS:
    def test_lists(self, build: Build) -> None:
        root = build("irs").root
        (root / "lists").mkdir()
        listed = root / "lists/IRSDataset_TRAIN.list"
        listed.write_text("Home/ModernHotelRoom/l_10.png Home/ModernHotelRoom/r_10.png Home/ModernHotelRoom/d_10.exr\n")
        dataset = open_dataset("irs", root, lists=["lists/IRSDataset_TRAIN.list"])
        assert ids(dataset) == ["Home/ModernHotelRoom/l_10"] and dataset[0].metric
        for wrong in ("Home/ModernHotelRoom/r_10.png", "../elsewhere/l_1.png", "/Home/l_1.png"):
            listed.write_text(wrong + "\n")
            with pytest.raises(DatasetError, match="does not begin with a left image"):
                open_dataset("irs", root, lists="lists/IRSDataset_TRAIN.list")
        with pytest.raises(DatasetError, match="no such file"):
            open_dataset("irs", root, lists="absent.list")

    def test_disparity_is_used_as_it_is(self, build: Build) -> None:
        """Up to one factor the label is the stored disparity, so no camera has to be right for a relative loss."""
        import OpenEXR

        built = build("irs")
        sample = open_dataset("irs", built.root)[0]
        stored = OpenEXR.File(str(built.truths[sample.id].depth_file), separate_channels=True).channels()["G"].pixels
        np.testing.assert_allclose(sample.disparity[sample.valid] * 48, stored[sample.valid], rtol=1e-6)


class TestTartanAir:
    def test_worlds(self, build: Build) -> None:
        root = build("tartanair").root
        assert len(open_dataset("tartanair", root, leave_out=[])) == 6
        assert len(open_dataset("tartanair", root, difficulties=["Hard"])) == 2
        assert len(open_dataset("tartanair", root, environments=["ocean"])) == 2
        with pytest.raises(DatasetError, match="/japanesealley: no such folder"):
            open_dataset("tartanair", root, environments=["japanesealley"])
        with pytest.raises(UsageError, match="difficulty 'Medium'"):
            open_dataset("tartanair", root, difficulties=["Medium"])
        shutil.rmtree(root / "ocean/Hard/P002/depth_left")
        with pytest.raises(DatasetError, match="ocean/Hard/P002/depth_left: no such folder"):
            open_dataset("tartanair", root)

    def test_real_frames_with_their_finder_files(self, shared_data: Path, tmp_path: Path) -> None:
        for folder in ("image_left", "depth_left"):
            shutil.copytree(shared_data / "tartanair" / folder, tmp_path / "abandonedfactory/Easy/P000" / folder)
        dataset = open_dataset("tartanair", tmp_path)
        assert [i.rpartition("/")[2] for i in ids(dataset)] == ["000000_left", "000001_left"]
        for index, sample in enumerate([dataset[0], dataset[1]]):
            stored = np.load(shared_data / f"tartanair/depth_left/{index:06d}_left_depth.npy")
            assert sample.valid.all() and not sample.sky.any() and sample.image.shape == (480, 640, 3)
            np.testing.assert_allclose(1 / sample.disparity, stored, rtol=1e-6)


class TestBlendedMVS:
    def test_no_mesh_as_sky(self, build: Build) -> None:
        built = build("blended-mvs")
        sample = open_dataset("blended-mvs", built.root, no_mesh="sky")[0]
        hole = built.truths[sample.id].hole
        negative = hole & (np.arange(SIZE[1]) % 2 == 0)
        np.testing.assert_array_equal(sample.sky, hole & ~negative)
        np.testing.assert_array_equal(sample.valid, ~negative)
        assert not sample.metric

    def test_nearly_empty_maps(self, build: Build) -> None:
        built = build("blended-mvs")
        dataset = open_dataset("blended-mvs", built.root)
        path = built.truths[dataset.id_of(0)].depth_file
        depth = np.zeros(SIZE)
        depth[: SIZE[0] // 12] = 3.0
        write_pfm(path, depth)
        with pytest.raises(SampleError, match=r"too little valid depth, 8\.3 % of the image"):
            dataset[0]
        assert open_dataset("blended-mvs", built.root, rule={"min_valid": 0.05})[0].valid.mean() == pytest.approx(
            1 / 12
        )
        write_pfm(path, np.zeros(SIZE))
        for options in ({"rule": {"min_valid": 0.0}}, {"no_mesh": "sky", "rule": {"min_valid": 0.0}}):
            with pytest.raises(SampleError, match="too little valid depth"):
                open_dataset("blended-mvs", built.root, **options)[0]

    def test_project_lists(self, build: Build) -> None:
        root = build("blended-mvs").root
        (root / "validation_list.txt").write_text("000000000000000000000001\n")
        assert {i.split("/")[0] for i in ids(open_dataset("blended-mvs", root, projects="validation_list.txt"))} == {
            "BlendedMVS+"
        }
        (root / "validation_list.txt").write_text("000000000000000000000001\n0000000000000000000000ff\n")
        with pytest.raises(DatasetError, match="1 projects of validation_list"):
            open_dataset("blended-mvs", root, projects="validation_list.txt")
        shutil.copytree(root / "BlendedMVS+/000000000000000000000001", root / "000000000000000000000001")
        with pytest.raises(DatasetError, match="are the same project"):
            open_dataset("blended-mvs", root)


class TestUnrealStereo4K:
    def test_worlds(self, build: Build) -> None:
        root = build("unreal-stereo-4k").root
        assert len(open_dataset("unreal-stereo-4k", root, leave_out=[])) == 6
        assert len(open_dataset("unreal-stereo-4k", root, scenes=["00003"])) == 2
        shutil.rmtree(root / "00003/Extrinsics1")
        with pytest.raises(DatasetError, match="00003/Extrinsics1: no such folder"):
            open_dataset("unreal-stereo-4k", root)

    @pytest.mark.parametrize("text", ["", "1 2 3", "a " * 21, "nan " * 21, "0 " * 21])
    def test_damaged_cameras(self, build: Build, text: str) -> None:
        built = build("unreal-stereo-4k")
        dataset = open_dataset("unreal-stereo-4k", built.root)
        camera = built.root / "00000/Extrinsics1/00000.txt"
        camera.write_text(text)
        with pytest.raises(SampleError, match=r"Extrinsics1/00000\.txt: is not a camera"):
            dataset[0]
        shutil.copy(built.root / "00000/Extrinsics0/00000.txt", camera)
        with pytest.raises(SampleError, match="both cameras are in the same place"):
            dataset[0]


class TestRendered:
    def test_held_out_scenes(self, tmp_path: Path) -> None:
        samples = {}
        for number in range(60):
            name = f"images/indoor/{number:03d}.jpg"
            samples[name] = {"depth_scale": 0.001, "scene": "indoor", "seed": [1, number // 2], "families": []}
        (tmp_path / "metadata.json").write_text(json.dumps({"samples": samples}))
        parts = {p: ids(open_dataset("rendered", tmp_path, part=p, every=4)) for p in ("all", "train", "held-out")}
        assert sorted(parts["train"] + parts["held-out"]) == parts["all"] and len(parts["all"]) == 60
        seeds = {p: {int(i[-3:]) // 2 for i in found} for p, found in parts.items()}
        assert seeds["held-out"] and not seeds["train"] & seeds["held-out"]
        for every in (1, 2.5, "4"):
            with pytest.raises(UsageError, match="every"):
                open_dataset("rendered", tmp_path, every=every)

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "{}",
            '{"samples": 3}',
            '{"samples": {"images/a.jpg": {}}}',
            '{"samples": {"images/a.jpg": {"depth_scale": 0, "seed": 1}}}',
            '{"samples": {"images/../../a.jpg": {"depth_scale": 1, "seed": 1}}}',
            '{"samples": {"/etc/a.jpg": {"depth_scale": 1, "seed": 1}}}',
        ],
    )
    def test_damaged_metadata(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "metadata.json").write_text(content)
        with pytest.raises(DatasetError, match=r"metadata\.json: is damaged"):
            open_dataset("rendered", tmp_path)

    def test_sketches(self, tmp_path: Path) -> None:
        from model_zoo.depth_anything_v2.training.sketch import draw, main

        main(["--out", str(tmp_path), "--scenes", "3", "--seed", "2"])
        dataset = open_dataset("rendered", tmp_path)
        assert len(dataset) == 3
        for sample in (dataset[index] for index in range(3)):
            view, _ = draw(int(sample.id.rpartition("-")[2]))
            exact = (view.depth > 0) & (view.depth < 400)
            np.testing.assert_allclose(1 / sample.disparity[exact], view.depth[exact], atol=500 / 65535)
            np.testing.assert_array_equal(sample.sky, (view.depth <= 0) | (view.depth > 500))


class TestFolderDepth:
    def test_real_kitti_frames(self, shared_data: Path, tmp_path: Path) -> None:
        """Values counted from the files by the format's own rule, metres times 256."""
        import cv2

        lines = []
        for frame, part in ((5, "train"), (50, "val"), (100, "train")):
            (tmp_path / "raw").mkdir(exist_ok=True)
            (tmp_path / "truth" / part).mkdir(parents=True, exist_ok=True)
            shutil.copy(shared_data / f"kitti/{frame:010d}_rgb.png", tmp_path / f"raw/{frame:010d}.png")
            shutil.copy(shared_data / f"kitti/{frame:010d}_depth.png", tmp_path / f"truth/{part}/{frame:010d}.png")
            lines.append(f"{frame:010d}.png {frame:010d}.png 721.5377")
        (tmp_path / "list.txt").write_text("\n".join([*lines, "0000000007.png None 721.5377"]))
        dataset = open_dataset(
            "folder-depth", tmp_path, list="list.txt", unit=1 / 256, images="raw", depths=["truth/train", "truth/val"]
        )
        shares = []
        for index, frame in enumerate((5, 50, 100)):
            sample = dataset[index]
            codes = cv2.imread(str(shared_data / f"kitti/{frame:010d}_depth.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(sample.valid, codes > 0)
            np.testing.assert_allclose(1 / sample.disparity[sample.valid], codes[codes > 0] / 256, rtol=1e-6)
            shares.append(round(100 * float(sample.valid.mean()), 1))
        assert shares == [19.5, 20.6, 18.3]

    def test_a_real_nyu_frame(self, shared_data: Path, tmp_path: Path) -> None:
        (tmp_path / "list.txt").write_text("01338_rgb.png 01338_depth_mm.png\n00000_rgb.png 00000_raw.png\n")
        for name in ("01338_rgb.png", "01338_depth_mm.png", "00000_rgb.png", "00000_raw.png"):
            shutil.copy(shared_data / "nyu_raw" / name, tmp_path)
        millimetres = open_dataset("folder-depth", tmp_path, list="list.txt", unit=0.001)[1]
        z = 1 / millimetres.disparity[millimetres.valid]
        assert round(100 * float(millimetres.valid.mean()), 1) == 68.1
        assert float(np.median(z)) == pytest.approx(3.495, abs=5e-4)
        tenths = open_dataset("folder-depth", tmp_path, list="list.txt", unit=0.0001)[0]
        z = 1 / tenths.disparity[tenths.valid]
        np.testing.assert_allclose([z.min(), np.median(z), z.max()], [1.797, 3.042, 3.640], atol=6e-4)

    @pytest.mark.parametrize("suffix", [".npy", ".pfm", ".hdf5"])
    def test_other_kinds_of_maps(self, tmp_path: Path, suffix: str) -> None:
        depth = np.random.default_rng(0).uniform(1, 9, SIZE).astype(np.float32)
        depth[0, 0] = np.nan
        {".npy": write_npy, ".pfm": write_pfm, ".hdf5": write_hdf5}[suffix](tmp_path / f"a{suffix}", depth)
        write_picture(tmp_path / "a.png", picture(0))
        (tmp_path / "list.txt").write_text(f"# image depth\na.png a{suffix}\n")
        sample = open_dataset("folder-depth", tmp_path, list="list.txt", unit=2, metric=False)[0]
        np.testing.assert_allclose(1 / sample.disparity[sample.valid], 2 * depth[np.isfinite(depth)], rtol=1e-6)
        assert not sample.metric and not sample.valid[0, 0] and sample.valid.sum() == depth.size - 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a.png\n", "names no depth map"),
            ("../a.png a.npy\n", "leads out of"),
            ("a.png b.npy\na.png c.npy\n", "listed with two different"),
            ("a.png None\n", "no image was found"),
            ("", "no image was found"),
        ],
    )
    def test_bad_lists(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "list.txt").write_text(text)
        with pytest.raises(DatasetError, match=words):
            open_dataset("folder-depth", tmp_path, list="list.txt", unit=1)

    def test_bad_options(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="needs the option 'list'"):
            open_dataset("folder-depth", tmp_path)
        for unit in (0, -1, float("nan"), "mm", True):
            with pytest.raises(UsageError, match="unit must be a number above 0"):
                open_dataset("folder-depth", tmp_path, list="list.txt", unit=unit)
        (tmp_path / "list.txt").write_text("a.png a.npy\n")
        with pytest.raises(DatasetError, match="/depth: no such folder"):
            open_dataset("folder-depth", tmp_path, list="list.txt", unit=1, depths=["depth"])
