"""The reader of DA-2K's layout: what it reads, what it refuses, and that it names every fault."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dabench import datasets
from dabench.datasets.da2k import SCENES
from dabench.datasets.formats import EXIF_ORIENTATION
from dabench.errors import DatasetError, ImageError, UsageError
from dabench.scoring.pairs import score_pairs
from dabench.types import Output, Pair, PairSample, Prediction

PAIR = {"point1": [1, 2], "point2": [15, 20], "closer_point": "point2"}
A, B = "images/indoor/a.png", "images/outdoor/b.png"


def pair(**changes: Any) -> dict[str, Any]:
    return {**PAIR, **changes}


def refusal(root: Path, name: str = "pairs", **options: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        datasets.open_dataset(name, root, **options)
    assert caught.value.exit_code == 2 and caught.value.hint
    return str(caught.value)


def test_reads_what_is_there(make_pairs: Any) -> None:
    root = make_pairs({B: [PAIR], A: [PAIR, pair(closer_point="point1")]})
    dataset = datasets.open_dataset("pairs", root)
    assert dataset.ids == ("images/outdoor/b", "images/indoor/a"), "the order of the file"
    assert (dataset.total_targets, dataset.total_samples) == (3, 2)
    sample = dataset.load("images/indoor/a")
    assert isinstance(sample, PairSample)
    assert sample.pairs == (Pair((1, 2), (15, 20), 2), Pair((1, 2), (15, 20), 1))
    assert sample.group == dataset.group(sample.id) == "indoor"
    np.testing.assert_array_equal(sample.image, np.asarray(Image.open(root / A)))


def test_points_on_the_border_are_inside(make_pairs: Any) -> None:
    root = make_pairs({A: [pair(point1=[0, 0], point2=[19, 29])]}, size=(20, 30))
    assert datasets.open_dataset("pairs", root).total_targets == 1


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([pair(point1=[20, 0])], "pair 0: point1 [20, 0] lies outside the image of 20 rows and 30 columns"),
        ([PAIR, pair(point2=[0, 30])], "pair 1: point2 [0, 30] lies outside"),
        ([pair(point1=[25, 5])], "point1 [25, 5] lies outside"),  # inside, if read as (x, y)
        ([pair(point1=[-1, 0])], "point1 [-1, 0] lies outside"),
        ([pair(point1=[10**30, 0])], "lies outside"),
        ([pair(point2=[1, 2])], "both points are [1, 2]"),
        ([pair(point1=[1.0, 2])], "point1 must be [row, col] in whole pixels, got [1.0, 2]"),
        ([pair(point1=[True, 2])], "point1 must be"),
        ([pair(point1=["1", 2])], "point1 must be"),
        ([pair(point1=[1, 2, 3])], "point1 must be"),
        ([pair(point1={"row": 1})], "point1 must be"),
        ([{"point1": [1, 2], "closer_point": "point1"}], "point2 must be"),
        ([pair(closer_point="point3")], "closer_point must be 'point1' or 'point2', got 'point3'"),
        ([pair(closer_point=1)], "closer_point must be"),
        ([pair(closer_point=None)], "closer_point must be"),
        ([pair(closer_point=["point1"])], "closer_point must be"),
        ([[1, 2]], "is not an object"),
        ([], "must hold a non-empty list"),
        ({}, "must hold a non-empty list"),
        (None, "must hold a non-empty list"),
    ],
)
def test_a_bad_entry_is_refused_by_name(make_pairs: Any, entries: Any, told: str) -> None:
    message = refusal(make_pairs({B: [PAIR], A: entries}))
    assert "annotations.json is refused" in message and f"'{A}'" in message and told in message
    assert B not in message


@pytest.mark.parametrize("key", ["../a.png", "images/../../a.png", "/etc/a.png", "images\\a.png", ""])
def test_a_path_out_of_the_root_is_refused(make_pairs: Any, key: str) -> None:
    assert f"'{key}': not a path inside the root" in refusal(make_pairs({key: [PAIR]}))


def test_every_fault_is_listed(make_pairs: Any) -> None:
    root = make_pairs({A: [pair(point1=[99, 0]), pair(point2=[0, 99])], B: [PAIR], "images/c.png": [PAIR]}, absent=(B,))
    message = refusal(root)
    for told in ("[99, 0]", "[0, 99]", "1 of 3 images are not on disk", f"missing {B}"):
        assert told in message
    many = {f"images/{i}.png": [pair(closer_point=i)] for i in range(100)}
    message = refusal(make_pairs(many, name="many"))
    assert message.count("closer_point must be") == 20 and "... and 80 more" in message


def test_a_folder_where_an_image_should_be_is_missing(make_pairs: Any) -> None:
    root = make_pairs({A: [PAIR], B: [PAIR]}, absent=(B,))
    (root / B).mkdir(parents=True)
    assert f"missing {B}" in refusal(root)


def test_two_images_with_one_id_are_refused(make_pairs: Any) -> None:
    message = refusal(make_pairs({A: [PAIR], "images/indoor/a.jpg": [PAIR]}))
    assert "have the same id 'images/indoor/a'" in message and "a.jpg" in message


def test_an_image_named_twice_is_refused(make_pairs: Any) -> None:
    text = json.dumps(PAIR)
    assert f"names '{A}' twice" in refusal(make_pairs(f'{{"{A}": [{text}], "{A}": [{text}]}}'))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not readable JSON"),
        ("{", "not readable JSON"),
        ("[]", "holds a list, not an object"),
        ("null", "not an object"),
        ("{}", "holds no pairs"),
        ("[" * 100_000, "not readable JSON"),
        ('{"a.png": [{"point1": [' + "9" * 5000 + ", 1]}]}", "not readable JSON"),
    ],
)
def test_a_file_that_is_not_a_pair_set(make_pairs: Any, text: str, told: str) -> None:
    message = refusal(make_pairs(text))
    assert told in message and "annotations.json" in message


def test_not_utf8_a_folder_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_bytes(b'{"\xff": 1}')
    assert "not readable JSON" in refusal(tmp_path)
    (tmp_path / "annotations.json").unlink()
    assert "annotations.json is missing" in refusal(tmp_path)
    (tmp_path / "annotations.json").mkdir()
    assert "not readable" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    assert "is a file, not a folder" in refusal(tmp_path / "file")


def test_non_ascii_names(make_pairs: Any) -> None:
    key = unicodedata.normalize("NFC", "images/non_real/日本語 é ü.png")
    dataset = datasets.open_dataset("pairs", make_pairs({key: [PAIR]}))
    assert dataset.ids == (key.removesuffix(".png"),)
    assert dataset.load(dataset.ids[0]).group == "non_real"


def test_groups(make_pairs: Any) -> None:
    keys = {
        "images/indoor/a.png": "indoor",
        "images/b.png": "",
        "c.png": "",
        "left/d.png": "left",
        "left/deep/e.png": "left",
        "images/indoor/deep/f.png": "indoor",
    }
    dataset = datasets.open_dataset("pairs", make_pairs({key: [PAIR] for key in keys}))
    assert {f"{i}.png": dataset.group(i) for i in dataset.ids} == keys


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_are_those_of_the_upright_image(tmp_path: Path, orientation: int) -> None:
    """The stored pixels are turned by EXIF; the annotator, OpenCV and we see the upright picture."""
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[18, 35] = 255
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # PIL's transposition that EXIF undoes
    stored = Image.fromarray(upright)
    if undo is not None:
        stored = stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    (tmp_path / "images").mkdir()
    stored.save(tmp_path / "images" / "a.png", exif=exif)
    labels = {"images/a.png": [{"point1": [18, 35], "point2": [2, 3], "closer_point": "point1"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(labels))
    sample = datasets.open_dataset("pairs", tmp_path).load("images/a")
    assert isinstance(sample, PairSample)
    brightness = Prediction(sample.image[..., 0].astype(np.float32), Output.DISPARITY)
    assert score_pairs(brightness, sample.pairs).correct.tolist() == [True]
    labels["images/a.png"][0]["point1"] = [35, 18]
    (tmp_path / "annotations.json").write_text(json.dumps(labels))
    assert "lies outside the image of 20 rows and 40 columns" in refusal(tmp_path)


def test_an_undecodable_image_fails_alone(make_pairs: Any) -> None:
    root = make_pairs({A: [PAIR], B: [PAIR]})
    (root / A).write_bytes((root / A).read_bytes()[:200])
    dataset = datasets.open_dataset("pairs", root)
    with pytest.raises(ImageError, match=r"a\.png"):
        dataset.load("images/indoor/a")
    assert dataset.load("images/outdoor/b").id == "images/outdoor/b"


def test_fingerprint_follows_the_labels(make_pairs: Any) -> None:
    one, same, other = (
        datasets.open_dataset("pairs", make_pairs({A: [p]}, name=name)).fingerprint
        for name, p in (("one", PAIR), ("same", PAIR), ("other", pair(closer_point="point1")))
    )
    assert one == same != other


class TestSubset:
    def test_only_the_selected_images_need_be_on_disk(self, make_pairs: Any) -> None:
        root = make_pairs({A: [PAIR], B: [PAIR, PAIR]}, absent=(B,))
        dataset = datasets.open_dataset("pairs", root, only=frozenset({"images/indoor/a"}))
        assert dataset.ids == ("images/indoor/a",)
        assert (dataset.total_samples, dataset.total_targets) == (2, 3), "the whole set, for the partial mark"
        assert f"missing {B}" in refusal(root, only=frozenset({"images/outdoor/b"}))

    def test_unknown_ids_are_refused(self, make_pairs: Any) -> None:
        root = make_pairs({A: [PAIR]})
        ids = frozenset({"images/indoor/a", "images/indoor/a.png", *(f"x{i}" for i in range(9))})
        with pytest.raises(UsageError, match="10 of the selected ids are not in dataset 'pairs'") as caught:
            datasets.open_dataset("pairs", root, only=ids)
        assert "'images/indoor/a.png'" in str(caught.value) and "like 'images/indoor/a'" in str(caught.value)

    def test_labels_of_the_others_are_still_validated(self, make_pairs: Any) -> None:
        root = make_pairs({A: [PAIR], B: [pair(closer_point="?")]})
        assert B in refusal(root, only=frozenset({"images/indoor/a"}))


class TestDa2k:
    def annotations(self, pairs: int) -> dict[str, Any]:
        """``pairs`` pairs, two an image, over the eight scenes."""
        images = [f"images/{SCENES[i % 8]}/é{i}.png" for i in range((pairs + 1) // 2)]
        return {key: [PAIR, PAIR][: pairs - 2 * i] for i, key in enumerate(images)}

    def test_2068_pairs_are_the_set(self, make_pairs: Any) -> None:
        root = make_pairs(self.annotations(2068), name="data/da-2k", size=(16, 21))
        dataset = datasets.open_dataset("da-2k", root.parent)
        assert (dataset.total_targets, dataset.total_samples) == (2068, 1034)
        assert {dataset.group(i) for i in dataset.ids} == set(SCENES) and len(SCENES) == 8

    @pytest.mark.parametrize(("pairs", "images"), [(2067, 1034), (2069, 1035)])
    def test_any_other_number_is_not(self, make_pairs: Any, pairs: int, images: int) -> None:
        annotations = self.annotations(pairs)
        root = make_pairs(annotations, name="data/da-2k", absent=tuple(annotations))
        message = refusal(root.parent, "da-2k")
        assert f"holds {pairs} pairs on {images} images; the whole set has 2068 pairs" in message

    def test_a_part_is_scored_on_purpose_only(self, make_pairs: Any) -> None:
        annotations = self.annotations(2068)
        first = next(iter(annotations))
        root = make_pairs(annotations, name="data/da-2k", absent=tuple(k for k in annotations if k != first))
        assert "1033 of 1034 images are not on disk" in refusal(root.parent, "da-2k")
        dataset = datasets.open_dataset("da-2k", root.parent, only=frozenset({first.removesuffix(".png")}))
        assert len(dataset.ids) == 1 and dataset.total_targets == 2068

    def test_needs_a_root(self) -> None:
        with pytest.raises(UsageError, match="no data root") as caught:
            datasets.open_dataset("da-2k")
        assert "dabench data fetch da-2k" in str(caught.value)


def test_nyu60_is_balanced_against_the_location_prior(shared_data: Path) -> None:
    dataset = datasets.open_dataset("pairs", shared_data / "nyu60")
    assert (dataset.total_samples, dataset.total_targets) == (60, 120)
    correct = 0
    for sample_id in dataset.ids:
        sample = dataset.load(sample_id)
        assert isinstance(sample, PairSample) and sample.image.shape == (480, 640, 3) and sample.group == "indoor"
        rows = np.repeat(np.arange(480, dtype=np.float32)[:, None], 640, axis=1)
        correct += int(score_pairs(Prediction(rows, Output.DISPARITY), sample.pairs).correct.sum())
    assert correct == 60
