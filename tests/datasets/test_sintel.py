"""``sintel`` on a set built from the SDK's description: this shows self-consistency."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from dataset_builders import encoded, fill, picture, sintel

from dabench import datasets
from dabench.datasets.layouts import AbsentError
from dabench.datasets.sintel import DYNAMIC_SCENES, FRAMES
from dabench.datasets.split_lists import read_split
from dabench.errors import DatasetError, SampleError
from dabench.types import Sample

ID = "training/final/ambush_2/frame_0021"


def test_the_list_has_the_official_scenes_and_counts() -> None:
    scenes = Counter(line.partition("/")[0] for line in read_split(*FRAMES))
    assert scenes == sintel.SCENES and sum(sintel.SCENES.values()) == 1064 and len(scenes) == 23
    assert len(DYNAMIC_SCENES) == 14 and sum(scenes[s] for s in DYNAMIC_SCENES) == 643
    for scene, count in scenes.items():
        assert {f"{scene}/frame_0001", f"{scene}/frame_{count:04d}"} <= set(read_split(*FRAMES))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sintel.build(tmp_path_factory.mktemp("whole"))


def test_passes_share_depth_and_differ_in_the_image(whole: Path) -> None:
    final, clean = (datasets.open_dataset("sintel", whole, split=s) for s in ("final", "clean"))
    one, other = final.load(ID), clean.load(ID.replace("final", "clean"))
    assert isinstance(one, Sample) and isinstance(other, Sample)
    np.testing.assert_array_equal(one.depth, other.depth)
    assert (one.image != other.image).any()
    assert final.group(ID) == final.sequence(ID) == "ambush_2"
    assert [i.replace("final", "clean") for i in final.ids] == list(clean.ids)


def test_the_sky_stays_what_it_is(whole: Path) -> None:
    truth = datasets.open_dataset("sintel", whole).ground_truth(ID)
    assert (truth.depth[:5] == 1e5).all() and truth.valid.all() and (truth.depth[5:] <= 60).all()


def test_dynamic_scenes_are_a_part_with_the_same_ids(whole: Path) -> None:
    every, dynamic = (
        datasets.open_dataset("sintel", whole),
        datasets.open_dataset("sintel", whole, split="final-dynamic"),
    )
    assert set(dynamic.ids) < set(every.ids) and {dynamic.group(i) for i in dynamic.ids} == DYNAMIC_SCENES


def test_cameras(whole: Path) -> None:
    intrinsics, extrinsics = datasets.open_dataset("sintel", whole).camera("training/final/alley_1/frame_0002")
    assert intrinsics[0, 0] == 800.5 and extrinsics[:, 3].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("images", "depth"),
    [
        ("", ""), ("training/", "MPI-Sintel-depth-training-20150305/training/"), ("Sintel/training/", ""),
        ("MPI-Sintel-complete/training/", "training/"),
    ],
)  # fmt: skip
def test_what_people_have_is_found(tmp_path: Path, images: str, depth: str) -> None:
    image = tmp_path / "sintel" / f"{images}final/alley_1/frame_0001.png"
    fill([image], [encoded(picture(0, 436, 1024))])
    fill([tmp_path / "sintel" / f"{depth}depth/alley_1/frame_0001.dpt"], [sintel.depth_map(0)])
    sample_id = f"{images}final/alley_1/frame_0001"
    dataset = datasets.open_dataset("sintel", tmp_path, only=frozenset({sample_id}))
    assert dataset.ids == (sample_id,) and dataset.total_samples == 1064
    dataset.load(sample_id)
    with pytest.raises(DatasetError, match="1 of the 1064 images"):
        datasets.open_dataset("sintel", tmp_path)


def test_two_trees_are_refused(tmp_path: Path) -> None:
    for base in ("training", "MPI-Sintel-complete/training"):
        (tmp_path / "sintel" / base / "final").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"both .* hold a folder 'final'"):
        datasets.open_dataset("sintel", tmp_path)


def test_the_dynamic_scenes_alone_are_told_from_the_whole(tmp_path: Path) -> None:
    frames = [f"{s}/frame_{i:04d}" for s in DYNAMIC_SCENES for i in range(1, sintel.SCENES[s] + 1)]
    fill((tmp_path / "sintel/training/final" / f"{f}.png" for f in frames), [b""])
    fill((tmp_path / "sintel/training/depth" / f"{f}.dpt" for f in frames), [b""])
    with pytest.raises(DatasetError, match="643 of the 1064 images") as caught:
        datasets.open_dataset("sintel", tmp_path)
    assert "9 of 23 scenes are not there at all: alley_1, ambush_2" in str(caught.value)
    assert "split 'final-dynamic'" in str(caught.value)
    assert datasets.open_dataset("sintel", tmp_path, split="final-dynamic").total_samples == 643
    with pytest.raises(AbsentError):
        datasets.open_dataset("sintel", tmp_path, split="clean")


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_values_that_are_no_depths_fail_the_sample(tmp_path: Path, value: float) -> None:
    content = bytearray(sintel.depth_map(0))
    content[12:16] = np.float32(value).tobytes()
    fill([tmp_path / "sintel" / f"{ID}.png"], [encoded(picture(0, 436, 1024))])
    truth = tmp_path / "sintel/training/depth/ambush_2/frame_0021.dpt"
    fill([truth], [bytes(content)])
    dataset = datasets.open_dataset("sintel", tmp_path, only=frozenset({ID}))
    with pytest.raises(SampleError, match=r"frame_0021\.dpt: holds values that are no depths"):
        dataset.load(ID)
    truth.write_bytes(sintel.depth_map(0, 436, 1023))
    with pytest.raises(SampleError, match=r"\(436, 1023\), its image \(436, 1024\)"):
        dataset.load(ID)


def test_an_image_of_another_size_fails_the_sample(tmp_path: Path) -> None:
    fill([tmp_path / "sintel" / f"{ID}.png"], [encoded(picture(0, 436, 872))])
    fill([tmp_path / "sintel/training/depth/ambush_2/frame_0021.dpt"], [sintel.depth_map(0, 436, 872)])
    with pytest.raises(SampleError, match=r"frame_0021\.png: is 436 x 872"):
        datasets.open_dataset("sintel", tmp_path, only=frozenset({ID})).load(ID)
