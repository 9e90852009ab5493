"""Bytes to arrays: the file formats of images and depth maps."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from dabench.errors import ImageError, SampleError
from dabench.types import DepthMap, Image, Mask

EXIF_ORIENTATION = 0x0112
# Beyond this a file is a decompression bomb, not a photograph; ETH3D's largest images have 26 megapixels.
MAX_PIXELS = 178_000_000  # just below where Pillow itself refuses


def _open(path: Path) -> PillowImage.Image:
    try:
        with warnings.catch_warnings():
            # Our own limit below replaces Pillow's warning, which is tuned for web servers.
            warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)
            image = PillowImage.open(path)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: is a folder, not an image") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image, or of a kind that Pillow does not read") from error
    except (OSError, ValueError, PillowImage.DecompressionBombError) as error:
        raise ImageError(f"{path}: cannot be opened: {error}") from error
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{path}: {image.width}x{image.height} pixels; the limit is {MAX_PIXELS}")
    return image


def upright_size(path: Path) -> tuple[int, int]:
    """``(height, width)`` of an image after its EXIF orientation is applied, read from the header only.

    Raises:
        ImageError: not a readable image.
    """
    with _open(path) as image:
        try:
            turned = image.getexif().get(EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
        except Exception:  # damaged EXIF says nothing about the pixels
            turned = False
        return (image.width, image.height) if turned else (image.height, image.width)


def read_image(path: Path) -> Image:
    """Decode an image to ``uint8 [H, W, 3]`` RGB.

    Same pixels as OpenCV's default colour reading, which the field's models use: EXIF orientation is applied, alpha
    is dropped, grey is repeated, 16 bits keep their upper 8, CMYK is converted. Unlike OpenCV, a truncated file is an
    error and never a half-grey picture.

    Raises:
        ImageError: missing, truncated, corrupt or not an image.
    """
    with _open(path) as image:
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(("I", "F")):
                values = np.asarray(upright)
                if upright.mode.startswith("I") and values.min() >= 0 and values.max() <= 65535:
                    grey = (values.astype(np.uint16) >> 8).astype(np.uint8)
                    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))
                raise ImageError(
                    f"{path}: holds {values.dtype} values; a photograph holds whole numbers from 0 to at most 65535",
                    hint="convert it to an 8-bit or 16-bit image",
                )
            return np.ascontiguousarray(np.asarray(upright.convert("RGB"), dtype=np.uint8))
        except ImageError:
            raise
        except (OSError, SyntaxError, ValueError, IndexError) as error:
            raise ImageError(f"{path}: damaged or truncated: {error}") from error


def read_scaled_depth_png(path: Path, metres_per_unit: float) -> tuple[DepthMap, Mask]:
    """Decode a single-channel 16-bit depth PNG in which 0 means no measurement.

    Args:
        path: the file.
        metres_per_unit: depth of the value 1.

    Returns:
        depth ``float32 [H, W]`` in metres and valid ``bool [H, W]``.

    Raises:
        ImageError: missing, damaged, or not single-channel 16-bit.
    """
    raw = _read_uint16(path)
    return (raw.astype(np.float64) * metres_per_unit).astype(np.float32), raw > 0


def read_kitti_depth_png(path: Path) -> tuple[DepthMap, Mask]:
    """Decode a KITTI depth map: ``uint16``, metres times 256, 0 where nothing was measured.

    Source: KITTI depth devkit, ``readme.txt`` and ``matlab/depth_read.m``, which refuse a map without a value above
    255 like this function: it was written with 8 bits, and every depth in it would be below one metre.

    Returns:
        depth ``float32 [H, W]`` in metres and valid ``bool [H, W]``.

    Raises:
        ImageError: missing, damaged, not single-channel 16-bit, or saved with 8 bits.
    """
    raw = _read_uint16(path)
    if raw.max() <= 255:
        raise ImageError(
            f"{path}: its largest value is {raw.max()}, below one metre: the map was saved with 8 bits by mistake",
            hint="unpack the official file again; a KITTI depth map is a 16-bit PNG of metres times 256",
        )
    return raw.astype(np.float32) / np.float32(256), raw > 0  # exact: 16 bits, a power of two


def _read_uint16(path: Path) -> npt.NDArray[np.uint16]:
    with _open(path) as image:
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ImageError(f"{path}: damaged or truncated: {error}") from error
        if not image.mode.startswith("I"):
            raise ImageError(f"{path}: is of mode {image.mode}, not a single-channel 16-bit depth map")
        values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{path}: holds values from {values.min()} to {values.max()}, which are not 16-bit")
    return values.astype(np.uint16)


SINTEL_TAG = 202021.25
"""First four bytes of a Sintel file: the float that reads "PIEH" in ASCII."""


def read_sintel_dpt(path: Path) -> DepthMap:
    """Decode a Sintel ``.dpt`` file.

    Little-endian: float32 tag 202021.25, int32 width, int32 height, then width * height float32, row by row from the
    top. Source: MPI-Sintel depth SDK, ``sdk/python/sintel_io.py`` (``depth_read``).

    Returns:
        depth ``float32 [H, W]`` as stored: metres, where the sky is a very large number.

    Raises:
        SampleError: missing, of another kind, or not as long as its header says.
    """
    content = _read_tagged(path, 12)
    width, height = struct.unpack_from("<ii", content, 4)
    if not (0 < width <= 65535 and 0 < height <= 65535):
        raise SampleError(f"{path}: its header says {width} columns and {height} rows")
    _check_length(path, content, 12 + 4 * width * height, f"a map of {height} x {width}")
    return np.frombuffer(content, "<f4", offset=12).reshape(height, width).astype(np.float32)


def read_sintel_cam(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Decode a Sintel ``.cam`` file.

    Little-endian, 172 bytes: float32 tag 202021.25, 9 float64, 12 float64. Source: MPI-Sintel depth SDK,
    ``sdk/python/sintel_io.py`` (``cam_read``).

    Returns:
        intrinsics ``float64 [3, 3]`` in pixels and extrinsics ``float64 [3, 4]``, which take world to camera.

    Raises:
        SampleError: missing, of another kind, or of another length.
    """
    content = _read_tagged(path, 4)
    _check_length(path, content, 172, "a camera")
    values = np.frombuffer(content, "<f8", offset=4)
    if not np.isfinite(values).all():
        raise SampleError(f"{path}: holds values that are not finite")
    return values[:9].reshape(3, 3).astype(np.float64), values[9:].reshape(3, 4).astype(np.float64)


def _read_tagged(path: Path, header: int) -> bytes:
    content = read_bytes(path)
    if len(content) < header:
        raise SampleError(f"{path}: has {len(content)} bytes, fewer than its header of {header}")
    if content[:4] != struct.pack("<f", SINTEL_TAG):
        swapped = content[:4] == struct.pack(">f", SINTEL_TAG)
        raise SampleError(
            f"{path}: does not begin with the tag {SINTEL_TAG}" + (" in little-endian order" if swapped else ""),
            hint="Sintel's .dpt and .cam files are little-endian and begin with it",
        )
    return content


def _check_length(path: Path, content: bytes, expected: int, what: str) -> None:
    if len(content) != expected:
        raise SampleError(f"{path}: has {len(content)} bytes; {what} has {expected}")


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        SampleError: it is missing, a folder or unreadable.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such file") from error
    except OSError as error:
        raise SampleError(f"{path}: cannot be read: {error.strerror or error}") from error
