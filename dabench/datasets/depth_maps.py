"""Depth maps of any common format as plain arrays, for sets that have no layout of their own."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import SampleError

Array = npt.NDArray[Any]

SUFFIXES = (".npy", ".png", ".pfm", ".exr", ".tif", ".tiff", ".hdf5", ".h5")


def read_depth_map(path: Path, *, key: str | None = None) -> Array:
    """Read one map ``[H, W]`` with the values and the type of number that the file has.

    A leading or trailing axis of length one is dropped. Refused, because they cannot be told from a mistake: colour
    pictures, 8-bit PNG, arrays of objects, archives of several arrays (.npz).

    Args:
        path: .npy, .png (16-bit grey), .pfm, .exr, .tif(f) (16-bit or float, one channel), .hdf5 or .h5.
        key: the data set inside an HDF5 file; not needed where there is only one.

    Raises:
        SampleError: not readable, or not one number a pixel; the message names the file.
    """
    readers = {
        ".npy": _read_npy,
        ".png": _read_png,
        ".pfm": _read_pfm,
        ".exr": _read_exr,
        ".tif": _read_tiff,
        ".tiff": _read_tiff,
    }
    suffix = path.suffix.lower()
    try:
        if suffix in (".hdf5", ".h5"):
            values = _read_hdf5(path, key)
        elif suffix in readers:
            values = readers[suffix](path)
        else:
            raise SampleError(f"{path}: is none of {', '.join(SUFFIXES)}", hint=_suffix_hint(suffix))
    except OSError as error:
        raise SampleError(f"{path}: cannot be read: {error.strerror or error}") from error
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or values.size == 0:
        raise SampleError(f"{path}: has shape {list(values.shape)}; a depth map has [height, width]")
    if values.dtype.kind not in "fiu":
        raise SampleError(f"{path}: holds {values.dtype} values, not numbers")
    return values


def _suffix_hint(suffix: str) -> str | None:
    if suffix == ".npz":
        return "an .npz holds several arrays; save the one map with numpy.save as .npy"
    return None


def _read_npy(path: Path) -> Array:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise SampleError(f"{path}: is damaged or not a plain array: {error}") from error
    if not isinstance(values, np.ndarray):
        raise SampleError(f"{path}: is an .npz archive named .npy", hint=_suffix_hint(".npz"))
    return values


def _read_png(path: Path) -> Array:
    values, mode = _pillow(path, "PNG")
    if mode in ("L", "1"):
        raise SampleError(
            f"{path}: has 8 bits; 256 levels are not depth", hint="depth is stored as 16-bit grey, or as .npy"
        )
    if not mode.startswith("I"):
        raise SampleError(f"{path}: is a colour picture (mode {mode}), not a depth map")
    return values


def _read_tiff(path: Path) -> Array:
    values, mode = _pillow(path, "TIFF")
    if not mode.startswith(("I", "F")):
        raise SampleError(f"{path}: is of mode {mode}; a depth map has one channel of 16 or 32 bits")
    return values


def _pillow(path: Path, kind: str) -> tuple[Array, str]:
    """Values and mode. Pillow, unlike OpenCV, raises on every truncated file."""
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(path, formats=[kind]) as image:
            image.load()
            return np.asarray(image), image.mode
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such file") from error
    except (OSError, SyntaxError, ValueError, TypeError, PillowImage.DecompressionBombError) as error:
        raise SampleError(f"{path}: is not a readable {kind} file: {error}") from error


def _read_pfm(path: Path) -> Array:
    """Portable float map: ``Pf``, width and height, scale, then rows from the bottom up; negative scale: little-endian.

    Source: P. Debevec, "PFM: Portable FloatMap Image Format"; Middlebury stereo, ``imageLib``.
    """
    content = path.read_bytes()
    header = re.match(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+([-+.\deE]+)\s", content)
    if header is None:
        raise SampleError(f"{path}: is not a PFM file (no 'Pf', width, height and scale)")
    if header[1] == b"PF":
        raise SampleError(f"{path}: is a PFM of three channels; a depth map has one ('Pf')")
    width, height = int(header[2]), int(header[3])
    try:
        scale = float(header[4])
    except ValueError:
        scale = 0.0
    if scale == 0 or not math.isfinite(scale):
        raise SampleError(f"{path}: PFM scale '{header[4].decode()}' does not tell the byte order")
    body = memoryview(content)[header.end() :]
    if len(body) != 4 * width * height:
        raise SampleError(f"{path}: holds {len(body)} bytes for {width}x{height} values; truncated or not a PFM")
    return np.frombuffer(body, dtype="<f4" if scale < 0 else ">f4").reshape(height, width)[::-1]


def _read_exr(path: Path) -> Array:
    """The only channel, or one of several equal ones (grey saved as RGB)."""
    import OpenEXR

    with path.open("rb") as stream:
        if stream.read(4) != b"\x76\x2f\x31\x01":
            raise SampleError(f"{path}: is not an OpenEXR file")
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:  # the library raises bare RuntimeError and ValueError
        raise SampleError(f"{path}: is a damaged OpenEXR file: {error}") from error
    if not channels:
        raise SampleError(f"{path}: has no channels")
    first, *others = channels.values()
    if any(other.shape != first.shape or not np.array_equal(first, other, equal_nan=True) for other in others):
        raise SampleError(f"{path}: has channels {', '.join(channels)}; a depth map has one")
    return first


def _read_hdf5(path: Path, key: str | None) -> Array:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            names = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
            wanted = key if key is not None else names[0] if len(names) == 1 else None
            if wanted is None or not isinstance(file.get(wanted), h5py.Dataset):
                missing = "has more than one data set" if key is None and names else f"has no data set '{key or ''}'"
                raise SampleError(
                    f"{path}: {missing}; it has {', '.join(names) or 'none'}", hint="name one as key in dataset.toml"
                )
            return np.asarray(file[wanted])
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such file") from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise SampleError(f"{path}: is damaged or not an HDF5 file: {error}") from error
