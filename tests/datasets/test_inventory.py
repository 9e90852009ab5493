"""``dabench data check``: every split and field is looked at, and what is missing is told from what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from dataset_builders import fill, mini, nyu_d, nyu_d_fastdepth, rewrite, sintel
from msgspec import structs
from typer.testing import CliRunner

import dabench.cli
from dabench import datasets, protocols
from dabench.datasets.inventory import Part, faults, inventory
from dabench.datasets.kitti import EIGEN, LINEAGE
from dabench.datasets.sintel import Sintel
from dabench.datasets.split_lists import read_split
from dabench.errors import DatasetError, UnknownNameError, UsageError


def check(*arguments: str | Path) -> tuple[str, DatasetError | None]:
    """The output of ``data check`` and the error it ends with."""
    result = CliRunner().invoke(dabench.cli.build_app(), ["data", "check", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, DatasetError | SystemExit), result.exception
    return result.output, result.exception if isinstance(result.exception, DatasetError) else None


def frames(name: str) -> list[tuple[str, str, str]]:
    lines = read_split(*(EIGEN if name == "eigen" else LINEAGE))
    return [(d, f, h) for d, f, h in map(str.split, lines)]


def kitti_files(root: Path, chosen: list[tuple[str, str, str]], *, depth: bool = True) -> None:
    """Empty files where images and annotated depth belong."""
    folder = root / "kitti"
    fill((folder / f"raw/{d[:10]}/{d}/image_02/data/{f}.png" for d, f, _ in chosen), [b""])
    if depth:
        inner = "proj_depth/groundtruth/image_02"
        places = (folder / f"data_depth_annotated/{h}/{d}/{inner}/{f}.png" for d, f, h in chosen if h != "none")
        fill(places, [b""])


def states(parts: list[Part]) -> dict[tuple[str, str], str]:
    return {(p.split, p.field): p.state for p in parts}


def test_every_split_and_field_of_kitti_is_looked_at(tmp_path: Path) -> None:
    kitti_files(tmp_path, [f for f in frames("eigen") if f[2] != "none"])
    parts = list(inventory("kitti", tmp_path, decode=False))
    assert states(parts) == {
        ("eigen-benchmark", "annotated"): "complete", ("eigen-benchmark", "velodyne"): "absent",
        ("eigen", "annotated"): "undefined", ("eigen", "velodyne"): "absent",
        ("eigen-benchmark-val", "annotated"): "complete", ("eigen-benchmark-val", "velodyne"): "absent",
        ("val-selection", "annotated"): "absent", ("val-selection", "velodyne"): "undefined",
        ("lineage-1269", "annotated"): "incomplete", ("lineage-1269", "velodyne"): "absent",
    }  # fmt: skip
    assert faults(parts) == [], "the 82 frames of lineage-1269 that are there belong to eigen-benchmark"
    [lineage] = [p for p in parts if p.state == "incomplete"]
    assert len(lineage.present) == 82 and len(lineage.missing) == 2 * (1269 - 82)


def test_a_default_split_that_is_there_in_part_is_a_fault(tmp_path: Path) -> None:
    benchmark = [f for f in frames("eigen") if f[2] != "none"]
    kitti_files(tmp_path, benchmark, depth=False)
    kitti_files(tmp_path / "depth", [f for f in benchmark if f[2] == "val"])
    (tmp_path / "depth/kitti/data_depth_annotated").rename(tmp_path / "kitti/data_depth_annotated")
    output, error = check("kitti", "--data-root", tmp_path, "--no-decode", "--missing", tmp_path / "missing.txt")
    assert error is not None and "161 of the 652 images" in str(error)
    assert "missing are 491 of data_depth_annotated/train" in str(error)
    assert "kitti (eigen-benchmark, annotated): INCOMPLETE" in output
    assert "kitti (eigen-benchmark-val, annotated): 161 images" in output
    assert "kitti (eigen, annotated): no such combination" in output
    paths = (tmp_path / "missing.txt").read_text().splitlines()
    annotated_train = [p for p in paths if p.startswith("data_depth_annotated/train/")]
    assert len(annotated_train) == 491 and len(set(paths)) == len(paths)
    output, error = check("kitti", "--data-root", tmp_path, "--no-decode", "--split", "eigen-benchmark-val")
    assert error is None and "161 images" in output and "652" not in output


def test_another_split_that_is_there_in_part_is_a_fault(tmp_path: Path) -> None:
    root = sintel.build(tmp_path)
    rewrite(root / "sintel/training/clean/alley_1/frame_0007.png", None)
    output, error = check("sintel", "--data-root", root, "--no-decode")
    assert error is not None and "missing training/clean/alley_1/frame_0007.png" in str(error)
    assert "sintel (final): 1064 images" in output and "sintel (clean): INCOMPLETE" in output


def test_a_field_that_the_layout_lacks_is_no_fault(tmp_path: Path) -> None:
    output, error = check("nyu-d", "--data-root", nyu_d_fastdepth.build(tmp_path), "--no-decode")
    assert error is None
    assert "nyu-d (depth, raw): not on disk" in output and "its depth is the filled one" in output
    assert "nyu-d (depth, filled): 654 images" in output and "horatio.cs.nyu.edu" in output
    assert "nyu-dust3r-lineage@1: 654 images, as expected" in output and "nyu-eigen-raw@1" not in output
    assert "everything is there" not in output


def test_damaged_files_are_all_named(tmp_path: Path) -> None:
    root = mini.build(tmp_path)
    for scene in ("indoor", "aerial"):
        rewrite(root / f"mini/depth/{scene}/view_1.png", b"")
        rewrite(root / f"mini/images/{scene}/view_2.png", b"")
    _, error = check("mini", "--data-root", root)
    assert error is not None and "6 faults" in str(error)
    assert str(error).count("view_1.png") == 2, "depth maps are decoded under depth only"
    assert str(error).count("view_2.png") == 4, "images are decoded under each task"
    assert check("mini", "--data-root", root, "--no-decode")[1] is None


def test_shared_samples_are_decoded_once_a_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(Sintel, "load", lambda self, sample_id: loaded.append(sample_id))
    tracked: dict[str, int] = {}

    def track(ids: Sequence[str], what: str) -> Sequence[str]:
        tracked[what] = len(ids)
        return ids

    parts = list(inventory("sintel", sintel.build(tmp_path), track=track))
    assert {p.state for p in parts} == {"complete"}
    assert tracked == {"decoding sintel final": 1064, "decoding sintel clean": 1064, "decoding sintel final-dynamic": 0}
    assert len(loaded) == len(set(loaded)) == 2128


def test_an_empty_root_says_what_to_put_there(tmp_path: Path) -> None:
    for name in ("kitti", "nyu-d", "sintel"):
        (tmp_path / name).mkdir()
        output, error = check(name, "--data-root", tmp_path)
        info = datasets.registry().get(name).info
        assert error is not None and info.how_to_get in str(error) and info.layout in str(error)
        assert output.count("not on disk") >= 1


def test_wrong_calls(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        list(inventory("kitti", tmp_path))
    (tmp_path / "kitti").mkdir()
    with pytest.raises(UnknownNameError, match="known: eigen-benchmark"):
        list(inventory("kitti", tmp_path, split="eigne"))
    with pytest.raises(UnknownNameError, match="known: annotated, velodyne"):
        list(inventory("kitti", tmp_path, field="depth"))
    with pytest.raises(UsageError, match="no data root"):
        list(inventory("kitti", None))


def test_a_protocol_that_expects_another_count_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = protocols.all_protocols()
    other = structs.replace(known["mini-depth@1"], dataset=structs.replace(known["mini-depth@1"].dataset, expected=7))
    monkeypatch.setattr(protocols, "all_protocols", lambda: {**known, other.id: other})
    output, error = check("mini", "--data-root", mini.build(tmp_path), "--no-decode")
    assert "mini-depth@1: 6 images, EXPECTED 7" in output
    assert error is not None and "mini-depth@1 is defined on 7 images, found 6" in str(error)
    output, error = check("nyu-d", "--data-root", nyu_d.build(tmp_path / "nyu"), "--no-decode", "--field", "raw")
    assert error is None and "nyu-eigen-raw@1: 654 images, as expected" in output and "filled" not in output
