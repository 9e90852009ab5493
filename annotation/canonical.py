"""Canonical copies: one upright sRGB picture without metadata for each image, named by the SHA-256 of its bytes.

Points are pixels of this copy, and annotators, key-point generators and depth models all see the same one. A browser
applies the EXIF orientation whether or not it is asked to, a decoder often does not: so it is applied here, once, and
the tag is gone. JPEG stays JPEG, at quality 95 without chroma subsampling, because a photograph that was lossy before
gains nothing from a file many times as large. Everything else becomes PNG, so that no second loss is added.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from annotation.atomic import write_file
from dabench.errors import ImageError

READ = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""Kinds of files that are decoded; the name of the file does not matter."""
ORIENTATION = 0x0112
JPEG_QUALITY = 95
SRGB_NAMES = ("sRGB", "IEC 61966-2-1")


@dataclass(frozen=True)
class Limits:
    """What a picture may be, checked in its header before a pixel is decoded.

    Attributes:
        file_bytes: size of the file.
        pixels: width times height.
        side: pixels of the longer side.
        short_side: pixels of the shorter side, at least.
        aspect: longer side over shorter side.
        profile_bytes: size of the colour profile.
    """

    file_bytes: int = 256 * 2**20
    pixels: int = 100_000_000
    side: int = 30_000
    short_side: int = 32
    aspect: float = 20.0
    profile_bytes: int = 4 * 2**20


@dataclass(frozen=True)
class Canonical:
    """A canonical copy that lies in a folder.

    Attributes:
        sha256: of the canonical file's bytes.
        file: its name, ``<sha256>.jpg`` or ``<sha256>.png``.
        width, height: in pixels, upright.
        original_sha256: of the bytes it was made from.
        orientation: EXIF orientation of the original, 1 to 8, which has been applied.
        notes: what was changed beyond that, for instance a colour profile that was converted.
    """

    sha256: str
    file: str
    width: int
    height: int
    original_sha256: str
    orientation: int
    notes: tuple[str, ...] = ()


def read_original(path: Path, limits: Limits = Limits()) -> bytes:
    """The bytes of an image file. Raises ImageError when it is missing, no file, empty or larger than the limit."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.file_bytes + 1)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: is a folder, not an image") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    if not data:
        raise ImageError(f"{path}: is empty")
    if len(data) > limits.file_bytes:
        raise ImageError(f"{path}: is larger than {limits.file_bytes // 2**20} MiB, the limit")
    return data


def write_canonical(data: bytes, name: Path | str, folder: Path, limits: Limits = Limits()) -> Canonical:
    """Make the canonical copy of an image and put it into ``folder``.

    The same bytes give the same file; a file that is there is kept. It appears whole or not at all.

    Args:
        data: the bytes of the original file.
        name: how messages call it.
        folder: where copies lie; made when absent.
        limits: what is refused.

    Raises:
        StudyFullError: the copy cannot be written.
        ImageError: not an image, too large or too thin, animated, of a kind without a defined look in sRGB, or damaged.
    """
    header = _open(data, name)
    _check_header(header, name, limits)
    orientation = _orientation(header)
    picture, notes = _upright_rgb(header, name)
    jpeg = header.format in ("JPEG", "MPO")
    stream = io.BytesIO()
    if jpeg:
        picture.save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    else:
        picture.save(stream, "PNG")
    copy = stream.getvalue()
    digest = hashlib.sha256(copy).hexdigest()
    file = f"{digest}.{'jpg' if jpeg else 'png'}"
    _put(folder / file, copy)
    original = hashlib.sha256(data).hexdigest()
    return Canonical(digest, file, picture.width, picture.height, original, orientation, notes)


def _open(data: bytes, name: Path | str) -> PillowImage.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs and odd metadata: our own limits follow
            return PillowImage.open(io.BytesIO(data), formats=READ)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not an image of a kind that is read here", hint=f"kinds: {', '.join(READ)}"
        ) from error
    except PillowImage.DecompressionBombError as error:
        raise ImageError(f"{name}: has more pixels than any photograph: {error}") from error
    except (OSError, ValueError, SyntaxError, OverflowError, MemoryError) as error:
        raise ImageError(f"{name}: its header cannot be read: {error}") from error


def _check_header(image: PillowImage.Image, name: Path | str, limits: Limits) -> None:
    long, short = max(image.size), min(image.size)
    size = f"{image.width}x{image.height} pixels"
    if image.width * image.height > limits.pixels:
        raise ImageError(f"{name}: {size}; the limit is {limits.pixels / 1e6:g} megapixels")
    if long > limits.side:
        raise ImageError(f"{name}: {size}; the longer side may have {limits.side}")
    if short < limits.short_side:
        raise ImageError(f"{name}: {size}; the shorter side needs {limits.short_side}")
    if long > limits.aspect * short:
        raise ImageError(f"{name}: {size}; the longer side may be {limits.aspect:g} times the shorter")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # an MPO's others are previews or the other eye
        raise ImageError(f"{name}: holds several frames", hint="save the one that is meant as a picture of its own")
    profile = image.info.get("icc_profile") or b""
    if len(profile) > limits.profile_bytes:
        raise ImageError(f"{name}: its colour profile has {len(profile)} bytes, more than {limits.profile_bytes}")


def _orientation(image: PillowImage.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright_rgb(image: PillowImage.Image, name: Path | str) -> tuple[PillowImage.Image, tuple[str, ...]]:
    profile = image.info.get("icc_profile") or b""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            # Damaged EXIF leaves the pixels as they are. A TIFF is upright after load, and its tag is gone.
            with contextlib.suppress(OSError, SyntaxError, ValueError, TypeError, KeyError):
                image = ImageOps.exif_transpose(image)
            picture, notes = _rgb(image, name, profile)
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, TypeError) as error:
        raise ImageError(f"{name}: damaged or truncated: {error}") from error
    except MemoryError as error:
        raise ImageError(f"{name}: does not fit into memory") from error
    bare = PillowImage.frombytes("RGB", picture.size, picture.tobytes())  # without anything but pixels
    return bare, tuple(notes)


def _rgb(image: PillowImage.Image, name: Path | str, profile: bytes) -> tuple[PillowImage.Image, list[str]]:
    notes: list[str] = []
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"{name}: holds values from {values.min()} to {values.max()}, not a photograph's")
        image = PillowImage.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8))
        notes.append("16 bits: the upper 8 were kept")
    if image.mode in ("P", "PA", "LA", "RGBA") or (image.mode in ("1", "L", "RGB") and "transparency" in image.info):
        layered = image.convert("RGBA")
        alpha = layered.getchannel("A")
        opaque = layered.convert("RGB")
        if alpha.getextrema() != (255, 255):
            opaque = PillowImage.composite(opaque, PillowImage.new("RGB", layered.size, "white"), alpha)
            notes.append("transparency was laid on white")
    elif image.mode in ("1", "L", "RGB", "CMYK", "YCbCr", "RGBX"):
        opaque = image
    else:
        raise ImageError(
            f"{name}: of mode {image.mode}, which has no defined look here", hint="save it as an 8-bit sRGB picture"
        )
    if profile:
        converted = _to_srgb(opaque, profile, notes)
        if converted is not None:
            return converted, notes
    if opaque.mode == "CMYK":
        notes.append("CMYK without a usable profile: converted by the plain formula")
    return opaque.convert("RGB"), notes


def _to_srgb(image: PillowImage.Image, data: bytes, notes: list[str]) -> PillowImage.Image | None:
    """The picture in sRGB, or None when the profile says nothing new or cannot be used."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        description = ImageCms.getProfileDescription(profile).strip()
        space = profile.profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError, TypeError, ValueError):
        notes.append("its colour profile is damaged and was left out")
        return None
    if space == "RGB" and any(word in description for word in SRGB_NAMES):
        return None
    expected = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space)
    source = image.convert("L") if expected == "L" and image.mode == "1" else image
    if expected == "RGB" and image.mode not in ("RGB", "CMYK"):
        source = image.convert("RGB")
    if source.mode != expected:
        notes.append(f"its colour profile ({description}) is for {space}, not for these pixels, and was left out")
        return None
    try:
        converted = ImageCms.profileToProfile(
            source, profile, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, ValueError, OSError):
        notes.append(f"its colour profile ({description}) cannot be used and was left out")
        return None
    notes.append(f"converted from {description} to sRGB")
    return converted


def _put(path: Path, data: bytes) -> None:
    if path.is_file() and path.stat().st_size == len(data):
        return
    write_file(path, data)
