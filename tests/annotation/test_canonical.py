"""Canonical copies: upright, sRGB, bare, one for each image; and what is refused."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from annotation_studies import STORED
from PIL import Image as PillowImage
from PIL import ImageCms

from annotation.canonical import Limits, read_original, write_canonical
from dabench.errors import ImageError


def chart(height: int = 40, width: int = 60) -> np.ndarray:
    """A smooth picture without any symmetry."""
    row, col = np.mgrid[:height, :width]
    return np.stack([row * 5, col * 4, (row + col) * 2], axis=-1).astype(np.uint8)


def encoded(image: np.ndarray | PillowImage.Image, kind: str, **options: object) -> bytes:
    picture = PillowImage.fromarray(image) if isinstance(image, np.ndarray) else image
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def pixels(folder: Path, file: str) -> np.ndarray:
    with PillowImage.open(folder / file) as picture:
        assert picture.mode == "RGB"
        return np.asarray(picture)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = chart()
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = encoded(np.ascontiguousarray(STORED[orientation](upright)), kind, exif=exif, **options)
    copy = write_canonical(data, "chart", tmp_path)
    assert (copy.width, copy.height, copy.orientation) == (60, 40, orientation)
    got = pixels(tmp_path, copy.file)
    if kind == "JPEG":
        assert np.abs(got.astype(int) - upright).max() <= 8 and copy.file.endswith(".jpg")
    else:
        np.testing.assert_array_equal(got, upright)
        assert copy.file.endswith(".png")
    with PillowImage.open(tmp_path / copy.file) as picture:
        assert not picture.getexif() and not {"exif", "icc_profile", "xmp", "comment"} & set(picture.info)


def test_the_same_picture_is_one_file_named_by_its_bytes(tmp_path: Path) -> None:
    data = encoded(chart(), "PNG")
    first = write_canonical(data, "one", tmp_path)
    with_text = encoded(chart(), "PNG", exif=b"Exif\0\0" + PillowImage.Exif().tobytes(), compress_level=1)
    assert with_text != data
    second, third = write_canonical(data, "one", tmp_path), write_canonical(with_text, "two", tmp_path)
    assert first == second and third.sha256 == first.sha256 and third.original_sha256 != first.original_sha256
    assert [path.name for path in tmp_path.iterdir()] == [first.file]
    assert hashlib.sha256((tmp_path / first.file).read_bytes()).hexdigest() == first.sha256
    assert hashlib.sha256(data).hexdigest() == first.original_sha256


def test_jpeg_keeps_its_full_chroma(tmp_path: Path) -> None:
    copy = write_canonical(encoded(chart(), "JPEG", quality=95), "photo", tmp_path)
    with PillowImage.open(tmp_path / copy.file) as picture:
        assert picture.format == "JPEG" and {layer[1:3] for layer in picture.layer} == {(1, 1)}


def test_grey_palette_bilevel_and_opaque_alpha_keep_their_look(tmp_path: Path) -> None:
    grey = chart()[:, :, 0]
    for picture, expected in (
        (PillowImage.fromarray(grey), np.repeat(grey[:, :, None], 3, axis=2)),
        (PillowImage.fromarray((grey > 90).astype(np.uint8) * 255).convert("1"), None),
        (PillowImage.fromarray(chart()).quantize(64), None),
        (PillowImage.fromarray(np.dstack([chart(), np.full((40, 60), 255, np.uint8)])), chart()),
    ):
        copy = write_canonical(encoded(picture, "PNG"), "p", tmp_path)
        np.testing.assert_array_equal(
            pixels(tmp_path, copy.file), np.asarray(picture.convert("RGB")) if expected is None else expected
        )
        assert copy.notes == ()


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    grey = (chart()[:, :, 1].astype(np.uint16) << 8) + 255
    copy = write_canonical(encoded(grey, "PNG"), "p", tmp_path)
    np.testing.assert_array_equal(pixels(tmp_path, copy.file)[:, :, 2], chart()[:, :, 1])
    assert "16 bits" in copy.notes[0]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:, :30] = 0
    copy = write_canonical(encoded(np.dstack([chart(), alpha]), "PNG"), "p", tmp_path)
    got = pixels(tmp_path, copy.file)
    assert (got[:, :30] == 255).all() and (got[:, 30:] == chart()[:, 30:]).all() and "white" in copy.notes[0]
    keyed = write_canonical(encoded(np.zeros((40, 60), np.uint8), "PNG", transparency=0), "p", tmp_path)
    assert (pixels(tmp_path, keyed.file) == 255).all()


def test_a_colour_profile_is_converted_and_srgb_is_left_alone(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = write_canonical(encoded(chart(), "PNG", icc_profile=srgb), "p", tmp_path)
    np.testing.assert_array_equal(pixels(tmp_path, same.file), chart())
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    foreign = write_canonical(encoded(chart(), "PNG", icc_profile=lab), "p", tmp_path)
    np.testing.assert_array_equal(pixels(tmp_path, foreign.file), chart())
    assert "is for Lab" in foreign.notes[0]
    broken = write_canonical(encoded(chart(), "PNG", icc_profile=b"nonsense"), "p", tmp_path)
    assert "damaged" in broken.notes[0]


def swapped_srgb() -> bytes:
    """An sRGB profile whose red and green primaries have changed places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    text = "sRGB built-in".encode("utf-16-be")
    assert text in data
    data = bytearray(bytes(data).replace(text, "swap built-in".encode("utf-16-be")))
    at = {}
    for i in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12):
        at[bytes(data[i : i + 4])] = i
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = data[green + 4 : green + 12], data[red + 4 : red + 12]
    return bytes(data)


def test_a_profile_changes_the_pixels_as_it_says(tmp_path: Path) -> None:
    """Pixels in a space with red and green exchanged come out with red and green exchanged."""
    copy = write_canonical(encoded(chart(), "PNG", icc_profile=swapped_srgb()), "p", tmp_path)
    assert "converted from" in copy.notes[0]
    got = pixels(tmp_path, copy.file).astype(int)
    assert np.abs(got - chart()[:, :, [1, 0, 2]]).max() <= 3


def test_cmyk_is_converted(tmp_path: Path) -> None:
    cmyk = PillowImage.new("CMYK", (60, 40), (0, 255, 255, 0))
    copy = write_canonical(encoded(cmyk, "JPEG", quality=100), "p", tmp_path)
    red, green, blue = pixels(tmp_path, copy.file)[20, 30]
    assert red > 240 and green < 15 and blue < 15 and "CMYK" in copy.notes[0]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_are_refused(tmp_path: Path, kind: str) -> None:
    frames = [PillowImage.fromarray(np.roll(chart(), k * 9, axis=1)) for k in range(3)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=r"moving: holds several frames"):
        write_canonical(data, "moving", tmp_path)
    single = encoded(PillowImage.fromarray(chart()), kind)
    assert write_canonical(single, "still", tmp_path).width == 60


def header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "says"),
    [
        (10_001, 10_000, "100 megapixels"),
        (60_000, 60_000, "more pixels than any photograph"),
        (2**31 - 1, 2**31 - 1, "huge"),
        (30_001, 2_000, "longer side may have 30000"),
        (2_000, 5, "shorter side needs 32"),
        (1, 1, "shorter side needs 32"),
        (2_000, 64, "20 times the shorter"),
    ],
)
def test_bombs_and_odd_shapes_are_refused_from_the_header(tmp_path: Path, width: int, height: int, says: str) -> None:
    with pytest.raises(ImageError, match=f"huge.*{says}|{says}"):
        write_canonical(header_only(width, height), "huge", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_truncated_files_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(noise, kind)
    for share in (0.02, 0.5, 0.9):
        with pytest.raises(ImageError, match=r"cut\.x: "):
            write_canonical(data[: int(len(data) * share)], "cut.x", tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    for data in (
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"BM" + b"\0" * 60,
    ):
        with pytest.raises(ImageError, match="odd: "):
            write_canonical(data, "odd", tmp_path)
    with pytest.raises(ImageError, match="mode F"):
        write_canonical(encoded(np.zeros((40, 40), np.float32), "TIFF"), "float", tmp_path)
    with pytest.raises(ImageError, match="colour profile has"):
        write_canonical(encoded(chart(), "PNG", icc_profile=b"x" * 5000), "p", tmp_path, Limits(profile_bytes=4000))


def test_files_are_read_within_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encoded(chart(), "PNG"))
    assert read_original(file) == file.read_bytes()
    with pytest.raises(ImageError, match="larger than"):
        read_original(file, Limits(file_bytes=10))
    with pytest.raises(ImageError, match="no such file"):
        read_original(tmp_path / "b.png")
    with pytest.raises(ImageError, match="is a folder"):
        read_original(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png: is empty"):
        read_original(tmp_path / "empty.png")


def test_damaged_exif_says_nothing_about_the_pixels(tmp_path: Path) -> None:
    data = encoded(chart(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert write_canonical(data, "odd", tmp_path).orientation == 1
