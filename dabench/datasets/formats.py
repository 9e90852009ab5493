"""Bytes to arrays: the file formats of images and depth maps."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from dabench.errors import ImageError
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
    with _open(path) as image:
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise ImageError(f"{path}: damaged or truncated: {error}") from error
        if not image.mode.startswith("I"):
            raise ImageError(f"{path}: is of mode {image.mode}, not a single-channel 16-bit depth map")
        raw: npt.NDArray[np.uint16] = np.asarray(image).astype(np.uint16)
    return (raw.astype(np.float64) * metres_per_unit).astype(np.float32), raw > 0
