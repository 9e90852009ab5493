"""Sintel's .dpt and .cam against files written byte by byte from the SDK's description: this shows self-consistency."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dabench.datasets.formats import read_sintel_cam, read_sintel_dpt
from dabench.errors import SampleError

TAG = b"PIEH"


def floats(values: list[float]) -> bytes:
    return b"".join(struct.pack("<f", v) for v in values)


def test_the_tag_is_the_float_that_reads_pieh() -> None:
    assert struct.pack("<f", 202021.25) == TAG


def test_a_map_of_two_rows_and_three_columns(tmp_path: Path) -> None:
    path = tmp_path / "d.dpt"
    path.write_bytes(TAG + b"\x03\x00\x00\x00" + b"\x02\x00\x00\x00" + floats([1, 2, 3, 4.5, 1e5, 6]))
    depth = read_sintel_dpt(path)
    assert depth.dtype == np.float32 and depth.flags.c_contiguous and depth.flags.writeable
    np.testing.assert_array_equal(depth, np.array([[1, 2, 3], [4.5, 1e5, 6]], np.float32))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_round_trip(tmp_path: Path, height: int, width: int, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(2, 3, height * width)
    content = TAG + struct.pack("<2i", width, height) + array("f", values).tobytes()
    path = tmp_path / "d.dpt"
    path.write_bytes(content)
    np.testing.assert_array_equal(read_sintel_dpt(path).ravel(), values.astype(np.float32))
    for wrong in (content[:-1], content + b"\0", content[:-4]):
        path.write_bytes(wrong)
        with pytest.raises(SampleError, match=r"d\.dpt: has \d+ bytes"):
            read_sintel_dpt(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has 0 bytes"),
        (TAG, "has 4 bytes"),
        (TAG[::-1] + struct.pack(">2i", 1, 1) + bytes(4), "tag 202021.25 in little-endian order"),
        (b"PIEG" + struct.pack("<2i", 1, 1) + bytes(4), "tag 202021.25"),
        (TAG + struct.pack("<2i", 0, 1), "0 columns"),
        (TAG + struct.pack("<2i", -3, -4) + bytes(48), "-3 columns"),
        (TAG + struct.pack("<2i", 1, 2**31 - 1), "2147483647 rows"),
        (TAG + struct.pack("<2i", 60000, 60000) + bytes(4), "has 16 bytes"),
    ],
)
def test_what_is_not_a_map_is_refused_by_name(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "frame_0001.dpt"
    path.write_bytes(content)
    with pytest.raises(SampleError, match=rf"frame_0001\.dpt: .*{told}"):
        read_sintel_dpt(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.dpt").mkdir()
    for read in (read_sintel_dpt, read_sintel_cam):
        with pytest.raises(SampleError, match=r"gone\.dpt: no such file"):
            read(tmp_path / "gone.dpt")
        with pytest.raises(SampleError, match=r"folder\.dpt: cannot be read"):
            read(tmp_path / "folder.dpt")


def test_a_camera(tmp_path: Path) -> None:
    path = tmp_path / "frame_0001.cam"
    numbers = [1120.0, 0, 511.5, 0, 1120.0, 217.5, 0, 0, 1, *(i / 7 for i in range(12))]
    content = TAG + b"".join(struct.pack("<d", v) for v in numbers)
    assert len(content) == 172
    path.write_bytes(content)
    intrinsics, extrinsics = read_sintel_cam(path)
    np.testing.assert_array_equal(intrinsics, [[1120, 0, 511.5], [0, 1120, 217.5], [0, 0, 1]])
    np.testing.assert_array_equal(extrinsics.ravel(), [i / 7 for i in range(12)])
    assert extrinsics.shape == (3, 4) and intrinsics.dtype == extrinsics.dtype == np.float64
    for wrong, told in {
        content[:-8]: "has 164 bytes; a camera has 172",
        content + b"\0": "has 173 bytes",
        b"": "has 0 bytes",
        content[:-8] + struct.pack("<d", np.nan): "not finite",
        TAG[::-1] + b"".join(struct.pack(">d", v) for v in numbers): "little-endian",
    }.items():
        path.write_bytes(wrong)
        with pytest.raises(SampleError, match=rf"frame_0001\.cam: .*{told}"):
            read_sintel_cam(path)
