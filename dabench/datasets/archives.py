"""Unpacking archives from elsewhere: nothing outside the target, no links, no bombs.

Threats and answers follow the Python documentation of `tarfile` extraction filters (PEP 706) and of `zipfile`. The
format .7z, which ETH3D uses, needs the package py7zr.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dabench.errors import DatasetError

MAX_BYTES = 64 << 30
MAX_MEMBERS = 1_000_000
MAX_RATIO = 200
"""Unpacked over packed bytes. Deflate reaches about 1000; photographs stay near 1, JSON near 20."""
BLOCK = 1 << 20
SEVEN_ZIP_START = b"7z\xbc\xaf\x27\x1c"
_UTF8_FLAG = 0x800
_ENCRYPTED_FLAG = 0x1


class DamagedArchiveError(DatasetError):
    """An archive that is truncated, altered or of an unknown kind: another copy may be whole."""


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    kind: str
    source: zipfile.ZipInfo | tarfile.TarInfo | None


def unpack(archive: Path, target: Path, *, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO) -> Path:
    """Unpack a .zip, .tar (plain, gzip, bzip2, xz) or .7z into the new folder ``target``.

    Only regular files are made; Finder's leftovers (``__MACOSX``, ``._*``, ``.DS_Store``) are skipped. All names are
    checked before the first byte is written.

    Args:
        archive: the file.
        target: a folder that does not exist yet or is empty.
        max_bytes: refuse more unpacked bytes than this, whatever the headers claim.
        max_ratio: refuse a higher ratio of unpacked to packed bytes (archives below 1 MB unpacked are exempt).

    Raises:
        DatasetError: not an archive, damaged, encrypted, too large, or with a member that is a link, a device, or
            leads outside ``target``; the message names the member. Also if a .7z is to be unpacked without py7zr.
    """
    if not archive.is_file():
        raise DatasetError(f"archive {archive} does not exist")
    limit = min(max_bytes, max(int(archive.stat().st_size * max_ratio), BLOCK))
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _extract(archive, _zip_members(archive, opened), target, limit, opened)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                _extract(archive, _tar_members(archive, tar), target, limit, tar)
        elif _starts_with(archive, SEVEN_ZIP_START):
            _unpack_7z(archive, target, limit)
        else:
            raise DamagedArchiveError(f"{archive} is neither a zip, a tar nor a 7z archive")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DamagedArchiveError(
            f"{archive} is damaged or of an unknown kind: {error}", hint="fetch it again"
        ) from error
    return target


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        mode = info.external_attr >> 16
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise DatasetError(f"{archive}: '{info.filename}' is encrypted")
        kind = "folder" if info.is_dir() else "file"
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "link" if stat.S_ISLNK(mode) else "device"
        yield _Member(_zip_name(info), info.file_size, kind, info)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The member's name; Info-ZIP writes UTF-8 without the flag that says so, which zipfile reads as code page 437."""
    if info.flag_bits & _UTF8_FLAG:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[_Member]:
    for info in tar:
        kind = (
            "file"
            if info.isreg()
            else "folder"
            if info.isdir()
            else "link"
            if info.issym() or info.islnk()
            else "device"
        )
        yield _Member(info.name, info.size, kind, info)


def require_7z(what: str) -> Any:
    """The module that unpacks .7z archives.

    Args:
        what: needs it, for the error.

    Raises:
        DatasetError: it is not installed.
    """
    try:
        import py7zr  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError as error:
        raise DatasetError(
            f"{what} is a .7z archive, which needs the package py7zr",
            hint="pip install py7zr, and run the same command again: what is downloaded stays",
        ) from error
    return py7zr


def _unpack_7z(archive: Path, target: Path, limit: int) -> None:
    py7zr = require_7z(str(archive))
    try:
        with py7zr.SevenZipFile(archive) as opened:
            if opened.needs_password():
                raise DatasetError(f"{archive}: is encrypted")
            wanted = _accepted(archive, _7z_members(opened), limit)
            _make_room(archive, target, wanted)
            opened.extract(target, targets=[member.name for member in wanted.values()])
    except (py7zr.exceptions.ArchiveError, lzma.LZMAError, OverflowError, ValueError, TypeError, IndexError) as error:
        raise DamagedArchiveError(
            f"{archive} is damaged or of an unknown kind: {error!r}", hint="fetch it again"
        ) from error
    for relative, member in wanted.items():
        path = target / relative
        if path.is_symlink() or not path.is_file() or path.stat().st_size != member.size:
            raise DatasetError(f"{archive}: '{member.name}' did not come out as the file that its header describes")


def _7z_members(opened: Any) -> Iterator[_Member]:
    for info in opened.files:
        kind = "folder" if info.is_directory else "file"
        if info.is_symlink or info.is_junction:
            kind = "link"
        elif info.is_socket:
            kind = "device"
        yield _Member(info.filename, info.uncompressed or 0, kind, None)


def _starts_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(start)) == start


def _accepted(archive: Path, members: Iterable[_Member], limit: int) -> dict[str, _Member]:
    """The files to unpack by their path below the target, once all names and sizes have been checked."""
    wanted: dict[str, _Member] = {}
    claimed = 0
    for number, member in enumerate(members):
        if number >= MAX_MEMBERS:
            raise DatasetError(f"{archive}: more than {MAX_MEMBERS} members")
        relative = _inside(archive, member)
        if relative is None or _leftover(relative):
            continue
        if member.kind not in ("file", "folder"):
            raise DatasetError(f"{archive}: '{member.name}' is a {member.kind}; only files and folders are unpacked")
        if member.kind == "folder":
            continue
        if relative in wanted:
            raise DatasetError(f"{archive}: '{member.name}' is in it twice")
        wanted[relative] = member
        claimed += member.size
        if claimed > limit:  # while listing: to list a compressed tar is to unpack it
            raise DatasetError(f"{archive}: would unpack to more than {limit} bytes, at '{member.name}'")
    return wanted


def _make_room(archive: Path, target: Path, wanted: dict[str, _Member]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    claimed = sum(member.size for member in wanted.values())
    if claimed > shutil.disk_usage(target).free:
        raise DatasetError(f"{archive}: unpacks to {claimed / 1e6:.0f} MB, more than is free in {target}")


def _extract(
    archive: Path, members: Iterable[_Member], target: Path, limit: int, opened: zipfile.ZipFile | tarfile.TarFile
) -> None:
    wanted = _accepted(archive, members, limit)
    _make_room(archive, target, wanted)
    written = 0
    for relative, member in wanted.items():
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        with _reader(opened, member) as source, path.open("xb") as sink:
            while block := source.read(BLOCK):
                written += len(block)
                if written > limit:  # headers lie
                    raise DatasetError(f"{archive}: unpacks to more than {limit} bytes at '{member.name}'")
                sink.write(block)


def _reader(opened: zipfile.ZipFile | tarfile.TarFile, member: _Member) -> IO[bytes]:
    if isinstance(opened, zipfile.ZipFile):
        assert isinstance(member.source, zipfile.ZipInfo)
        return opened.open(member.source)
    assert isinstance(member.source, tarfile.TarInfo)
    stream = opened.extractfile(member.source)
    assert stream is not None  # regular files have content
    return stream


def _inside(archive: Path, member: _Member) -> str | None:
    """The member's path below the target; None for the target itself, which many tar archives list."""
    path = PurePosixPath(member.name)
    parts = path.parts
    if not parts:
        return None
    hostile = path.is_absolute() or ".." in parts or "\\" in member.name or "\0" in member.name
    if hostile or parts[0][1:2] == ":":
        raise DatasetError(f"{archive}: '{member.name}' leads outside the folder it is unpacked to")
    return str(path)


def _leftover(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and (parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._"))
