"""Finding files: what Finder leaves behind does not count, and one folder has to be the right one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dataset_builders import fill, nyu_d_bts, nyu_d_fastdepth

from dabench import datasets
from dabench.datasets.layouts import base_of, files_in, fingerprint, folders_in
from dabench.datasets.split_lists import read_split
from dabench.errors import DatasetError


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    fill([tmp_path / name for name in ("a.png", "._a.png", ".DS_Store", "folder/b.png", ".git/c.png")], [b"x"])
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "gone.png")
    assert files_in(tmp_path) == {"a.png", "link.png"}
    assert folders_in(tmp_path) == ("folder",)
    assert files_in(tmp_path / "gone") == frozenset() and folders_in(tmp_path / "a.png") == ()


def test_what_macos_really_left_behind(shared_data: Path) -> None:
    folder = shared_data / "tartanair" / "depth_left"
    assert any(path.name.startswith("._") for path in folder.iterdir())
    assert files_in(folder) == {"000000_left_depth.npy", "000001_left_depth.npy"}


def test_it_is_no_sample_of_a_set_that_is_found_by_listing(shared_data: Path, tmp_path: Path) -> None:
    left = shared_data / "tartanair" / "image_left" / "._000000_left.png"
    for name, builder, field, folder, extension in (
        ("bts", nyu_d_bts, "raw", "official_splits/test/kitchen", "jpg"),
        ("fastdepth", nyu_d_fastdepth, "filled", "val/official", "h5"),
    ):
        root = builder.build(tmp_path / name)
        before = datasets.open_dataset("nyu-d", root, field=field)
        files = sorted((root / "nyu-d" / folder).glob(f"*.{extension}"))
        for path in files:
            shutil.copyfile(left, path.with_name(f"._{path.name}"))
        shutil.copyfile(left, root / "nyu-d" / "._nyu_depth_v2_labeled.mat")
        after = datasets.open_dataset("nyu-d", root, field=field)
        assert files and after.ids == before.ids and after.fingerprint == before.fingerprint


def test_base_of(tmp_path: Path) -> None:
    def found() -> str:
        return base_of("x", tmp_path, ("one", "two/three", "."), ("a", "b"), "the folders")

    assert found() == "one/", "the official place, where nothing is found"
    (tmp_path / "two/three/b").mkdir(parents=True)
    assert found() == "two/three/"
    (tmp_path / "._a").mkdir()
    assert found() == "two/three/"
    (tmp_path / "a").mkdir()
    with pytest.raises(DatasetError, match=r"both .*two/three and .* hold the folders"):
        found()
    shutil.rmtree(tmp_path / "two")
    assert found() == ""


def test_fingerprint_follows_labels_names_and_sizes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"12345")
    other.write_bytes(b"67890")
    base = fingerprint(("set", "split"), [("a", one)])
    assert fingerprint(("set", "split"), [("a", other)]) == base, "content of equal size is not read"
    others = {
        fingerprint(("set", "other"), [("a", one)]),
        fingerprint(("set", "split"), [("b", one)]),
        fingerprint(("set", "split"), [("a", tmp_path / "gone")]),
        fingerprint(("set", "split"), []),
        fingerprint(("set", "split"), [("a", one), ("b", other)]),
    }
    one.write_bytes(b"123456")
    others.add(fingerprint(("set", "split"), [("a", one)]))
    assert len(others) == 6 and base not in others


def test_a_changed_list_is_refused() -> None:
    from dabench.datasets.sintel import FRAMES

    name, sha256, count = FRAMES
    assert len(read_split(name, sha256, count)) == 1064
    for wrong in ((name, "0" * 64, count), (name, sha256, 643)):
        with pytest.raises(DatasetError, match=r"sintel-training\.txt of this installation was changed"):
            read_split(*wrong)
