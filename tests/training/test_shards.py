"""Shards: what is found in folders and tar files, random access, and files that must be refused."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dabench.errors import DatasetError, ImageError
from model_zoo.depth_anything_v2.training import shards as module
from model_zoo.depth_anything_v2.training.shards import (
    FolderShard,
    TarShard,
    decode_image,
    find_shards,
    index_tar,
    key_and_extension,
)


def picture(seed: int, size: tuple[int, int] = (20, 30), kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=kind)
    return stream.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


MEMBERS = {
    "a/one.jpg": b"1" * 700,
    "a/one.json": b"{}",
    "a/two.seg.png": b"2" * 3,
    "a/two.PNG": b"22" * 512,
    "x" * 150 + "/" + "ü" * 60 + ".webp": b"3" * 513,
    "._a.jpg": b"resource fork",
    "empty.jpeg": b"",
}


@pytest.mark.parametrize(
    "name", ["a.jpg", "d/a.jpg", "d.e/a.b.JPG", "./d/a.png", "._a.jpg", "noext", "d.e/noext", "a.b.c"]
)
def test_keys_are_those_of_webdataset(name: str) -> None:
    published = re.match(
        r"^((?:.*/|)[^.]+)[.]([^/]*)$", name.removeprefix("./")
    )  # webdataset, tariterators.base_plus_ext
    expected = (published[1], published[2].lower()) if published else None
    assert key_and_extension(name) == expected
    assert key_and_extension("d/.hidden.jpg") is None


def test_every_member_is_read_as_tarfile_reads_it(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", MEMBERS)
    index = index_tar(path)
    assert index.names == tuple(MEMBERS)
    for position in (6, 3, 0, 4, 2, 1, 5):
        assert index.read(position) == MEMBERS[index.names[position]]
    assert TarShard(path).keys == ("a/one", "a/two", "x" * 150 + "/" + "ü" * 60, "empty")
    assert TarShard(path).read(1) == b"22" * 512
    assert "a/two.PNG" in TarShard(path).locate(1) and str(path) in TarShard(path).locate(1)


def test_the_index_is_kept_and_made_again_for_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = write_tar(tmp_path / "s.tar", MEMBERS), tmp_path / "cache"
    first = index_tar(path, cache)
    (kept,) = cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_read_headers", lambda *_: pytest.fail("headers were read again"))
        assert index_tar(path, cache) == first
    kept.write_bytes(kept.read_bytes()[:-5])
    assert index_tar(path, cache) == first
    write_tar(path, {"b.jpg": b"b"})
    assert index_tar(path, cache).names == ("b.jpg",)
    with pytest.raises(DatasetError, match=r"s\.tar: has changed"):
        first.read(0)
    os.utime(path, ns=(1, 1))
    assert index_tar(path, cache).mtime_ns == 1


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert index_tar(write_tar(tmp_path / "s.tar", MEMBERS), tmp_path / "file" / "cache").names == tuple(MEMBERS)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    members = {name: content for name, content in MEMBERS.items() if name.isascii() and len(name) < 99}
    whole = write_tar(tmp_path / "whole.tar", members).read_bytes()
    end = 512 * sum(1 + -(-len(content) // 512) for content in members.values())
    assert len(whole) > end + 1024
    cut = tmp_path / "cut.tar"
    for length in [*range(0, end + 512, 128), end + 511]:
        cut.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=r"cut\.tar: truncated, damaged"):
            index_tar(cut)
    cut.write_bytes(whole[: end + 512])
    assert index_tar(cut).names == tuple(members)


def test_a_damaged_header_in_the_middle_is_noticed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"a.jpg": b"a", "b.jpg": b"b", "c.jpg": b"c"})
    content = bytearray(path.read_bytes())
    content[1024 + 3] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="damaged"):
        index_tar(path)


def test_joined_archives_and_compressed_ones_are_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"a.jpg": b"a"})
    (tmp_path / "two.tar").write_bytes(path.read_bytes() * 2)
    with pytest.raises(DatasetError, match="data after the end"):
        index_tar(tmp_path / "two.tar")
    with tarfile.open(tmp_path / "z.tar", "w:gz") as archive:
        archive.add(path, "a.jpg")
    with pytest.raises(DatasetError, match="not a plain tar"):
        index_tar(tmp_path / "z.tar")


@pytest.mark.parametrize(
    ("kind", "message"),
    [(tarfile.SYMTYPE, "is a link"), (tarfile.LNKTYPE, "is a link"), (tarfile.FIFOTYPE, "is neither a file nor a")],
)
def test_special_members_are_refused(kind: bytes, message: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DatasetError, match=rf"s\.tar: member 'a\.jpg' {message}"):
        index_tar(tmp_path / "s.tar")


def test_sparse_members_are_refused(tmp_path: Path) -> None:
    if shutil.which("tar") is None or b"GNU" not in subprocess.run(["tar", "--version"], capture_output=True).stdout:
        pytest.skip("no GNU tar to write a sparse member with")
    with (tmp_path / "a.jpg").open("wb") as stream:
        stream.truncate(1 << 20)
        stream.seek(1 << 19)
        stream.write(b"x")
    subprocess.run(["tar", "-S", "--format=gnu", "-cf", "s.tar", "a.jpg"], cwd=tmp_path, check=True)
    with pytest.raises(DatasetError, match=r"member 'a\.jpg' is sparse"):
        index_tar(tmp_path / "s.tar")


@pytest.mark.parametrize("name", ["/etc/a.jpg", "../a.jpg", "d/../../a.jpg", "a\n.jpg", "d\\a.jpg", "\x1b[2J.jpg"])
def test_hostile_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no plain relative path"):
        index_tar(write_tar(tmp_path / "s.tar", {name: b"a"}))


def test_two_images_of_one_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.jpg and a\.png"):
        _ = TarShard(write_tar(tmp_path / "s.tar", {"a.jpg": b"", "a.png": b""})).keys
    with pytest.raises(DatasetError, match="holds no image"):
        _ = TarShard(write_tar(tmp_path / "t.tar", {"a.txt": b"", "a.seg.png": b""})).keys
    with pytest.raises(DatasetError, match="does not exist"):
        find_shards([tmp_path / "absent.tar"])


def fill(root: Path) -> list[str]:
    names = ["b.jpg", "a/z.png", "a/y.v2.WEBP", "a/50%.jpeg"]
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(number))
    for name in ["._b.jpg", ".hidden/c.jpg", "notes.txt", "a/d.gif"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"no")
    return names


def test_a_folder_is_divided_the_same_way_every_time(tmp_path: Path) -> None:
    fill(tmp_path / "set")
    shards = find_shards([tmp_path / "set"], shard_size=3)
    assert [shard.name for shard in shards] == ["set-000000", "set-000001"]
    assert [shard.keys for shard in shards] == [("a/50%25", "a/y%2Ev2", "a/z"), ("b",)]
    for shard in shards:
        for key in shard.keys:
            assert key_and_extension(key + ".depth.png") == (key, "depth.png")
    assert shards[0].read(2) == picture(1) and shards[1].image(0).shape == (20, 30, 3)
    again = find_shards([tmp_path / "set"], shard_size=3)
    assert [shard.keys for shard in again] == [shard.keys for shard in shards]


def test_a_folder_of_tar_files_is_these_files(tmp_path: Path) -> None:
    for name in ("000001.tar", "000000.tar"):
        write_tar(tmp_path / name, {"a.jpg": b"a"})
    assert [shard.name for shard in find_shards([tmp_path])] == ["000000", "000001"]
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="both images and tar files"):
        find_shards([tmp_path])


def test_names_that_would_collide_are_refused(tmp_path: Path) -> None:
    for part in ("p", "q"):
        (tmp_path / part / "set").mkdir(parents=True)
        (tmp_path / part / "set" / "a.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="two shards are called 'set-000000'"):
        find_shards([tmp_path / "p" / "set", tmp_path / "q" / "set"])
    (tmp_path / "p" / "set" / "a.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"a\.jpg and a\.png"):
        find_shards([tmp_path / "p" / "set"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no image"):
        find_shards([tmp_path / "empty"])


def test_shards_travel_to_other_processes(tmp_path: Path) -> None:
    fill(tmp_path / "set")
    tar = TarShard(write_tar(tmp_path / "s.tar", MEMBERS))
    assert tar.keys
    for shard in (tar, find_shards([tmp_path / "set"])[0]):
        copy = pickle.loads(pickle.dumps(shard))
        assert copy.keys == shard.keys and copy.read(1) == shard.read(1)


def test_images_are_upright_rgb() -> None:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20), (200, 10, 10)).save(stream, format="JPEG", exif=exif)
    upright = decode_image(stream.getvalue(), "x")
    assert upright.shape == (30, 20, 3) and upright.dtype == np.uint8 and upright[..., 0].min() > 150
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 5), 0x80FF, np.uint16)).save(stream, format="PNG")
    assert (decode_image(stream.getvalue(), "x") == 0x80).all()
    stream = io.BytesIO()
    Image.new("RGBA", (3, 2), (1, 2, 3, 0)).save(stream, format="WEBP", lossless=True, exact=True)
    assert decode_image(stream.getvalue(), "x").tolist() == [[[1, 2, 3]] * 3] * 2


@pytest.mark.parametrize("content", [b"", b"text", picture(0)[:-40], picture(0, kind="JPEG")[:300]])
def test_a_bad_image_is_named(content: bytes) -> None:
    with pytest.raises(ImageError, match=r"^s\.tar: a\.jpg: "):
        decode_image(content, "s.tar: a.jpg")


def test_a_vanished_file_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        FolderShard(tmp_path, "s", ["gone.jpg"]).image(0)
