"""Unlabelled images in folders or in tar shards, read at random without unpacking.

A shard is a few thousand images under one name. A tar file is a shard (WebDataset layout: members of one sample share
the name up to the first dot of the base name, https://github.com/webdataset/webdataset, README "The WebDataset
Format"); a folder tree is divided into virtual shards of its sorted files. Tar members are found through an index of
offsets, made once by reading the headers.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tarfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from dabench.errors import DatasetError, ImageError

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
MAX_PIXELS = 178_000_000  # just below where Pillow itself refuses
MAX_TRAILER = 1 << 20
SHARD_SIZE = 1000
"""Images in a virtual shard of a folder."""

_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]*)")


class TarIndex(msgspec.Struct, frozen=True):
    """Where the regular members of a tar file lie: names, byte offsets of the contents, and sizes, in file order.

    `size` and `mtime_ns` are those of the file that was indexed.
    """

    path: str
    size: int
    mtime_ns: int
    names: tuple[str, ...]
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    def read(self, position: int) -> bytes:
        """Content of one member. Raises DatasetError when the file has changed since it was indexed."""
        offset, size = self.offsets[position], self.sizes[position]
        try:
            with Path(self.path).open("rb") as stream:
                status = os.fstat(stream.fileno())
                stream.seek(offset)
                content = stream.read(size)
        except OSError as error:
            raise DatasetError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        if len(content) != size or (status.st_size, status.st_mtime_ns) != (self.size, self.mtime_ns):
            raise DatasetError(
                f"{self.path}: has changed since it was indexed",
                hint="finish writing shards before they are read, and start again",
            )
        return content


def index_tar(path: Path, cache: Path | None = None) -> TarIndex:
    """The index of a plain tar file, from `cache` (a folder) where it is there, else read and kept there.

    Raises:
        DatasetError: absent, compressed, truncated, or with members that are links, sparse, special or badly named.
    """
    path = path.absolute()
    try:
        status = path.stat()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error
    kept: Path | None = None
    if cache is not None:
        identity = f"{path}\n{status.st_size}\n{status.st_mtime_ns}"
        kept = cache / f"{hashlib.sha256(identity.encode(errors='surrogateescape')).hexdigest()[:32]}.json"
        try:
            index = msgspec.json.decode(kept.read_bytes(), type=TarIndex)
            if (index.path, index.size, index.mtime_ns) == (str(path), status.st_size, status.st_mtime_ns):
                return index
        except (OSError, msgspec.DecodeError):
            pass
    index = _read_headers(path, status)
    if kept is not None:
        _keep(kept, msgspec.json.encode(index))
    return index


def _keep(path: Path, content: bytes) -> None:
    """Write a cache file whole or not at all; a folder that cannot be written to is no error."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _read_headers(path: Path, status: os.stat_result) -> TarIndex:
    names, offsets, sizes = [], [], []
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                _check_member(path, member)
                names.append(member.name)
                offsets.append(member.offset_data)
                sizes.append(member.size)
                archive.members = []  # type: ignore[attr-defined]  # iteration would keep every header
            end = archive.offset  # type: ignore[attr-defined]
        _check_end(path, end)
    except tarfile.ReadError as error:
        raise _damaged(path, str(error)) from error
    except (OSError, ValueError, tarfile.TarError) as error:
        raise DatasetError(f"{path}: cannot be read as a tar file: {error}") from error
    return TarIndex(str(path), status.st_size, status.st_mtime_ns, tuple(names), tuple(offsets), tuple(sizes))


def _check_member(path: Path, member: tarfile.TarInfo) -> None:
    name = member.name
    if member.issym() or member.islnk():
        what = "is a link"
    elif member.issparse():
        what = "is sparse"
    elif not member.isreg():
        what = "is neither a file nor a folder"
    elif name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or not name.isprintable():
        what = "has a name that is no plain relative path"
    else:
        return
    raise DatasetError(f"{path}: member {name!r} {what}", hint="write shards of plain files with plain names")


def _check_end(path: Path, end: int) -> None:
    """A tar file ends in blocks of zeros. tarfile takes a missing or damaged rest for the end, which loses members."""
    with path.open("rb") as stream:
        stream.seek(end)
        rest = stream.read(MAX_TRAILER)
        if len(rest) < tarfile.BLOCKSIZE or rest[: tarfile.BLOCKSIZE].count(0) != tarfile.BLOCKSIZE:
            raise _damaged(path, f"no end-of-archive mark at byte {end}")
        if rest.count(0) != len(rest):
            raise DatasetError(
                f"{path}: data after the end of the archive, at byte {end}",
                hint="several tar files written behind each other are not one; keep them apart",
            )


def _damaged(path: Path, why: str) -> DatasetError:
    return DatasetError(f"{path}: truncated, damaged, or not a plain tar file ({why})", hint="fetch or write it again")


def key_and_extension(name: str) -> tuple[str, str] | None:
    """("folder/image", "seg.png") of "folder/image.seg.png"; None for names without a dot, hidden and `._*` files."""
    match = _KEY.fullmatch(name.removeprefix("./"))
    return (match[1], match[2].lower()) if match else None


def keys_digest(keys: Iterable[str]) -> str:
    """SHA-256 of keys in their order."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


class ImageShard(ABC):
    """Images under one name, in a fixed order. Picklable."""

    name: str

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """Keys of the images, in order, all different."""

    @abstractmethod
    def read(self, position: int) -> bytes:
        """The encoded image."""

    @abstractmethod
    def locate(self, position: int) -> str:
        """Where the image lies, for messages."""

    def image(self, position: int) -> npt.NDArray[np.uint8]:
        """The decoded image, ``uint8 [H, W, 3]`` RGB. Raises ImageError."""
        return decode_image(self.read(position), self.locate(position))


class TarShard(ImageShard):
    """A tar file. Its index is read on first use.

    Args:
        path: the file; its name without `.tar` is the shard's.
        cache: folder for the index.
    """

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path, self.cache = path, cache
        self.name = path.name.removesuffix(".tar")
        self._content: tuple[TarIndex, tuple[str, ...], tuple[int, ...]] | None = None

    def _open(self) -> tuple[TarIndex, tuple[str, ...], tuple[int, ...]]:
        if self._content is None:
            index = index_tar(self.path, self.cache)
            found: dict[str, int] = {}
            for position, name in enumerate(index.names):
                parts = key_and_extension(name)
                if parts is None or parts[1] not in IMAGE_SUFFIXES:
                    continue
                if parts[0] in found:
                    raise DatasetError(
                        f"{self.path}: two images have the key '{parts[0]}': {index.names[found[parts[0]]]} and {name}",
                        hint="the key is the name up to the first dot",
                    )
                found[parts[0]] = position
            if not found:
                raise DatasetError(f"{self.path}: holds no image", hint=f"looked for {', '.join(IMAGE_SUFFIXES)}")
            self._content = index, tuple(found), tuple(found.values())
        return self._content

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_content": None}

    @property
    def keys(self) -> tuple[str, ...]:
        return self._open()[1]

    def read(self, position: int) -> bytes:
        index, _, members = self._open()
        return index.read(members[position])

    def locate(self, position: int) -> str:
        index, _, members = self._open()
        return f"{self.path}: {index.names[members[position]]}"


class FolderShard(ImageShard):
    """Some files of a folder tree.

    Args:
        root: the folder.
        name: name of the shard.
        files: paths relative to `root`, with `/`.
    """

    def __init__(self, root: Path, name: str, files: Sequence[str]) -> None:
        self.root, self.name, self.files = root, name, tuple(files)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(map(file_key, self.files))

    def read(self, position: int) -> bytes:
        path = self.root / self.files[position]
        try:
            return path.read_bytes()
        except OSError as error:
            raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error

    def locate(self, position: int) -> str:
        return str(self.root / self.files[position])


def file_key(file: str) -> str:
    """Path without its extension. Dots left in the base name are written `%2E`, as a key ends at the first dot."""
    folder, slash, name = file.rpartition("/")
    stem = name.rpartition(".")[0]
    return folder + slash + stem.replace("%", "%25").replace(".", "%2E")


def find_shards(images: Sequence[Path], *, shard_size: int = SHARD_SIZE, cache: Path | None = None) -> list[ImageShard]:
    """All shards of some tar files and folders, in order.

    A folder holds images (at any depth), or tar files (directly). Hidden files and `._*` files are passed over.

    Args:
        images: tar files and folders.
        shard_size: images in a virtual shard of a folder.
        cache: folder for the indices of tar files.

    Raises:
        DatasetError: something is absent or empty, or two shards or two images share a name.
    """
    shards: list[ImageShard] = []
    for path in images:
        if path.is_dir():
            shards += _folder_shards(path, shard_size, cache)
        elif path.is_file() and path.name.endswith(".tar"):
            shards.append(TarShard(path, cache))
        else:
            what = "is neither a folder nor a .tar file" if path.exists() else "does not exist"
            raise DatasetError(f"{path} {what}", hint="give folders of images, or plain .tar shards")
    seen: dict[str, ImageShard] = {}
    for shard in shards:
        if shard.name in seen:
            raise DatasetError(
                f"two shards are called '{shard.name}'", hint="label them by separate calls, each into its own folder"
            )
        seen[shard.name] = shard
    return shards


def describe_images(shards: Sequence[ImageShard]) -> dict[str, Any] | None:
    """What the virtual shards of folders depend on, for `run.json`; None for tar files, which stand for themselves."""
    folders = [shard for shard in shards if isinstance(shard, FolderShard)]
    if not folders:
        return None
    names = (f"{shard.name}\n{keys_digest(shard.keys)}" for shard in folders)
    return {
        "shard_size": max(len(shard.files) for shard in folders),
        "count": sum(len(shard.files) for shard in folders),
        "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
    }


def _folder_shards(root: Path, shard_size: int, cache: Path | None) -> list[ImageShard]:
    archives = sorted(p for p in root.iterdir() if p.name.endswith(".tar") and not p.name.startswith("."))
    files = _image_files(root)
    if files and archives:
        raise DatasetError(
            f"{root} holds both images and tar files ({files[0]}, {archives[0].name})",
            hint="keep them in separate folders, or name the tar files one by one",
        )
    if archives:
        return [TarShard(path, cache) for path in archives]
    if not files:
        raise DatasetError(f"{root} holds no image and no tar file", hint=f"looked for {', '.join(IMAGE_SUFFIXES)}")
    name = root.resolve().name or "images"
    return [
        FolderShard(root, f"{name}-{number:06d}", files[start : start + shard_size])
        for number, start in enumerate(range(0, len(files), shard_size))
    ]


def _image_files(root: Path) -> list[str]:
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if relative == "." else f"{relative}/"
        files += [
            prefix + name
            for name in names
            if not name.startswith(".") and name.rpartition(".")[2].lower() in IMAGE_SUFFIXES
        ]
    files.sort()
    keys: dict[str, str] = {}
    for file in files:
        if not file.isprintable():  # also names that are not UTF-8, which come with lone surrogates
            raise DatasetError(f"{root}: {file!r} has a name that is no plain text", hint="rename it")
        other = keys.setdefault(file_key(file), file)
        if other != file:
            raise DatasetError(
                f"{root}: {other} and {file} differ in their extensions only", hint="keep one of them, or rename one"
            )
    return files


def decode_image(content: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Encoded image -> ``uint8 [H, W, 3]`` RGB: EXIF orientation applied, alpha dropped, grey repeated.

    Raises:
        ImageError: truncated, corrupt or not an image; the message starts with `name`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
        with picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ImageError(f"{name}: {picture.width}x{picture.height} pixels; the limit is {MAX_PIXELS}")
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                grey = (np.asarray(upright) >> 8).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            if upright.mode.startswith(("I", "F")):
                raise ImageError(f"{name}: holds values of mode {upright.mode}, which is no photograph")
            return np.array(upright.convert("RGB"), dtype=np.uint8)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image, or of a kind that Pillow does not read") from error
    except (OSError, SyntaxError, ValueError, IndexError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: damaged or truncated: {error}") from error
