"""Reading one file, or the names in one folder; every failure names the file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dabench.errors import DatasetError, ModelError, SampleError, UsageError

from ....predictions import read_map
from ..shards import decode_image

Array = npt.NDArray[Any]


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones; none where there is no such folder."""
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir())


def files_in(folder: Path) -> list[str]:
    """Names of the files in a folder, sorted, without hidden ones such as the `._*` of macOS."""
    return sorted(entry.name for entry in _entries(folder) if entry.is_file())


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed: {error.strerror or error}") from error


def read_bytes(path: Path) -> bytes:
    """Content of a file. Raises SampleError."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such file") from error
    except OSError as error:
        raise SampleError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """`uint8 [H, W, 3]` RGB; alpha is dropped, grey is repeated. Raises SampleError."""
    return decode_image(read_bytes(path), str(path))


def read_values(path: Path) -> npt.NDArray[np.float32]:
    """A map `float32 [H, W]` of an .npy, .pfm or .exr file. Raises SampleError."""
    try:
        return read_map(path)
    except ModelError as error:
        raise SampleError(error.message) from error


def read_png16(path: Path) -> npt.NDArray[np.uint16]:
    """The only channel `[H, W]` of a 16-bit PNG. Raises SampleError, for 8 bits as well."""
    content = read_bytes(path)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            picture.load()  # unlike OpenCV, Pillow raises on every truncated file
            mode, values = picture.mode, np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SampleError(f"{path}: is not a readable PNG: {error}") from error
    if not mode.startswith("I"):
        raise SampleError(f"{path}: is of mode {mode}; depth is kept in one channel of 16 bits")
    return values.astype(np.uint16)


def read_hdf5(path: Path, key: str = "dataset") -> Array:
    """The array `key` of an HDF5 file. Raises SampleError."""
    import h5py

    if not path.is_file():
        raise SampleError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            if key not in file:
                raise SampleError(f"{path}: holds no '{key}', only {', '.join(file) or 'nothing'}")
            return np.asarray(file[key][()])
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise SampleError(f"{path}: is a damaged HDF5 file: {error}") from error


def read_lines(path: Path, needed_for: str) -> list[str]:
    """Lines of a list file without blank ones and comments.

    Raises:
        DatasetError: it is not there, and then `needed_for` is the hint, or it is no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file", hint=needed_for) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as text: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def one_of(option: str, value: Any, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`. Raises UsageError."""
    if value not in choices:
        raise UsageError(f"{option} '{value}' is unknown", hint=f"choose {' or '.join(choices)}")
    return str(value)


def names(option: str, value: Any) -> tuple[str, ...]:
    """A list option as names; a single name counts as a list of one. Raises UsageError."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{option} must be a list of names, got {value!r}")
    return tuple(value)
