"""Archives from strangers: what is good is unpacked, what is hostile leaves no trace outside."""

from __future__ import annotations

import io
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from dabench.datasets.archives import SEVEN_ZIP_START, unpack
from dabench.errors import DatasetError


def _tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _zip(path: Path, members: dict[str, bytes], mode: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return path


def _tar(path: Path, members: dict[str, bytes], compression: str = "") -> Path:
    with tarfile.open(path, f"w:{compression}") as archive:
        root = tarfile.TarInfo("./")
        root.type = tarfile.DIRTYPE
        archive.addfile(root)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


GOOD = {"DA-2K/annotations.json": b"{}", "DA-2K/images/indoor/фото.jpg": b"jpeg", "DA-2K/images/a b.png": b""}


def test_zip(tmp_path: Path) -> None:
    extra = {"__MACOSX/DA-2K/._annotations.json": b"x", "DA-2K/.DS_Store": b"x", "DA-2K/images/._a b.png": b"x"}
    archive = _zip(tmp_path / "a.zip", {"DA-2K/": b"", **GOOD, **extra})
    assert _tree(unpack(archive, tmp_path / "out")) == GOOD


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_tar(tmp_path: Path, compression: str) -> None:
    archive = _tar(tmp_path / "a.tar", {f"./{name}": content for name, content in GOOD.items()}, compression)
    assert _tree(unpack(archive, tmp_path / "out")) == GOOD


def test_zip_names_in_utf8_without_the_flag(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"images/cafe\u0301.jpg": b"1"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(signature) + offset
        (flags,) = struct.unpack_from("<H", content, at)
        assert flags & 0x800
        struct.pack_into("<H", content, at, flags & ~0x800)
    archive.write_bytes(bytes(content))
    assert list(_tree(unpack(archive, tmp_path / "out"))) == ["images/cafe\u0301.jpg"]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil", "a\\..\\..\\evil"])
@pytest.mark.parametrize("make", [_zip, _tar])
def test_paths_that_escape(tmp_path: Path, name: str, make: object) -> None:
    archive = make(tmp_path / "a", {"good": b"1", name: b"evil"})  # type: ignore[operator]
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match="leads outside"):
        unpack(archive, tmp_path / "deep" / "out")
    assert set(tmp_path.rglob("*")) == before, "names are checked before the first byte is written"


def test_zip_links_and_devices(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "link.zip", {"link": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    with pytest.raises(DatasetError, match="'link' is a link"):
        unpack(archive, tmp_path / "out")
    archive = _zip(tmp_path / "device.zip", {"device": b""}, stat.S_IFCHR | 0o666)
    with pytest.raises(DatasetError, match="'device' is a device"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_tar_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("thing")
        info.type, info.linkname = kind, "/etc"
        archive.addfile(info)
        below = tarfile.TarInfo("thing/passwd")
        archive.addfile(below, io.BytesIO())
    with pytest.raises(DatasetError, match=r"'thing' is a (link|device)"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bombs(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {f"{i}": bytes(1 << 20) for i in range(8)})
    with pytest.raises(DatasetError, match="would unpack to more than"):
        unpack(archive, tmp_path / "out")
    assert len(_tree(unpack(archive, tmp_path / "out", max_ratio=2000))) == 8
    with pytest.raises(DatasetError, match="would unpack to more than 1000 bytes"):
        unpack(archive, tmp_path / "small", max_bytes=1000, max_ratio=2000)
    tar = _tar(tmp_path / "a.tar.gz", {f"{i}": bytes(1 << 20) for i in range(8)}, "gz")
    with pytest.raises(DatasetError, match="would unpack to more than"):
        unpack(tar, tmp_path / "tar")


def test_header_that_lies_about_the_size(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"a": bytes(1 << 20)})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.index(signature) + offset, 10)
    archive.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="damaged"):
        unpack(archive, tmp_path / "out")
    assert all(len(content) <= 10 for content in _tree(tmp_path / "out").values())


def _7z(path: Path, members: dict[str, bytes], **options: object) -> Path:
    py7zr = pytest.importorskip("py7zr", reason="unpacking .7z needs the optional package py7zr")
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    return path


def test_7z(tmp_path: Path) -> None:
    extra = {"scene/._a.JPG": b"x", "scene/.DS_Store": b"x"}
    archive = _7z(tmp_path / "a.7z", {"scene/a.JPG": b"raw" * 1000, **GOOD, **extra})
    assert _tree(unpack(archive, tmp_path / "out")) == {"scene/a.JPG": b"raw" * 1000, **GOOD}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil"])
def test_7z_paths_that_escape(tmp_path: Path, name: str) -> None:
    # the library does not write such names, so a good one of the same length is overwritten in the plain header
    harmless = "x" * len(name)
    py7zr = pytest.importorskip("py7zr")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(b"evil", harmless)
    content = (tmp_path / "a.7z").read_bytes()
    header = content[32 + 4 :]
    assert header.count(harmless.encode("utf-16-le")) == 1
    header = header.replace(harmless.encode("utf-16-le"), name.encode("utf-16-le"))
    start = content[12:28] + struct.pack("<I", zlib.crc32(header))
    content = content[:8] + struct.pack("<I", zlib.crc32(start)) + start + content[32 : 32 + 4] + header
    (tmp_path / "a.7z").write_bytes(content)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match="leads outside"):
        unpack(tmp_path / "a.7z", tmp_path / "deep" / "out")
    assert set(tmp_path.rglob("*")) == before


def test_7z_links_bombs_and_passwords(tmp_path: Path) -> None:
    py7zr = pytest.importorskip("py7zr")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "link.7z", "w") as archive:
        archive.write(tmp_path / "link", "link")
    with pytest.raises(DatasetError, match="'link' is a link"):
        unpack(tmp_path / "link.7z", tmp_path / "out")
    bomb = _7z(tmp_path / "bomb.7z", {f"{i}": bytes(1 << 20) for i in range(8)})
    with pytest.raises(DatasetError, match="would unpack to more than"):
        unpack(bomb, tmp_path / "out")
    secret = _7z(tmp_path / "secret.7z", {"a": b"1"}, password="p")
    with pytest.raises(DatasetError, match="encrypted"):
        unpack(secret, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_7z(tmp_path: Path) -> None:
    archive = _7z(tmp_path / "a.7z", {"a": bytes(range(256)) * 40})
    whole = archive.read_bytes()
    flipped = bytearray(whole)
    flipped[40] ^= 0xFF
    for content in (whole[: len(whole) // 2], whole[:20], bytes(flipped)):
        archive.write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.7z is damaged"):
            unpack(archive, tmp_path / f"out{len(content)}")


def test_7z_without_the_package_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.7z").write_bytes(SEVEN_ZIP_START + bytes(100))
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(DatasetError, match="pip install py7zr"):
        unpack(tmp_path / "a.7z", tmp_path / "out")


def test_same_member_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("a", "1")
        archive.writestr("a", "2")
    with pytest.raises(DatasetError, match="twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_what_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        unpack(tmp_path / "absent.zip", tmp_path / "out")
    whole = _zip(tmp_path / "a.zip", GOOD).read_bytes()
    for content in (b"", b"<html>not found</html>", whole[: len(whole) // 2]):
        (tmp_path / "b.zip").write_bytes(content)
        with pytest.raises(DatasetError, match=r"b\.zip"):
            unpack(tmp_path / "b.zip", tmp_path / "out")
    damaged = bytearray(whole)
    damaged[damaged.index(b"jpeg") if b"jpeg" in damaged else 120] ^= 0xFF
    (tmp_path / "c.zip").write_bytes(bytes(damaged))
    with pytest.raises(DatasetError, match=r"c\.zip"):
        unpack(tmp_path / "c.zip", tmp_path / "out")
