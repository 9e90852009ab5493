"""DIW: two lines a record, coordinates from 1, and '>' means that A is farther."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_builders import diw, encoded, picture

from dabench.datasets import open_dataset
from dabench.datasets.diw import Diw
from dabench.datasets.layouts import AbsentError
from dabench.errors import DatasetError, SampleError
from dabench.types import Pair, PairSample


def _set(folder: Path, *lines: str) -> Path:
    root = folder / "diw"
    (root / "DIW_test").mkdir(parents=True)
    (root / "DIW_test/a.thumb").write_bytes(encoded(picture(0, 20, 30), ".jpg"))
    (root / "DIW_test.csv").write_text("\n".join(lines) + "\n")
    return folder


def _pair(folder: Path, record: str) -> Pair:
    sample = open_dataset("diw", _set(folder, "./DIW_test/a.thumb", record)).load("DIW_test/a")
    assert isinstance(sample, PairSample)
    [pair] = sample.pairs
    return pair


@pytest.mark.parametrize(
    ("record", "pair"),
    [
        ("1,1,20,30,>,30,20", Pair((0, 0), (19, 29), 2)),
        ("1,1,20,30,<,30,20", Pair((0, 0), (19, 29), 1)),
        ("3,7,5,11,> ,30,20", Pair((2, 6), (4, 10), 2)),
    ],
)
def test_records(tmp_path: Path, record: str, pair: Pair) -> None:
    assert _pair(tmp_path, record) == pair


def test_the_two_kinds_of_pairs_are_told_apart(tmp_path: Path) -> None:
    dataset = open_dataset("diw", diw.build(tmp_path))
    kinds = [dataset.group(i)[0] for i in dataset.ids]
    assert kinds == ["u", "s", "u", "s", "u", "s"]
    assert dataset.ids[0] == "DIW_test/00000000" and dataset.total_targets == 6


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([""], "odd number of lines"),
        (["./DIW_test/a.thumb"], "odd number of lines"),
        (["./DIW_test/a.thumb", "1,1,2,2,=,30,20"], r"line 1: .*relation '=', which is neither '>' nor '<'"),
        (["./DIW_test/a.thumb", "1,1,2,2,>,30"], "6 columns"),
        (["./DIW_test/a.thumb", "1,1,2,2.5,>,30,20"], "whole numbers"),
        (["./DIW_test/a.thumb", "0,1,2,2,>,30,20"], r"outside 1\.\.20 rows"),
        (["./DIW_test/a.thumb", "1,31,2,2,>,30,20"], r"outside 1\.\.20 rows and 1\.\.30 columns"),
        (["./DIW_test/a.thumb", "21,1,2,2,>,30,20"], "outside"),
        (["./DIW_test/a.thumb", "2,2,2,2,>,30,20"], "one point twice"),
        (["/data/DIW_test/a.thumb", "1,1,2,2,>,30,20"], "not a path below the root"),
        (["../a.thumb", "1,1,2,2,>,30,20"], "not a path below the root"),
        (["./DIW_test/a.thumb", "1,1,2,2,>,30,20"] * 2, "line 3: 'DIW_test/a' has a record already"),
        (["./DIW_test/b.thumb", "1,1,2,2,>,30,20"], r"holds 0 of 1 images(.|\n)*missing DIW_test/b\.thumb"),
    ],
)  # fmt: skip
def test_faults_are_listed_with_their_line(tmp_path: Path, lines: list[str], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        open_dataset("diw", _set(tmp_path, *lines))


def test_all_faults_are_counted(tmp_path: Path) -> None:
    lines = [line for i in range(30) for line in (f"./DIW_test/{i}.thumb", "1,1,2,2,=,30,20")]
    with pytest.raises(DatasetError, match=r"and 10 more"):
        open_dataset("diw", _set(tmp_path, *lines))


def test_an_image_smaller_than_the_labelled_one_fails_its_sample(tmp_path: Path) -> None:
    root = _set(tmp_path, "./DIW_test/a.thumb", "1,1,25,2,>,300,200")
    with pytest.raises(SampleError, match="not the one that was labelled"):
        open_dataset("diw", root).load("DIW_test/a")


def test_annotations_may_lie_in_their_own_folder(tmp_path: Path) -> None:
    root = diw.build(tmp_path)
    (root / "diw/DIW_Annotations").mkdir()
    (root / "diw/DIW_test.csv").rename(root / "diw/DIW_Annotations/DIW_test.csv")
    assert open_dataset("diw", root).total_samples == 6
    (root / "diw/DIW_Annotations/DIW_test.csv").unlink()
    with pytest.raises(AbsentError, match=r"DIW_test\.csv is missing"):
        open_dataset("diw", root)


def test_the_published_count_is_stated() -> None:
    assert "74441" in Diw.info.expected
