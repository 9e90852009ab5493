"""Image decoding against OpenCV, which the field's models were trained and scored with; and what cannot be decoded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dabench.datasets.formats import EXIF_ORIENTATION, read_image, read_scaled_depth_png, upright_size
from dabench.errors import ImageError, SampleError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (18, 26, 3), dtype=np.uint8)
SMOOTH = np.ascontiguousarray(cv2.resize(RGB, (90, 60), interpolation=cv2.INTER_LINEAR))
WIDE = RNG.integers(0, 65536, (18, 26, 4), dtype=np.uint16)


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = value
    return exif


def write(path: Path) -> None:
    """One file of every kind, by its name."""
    kind = path.name
    if kind == "rgb16.png":
        cv2.imwrite(str(path), WIDE[..., :3])
    elif kind == "rgba16.png":
        cv2.imwrite(str(path), WIDE)
    elif kind.startswith("grey16"):
        exif = {"exif": oriented(6)} if "turned" in kind else {}
        Image.fromarray(WIDE[..., 0]).save(path, **exif)
    elif kind.startswith("grey8"):
        Image.fromarray(RGB[..., 0]).save(path)
    elif kind == "bilevel.png":
        Image.fromarray(RGB[..., 0] > 128).save(path)
    elif kind == "la.png":
        Image.fromarray(RGB[..., :2], "LA").save(path)
    elif kind == "rgba.png":
        Image.fromarray(np.dstack([RGB, RGB[..., 0]])).save(path)
    elif kind == "palette.png":
        Image.fromarray(RGB).quantize(16).save(path)
    elif kind == "palette_alpha.png":
        Image.fromarray(RGB).quantize(16).save(path, transparency=3)
    elif kind.startswith("exif"):
        Image.fromarray(SMOOTH).save(path, exif=oriented(int(kind[4])))
    elif kind == "progressive.jpg":
        Image.fromarray(SMOOTH).save(path, progressive=True)
    elif kind == "one_pixel.png":
        Image.fromarray(RGB[:1, :1]).save(path)
    elif kind == "tall.png":
        Image.fromarray(np.resize(RGB, (10000, 20, 3))).save(path)
    elif kind == "wide.jpg":
        Image.fromarray(np.resize(RGB, (20, 10000, 3))).save(path)
    else:
        Image.fromarray(SMOOTH).save(path)


KINDS = [
    "rgb16.png", "rgba16.png", "grey16.png", "grey16.tif", "grey16_turned.png", "grey8.png", "grey8.jpg", "bilevel.png",
    "la.png", "rgba.png", "palette.png", "palette_alpha.png", *[f"exif{i}.jpg" for i in range(1, 9)], "exif6.png",
    "progressive.jpg", "photo.jpg", "photo.png", "photo.bmp", "photo.webp", "one_pixel.png", "tall.png", "wide.jpg",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_opencv(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    write(path)
    found = read_image(path)
    expected = cv2.imread(str(path))
    assert expected is not None and found.dtype == np.uint8 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected[..., ::-1])
    assert upright_size(path) == found.shape[:2]


def test_cmyk_differs_from_opencv_by_rounding_only(tmp_path: Path) -> None:
    path = tmp_path / "cmyk.jpg"
    Image.fromarray(SMOOTH).convert("CMYK").save(path)
    difference = np.abs(read_image(path).astype(int) - cv2.imread(str(path))[..., ::-1])
    assert difference.max() <= 1


def test_photographs_are_read_as_opencv_reads_them(shared_data: Path) -> None:
    photos = sorted((shared_data / "photos").glob("*.jpg"))[:4]
    photos += sorted((shared_data / "nyu60" / "images").rglob("*.jpg"))[:4]
    assert len(photos) == 8
    for path in photos:
        np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[..., ::-1], err_msg=path.name)


@pytest.mark.parametrize(
    "kind", ["photo.jpg", "progressive.jpg", "rgb16.png", "palette.png", "photo.webp", "photo.bmp"]
)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path, kind: str, share: float) -> None:
    whole, path = tmp_path / kind, tmp_path / f"cut-{kind}"
    write(whole)
    content = whole.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert path.name in str(caught.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["photo.jpg", "rgb16.png", "palette.png", "grey16.png", "exif6.jpg"]),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_file_is_an_image_or_an_image_error(
    tmp_path: Path, kind: str, edits: list[tuple[float, int]]
) -> None:
    path = tmp_path / kind
    write(path)
    content = bytearray(path.read_bytes())
    for where, value in edits:
        content[int(where * min(len(content), 400))] = value
    path.write_bytes(content)
    for read in (read_image, upright_size):
        try:
            read(path)
        except ImageError as error:
            assert kind in str(error)


def test_what_is_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    for name, told in {
        "empty.jpg": "not an image",
        "folder.jpg": "is a folder",
        "text.jpg": "not an image",
        "link.jpg": "no such file",
        "gone.jpg": "no such file",
        "text.jpg/inside.jpg": "cannot be opened",
        "float.tif": "photograph",
    }.items():
        with pytest.raises(ImageError, match=told) as caught:
            read_image(tmp_path / name)
        assert name in str(caught.value) and isinstance(caught.value, SampleError)


def test_a_header_that_promises_too_much_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    write(path.with_name("photo.png"))
    content = bytearray(path.with_name("photo.png").read_bytes())
    content[16:24] = struct.pack(">II", 60000, 60000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(ImageError, match="limit"):
        read_image(path)


def test_damaged_exif_does_not_lose_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(SMOOTH).save(path, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff")
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[..., ::-1])
    assert upright_size(path) == SMOOTH.shape[:2]


def test_depth_png_round_trip_and_refusals(tmp_path: Path) -> None:
    raw = np.array([[0, 1, 2], [1000, 32768, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), raw)
    depth, valid = read_scaled_depth_png(tmp_path / "d.png", 0.001)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, (raw * 0.001).astype(np.float32))
    np.testing.assert_array_equal(valid, raw > 0)
    Image.fromarray(RGB).save(tmp_path / "rgb.png")
    Image.fromarray(RGB[..., 0]).save(tmp_path / "g8.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "d.png").read_bytes()[:50])
    for value, name in ((70000, "big.tif"), (-1, "negative.tif")):
        Image.fromarray(np.full((2, 3), value, np.int32)).save(tmp_path / name)
        with pytest.raises(ImageError, match=rf"{name}: holds values from {value}"):
            read_scaled_depth_png(tmp_path / name, 0.001)
    for name, told in {"rgb.png": "mode RGB", "g8.png": "mode L", "cut.png": "cut.png", "gone.png": "no such"}.items():
        with pytest.raises(ImageError, match=told):
            read_scaled_depth_png(tmp_path / name, 0.001)


def test_depth_of_a_real_map(shared_data: Path) -> None:
    depth, valid = read_scaled_depth_png(shared_data / "nyu_raw" / "00000_raw.png", 1 / 10000)
    assert valid.mean() == pytest.approx(0.761, abs=5e-4)
    assert float(depth[valid].min()) == pytest.approx(1.797, abs=5e-4)
    assert float(np.median(depth[valid])) == pytest.approx(3.042, abs=5e-4)
    assert float(depth.max()) == pytest.approx(3.640, abs=5e-4)
