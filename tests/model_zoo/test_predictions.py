"""Saved predictions: every format to the same values, and everything doubtful refused by name."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from dabench.errors import ModelError
from dabench.types import Output
from model_zoo.predictions import RESIZED, SavedPredictions, read_map

HEIGHT, WIDTH = 7, 11
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
VALUES = np.random.default_rng(0).random((HEIGHT, WIDTH), dtype=np.float32) + 0.5


def _pfm(values: np.ndarray, *, little: bool = True, scale: float = 1.0) -> bytes:
    height, width = values.shape
    header = f"Pf\n{width} {height}\n{-scale if little else scale}\n".encode()
    order = "<" if little else ">"
    rows = [struct.pack(f"{order}{width}f", *map(float, row)) for row in values[::-1]]
    return header + b"".join(rows)


def _predict(folder: Path, sample_id: str = "a", output: Output = Output.DISPARITY) -> np.ndarray:
    return SavedPredictions(folder, output).predict_batch([IMAGE], [sample_id])[0].values


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<u2", "|u1", "<i4", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path: Path, dtype: str, order: str) -> None:
    values = np.asarray(VALUES * 100, dtype=dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "a.npy", values)
    read = _predict(tmp_path)
    assert read.dtype == np.float32 and (read == values.astype(np.float32)).all()


@pytest.mark.parametrize("shape", [(1, HEIGHT, WIDTH), (HEIGHT, WIDTH, 1)])
def test_axis_of_length_one_is_dropped(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", VALUES.reshape(shape))
    assert (_predict(tmp_path) == VALUES).all()


def test_png_of_16_bits_keeps_all_of_them(tmp_path: Path) -> None:
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 850 + 1
    assert cv2.imwrite(str(tmp_path / "a.png"), values)
    assert (_predict(tmp_path) == values).all()
    assert SavedPredictions(tmp_path, Output.DEPTH).info.notes == ()


def test_png_of_8_bits_is_read_and_noted(tmp_path: Path) -> None:
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    PillowImage.fromarray(values).save(tmp_path / "a.png")
    assert (_predict(tmp_path) == values).all()
    assert "1 of the maps are 8-bit" in SavedPredictions(tmp_path, Output.DISPARITY).info.notes[0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1"])
def test_colour_png_is_refused(tmp_path: Path, mode: str) -> None:
    PillowImage.new(mode, (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    with pytest.raises(ModelError, match=r"a\.png: is a colour PNG"):
        _predict(tmp_path)


def test_png_is_not_metric(tmp_path: Path) -> None:
    PillowImage.fromarray(np.ones((HEIGHT, WIDTH), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(ModelError, match="not metres"):
        _predict(tmp_path, output=Output.METRIC)


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("scale", [1.0, 0.003922])
def test_pfm_byte_order_and_row_order(tmp_path: Path, little: bool, scale: float) -> None:
    (tmp_path / "a.pfm").write_bytes(_pfm(VALUES, little=little, scale=scale))
    assert (_predict(tmp_path) == VALUES).all()


def test_pfm_agrees_with_opencv(tmp_path: Path) -> None:
    path = tmp_path / "a.pfm"
    if not cv2.imwrite(str(path), VALUES):
        pytest.fail("this OpenCV writes no PFM; the reference of this test is gone")
    assert (read_map(path) == VALUES).all()


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=60), cut=st.integers(0, 60))
def test_pfm_of_any_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.pfm"
    for data in (content, b"Pf " + content, _pfm(VALUES)[:cut] + content):
        path.write_bytes(data)
        try:
            assert read_map(path).ndim == 2
        except ModelError as error:
            assert "fuzz.pfm" in str(error)


def test_exr(tmp_path: Path) -> None:
    openexr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: .exr is not tested")
    header = {"type": openexr.scanlineimage, "compression": openexr.ZIP_COMPRESSION}
    for name in ("Y", "Z", "depth"):
        with openexr.File(header, {name: VALUES}) as file:
            file.write(str(tmp_path / "a.exr"))
        assert (_predict(tmp_path) == VALUES).all()
    with openexr.File(header, {"RGB": np.stack([VALUES] * 3, axis=-1)}) as file:
        file.write(str(tmp_path / "a.exr"))
    assert (_predict(tmp_path) == VALUES).all()
    with openexr.File(header, {"RGB": np.random.default_rng(1).random((HEIGHT, WIDTH, 3), np.float32)}) as file:
        file.write(str(tmp_path / "a.exr"))
    with pytest.raises(ModelError, match=r"a\.exr: has channels .* a map has one"):
        _predict(tmp_path)
    whole = (tmp_path / "a.exr").read_bytes()
    (tmp_path / "a.exr").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"a\.exr"):
        _predict(tmp_path)


def test_exr_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.exr").write_bytes(b"\x76\x2f\x31\x01")
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    with pytest.raises(ModelError, match="pip install OpenEXR"):
        _predict(tmp_path)


def test_resize_is_bilinear_with_half_pixel_centres(tmp_path: Path) -> None:
    small = np.array([[0.0, 1.0]], np.float32)
    np.save(tmp_path / "a.npy", small)
    model = SavedPredictions(tmp_path, Output.DISPARITY)
    assert model.info.notes == ()
    values = model.predict_batch([np.zeros((1, 4, 3), np.uint8)], ["a"])[0].values
    assert values == pytest.approx(np.array([[0.0, 0.25, 0.75, 1.0]]))
    assert model.info.notes == (RESIZED,)


def test_resize_agrees_with_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    source = np.random.default_rng(3).random((37, 53), dtype=np.float32)
    np.save(tmp_path / "a.npy", source)
    values = SavedPredictions(tmp_path, Output.DISPARITY).predict_batch([np.zeros((111, 90, 3), np.uint8)], ["a"])
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(source)[None, None], size=(111, 90), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(values[0].values, expected[0, 0].numpy(), atol=1e-5)


def test_non_finite_values_spread_and_never_vanish(tmp_path: Path) -> None:
    small = np.ones((4, 4), np.float32)
    small[1, 1] = np.nan
    np.save(tmp_path / "a.npy", small)
    values = SavedPredictions(tmp_path, Output.DISPARITY).predict_batch([np.zeros((9, 9, 3), np.uint8)], ["a"])
    assert np.isnan(values[0].values[2:5, 2:5]).any() and np.isfinite(values[0].values[8, 8])


def test_transposed_map_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES.T)
    with pytest.raises(ModelError, match=r"a\.npy: .*transpose"):
        _predict(tmp_path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros((HEIGHT, WIDTH, 3)), "has shape"),
        (np.zeros(HEIGHT), "has shape"),
        (np.zeros((0, WIDTH)), "has shape"),
        (np.zeros((HEIGHT, WIDTH), complex), "not real numbers"),
        (np.array([["a"]]), "not real numbers"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, values: np.ndarray, expected: str) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ModelError, match=rf"a\.npy: .*{expected}"):
        _predict(tmp_path)


def test_object_arrays_are_not_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.save(tmp_path / "a.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match=r"a\.npy: holds Python objects"):
        _predict(tmp_path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", [".npy", ".png", ".pfm"])
def test_truncated_and_empty_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, VALUES)
    elif suffix == ".png":
        PillowImage.fromarray((VALUES * 1000).astype(np.uint16)).save(path)
    else:
        path.write_bytes(_pfm(VALUES))
    whole = path.read_bytes()
    for size in (0, 3, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=f"a{suffix}"):
            _predict(tmp_path)


def test_two_maps_for_one_sample_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    (tmp_path / "a.pfm").write_bytes(_pfm(VALUES))
    with pytest.raises(ModelError, match=r"two maps for 'a': a\.npy, a\.pfm"):
        _predict(tmp_path)


def test_missing_map_says_what_was_expected(tmp_path: Path) -> None:
    np.save(tmp_path / "rgb_1.npy", VALUES)
    np.savez(tmp_path / "zipped.npz", VALUES)
    with pytest.raises(ModelError, match="no map for 'images/indoor/other'"):
        _predict(tmp_path, "images/indoor/other")
    with pytest.raises(ModelError, match="keep the sample's folders"):
        _predict(tmp_path, "images/indoor/rgb_1")
    with pytest.raises(ModelError, match=r"numpy\.save"):
        _predict(tmp_path, "zipped")


def test_dots_and_other_alphabets_in_ids(tmp_path: Path) -> None:
    for sample_id in ("images/в лесу/фото.v1.2", "images/indoor/cafe\u0301"):
        path = tmp_path / f"{sample_id}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, VALUES)
    assert (_predict(tmp_path, "images/в лесу/фото.v1.2") == VALUES).all()
    assert (_predict(tmp_path, "images/indoor/caf\u00e9") == VALUES).all()


@pytest.mark.parametrize("sample_id", ["../secret", "images/../../secret", "/etc/secret", "", "a\0b"])
def test_ids_that_leave_the_folder_are_refused(tmp_path: Path, sample_id: str) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    np.save(folder / "a.npy", VALUES)
    np.save(tmp_path / "secret.npy", VALUES)
    with pytest.raises(ModelError, match="not a path inside"):
        _predict(folder, sample_id)


def test_one_hash_over_names_and_contents(tmp_path: Path) -> None:
    def fingerprint() -> str:
        digest = SavedPredictions(tmp_path, Output.DISPARITY).info.weights_sha256
        assert digest is not None and len(digest) == 64
        return digest

    (tmp_path / "b").mkdir()
    np.save(tmp_path / "a.npy", VALUES)
    np.save(tmp_path / "b" / "a.npy", VALUES + 1)
    first = fingerprint()
    (tmp_path / "notes.txt").write_text("not a map")
    assert fingerprint() == first
    (tmp_path / "b" / "a.npy").rename(tmp_path / "b" / "c.npy")
    renamed = fingerprint()
    np.save(tmp_path / "b" / "c.npy", VALUES + 2)
    assert len({first, renamed, fingerprint()}) == 3


def test_useless_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        SavedPredictions(tmp_path / "absent", Output.DISPARITY)
    with pytest.raises(ModelError, match=r"holds no \.npy"):
        SavedPredictions(tmp_path, Output.DISPARITY)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="is not a folder"):
        SavedPredictions(tmp_path / "file", Output.DISPARITY)


def test_ids_are_required(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    model = SavedPredictions(tmp_path, Output.DISPARITY)
    with pytest.raises(ModelError, match="sample id"):
        model.predict(IMAGE)
    with pytest.raises(ModelError, match="sample ids"):
        model.predict_batch([IMAGE])


def test_saved_is_the_map_in_its_own_size(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES[:3, :4])
    model = SavedPredictions(tmp_path, Output.DISPARITY)
    assert model.saved("a").values.shape == (3, 4) and (model.saved("a").values == VALUES[:3, :4]).all()
    assert model.saved("a").output is Output.DISPARITY and RESIZED not in model.info.notes
    with pytest.raises(ModelError, match="no map for 'b'"):
        model.saved("b")
    with pytest.raises(ModelError, match="not a path inside"):
        model.saved("../a")


class TestKeptPng:
    """A 16-bit PNG that says its scale holds values, not codes."""

    @staticmethod
    def write(path: Path, **told: str) -> np.ndarray:
        codes = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
        codes[0, :3] = 65533, 65534, 65535
        info = PngInfo()
        for key, value in told.items():
            info.add_text(f"dabench-{key.replace('_', '-')}", value)
        PillowImage.fromarray(codes).save(path, pnginfo=info)
        return codes

    @pytest.mark.parametrize("special", ["yes", "no"])
    def test_it_is_scaled_and_may_be_metric(self, tmp_path: Path, special: str) -> None:
        codes = self.write(tmp_path / "a.png", scale="0.25", offset="1.5", not_finite=special)
        values = _predict(tmp_path, output=Output.METRIC)
        assert (values[1:] == 1.5 + 0.25 * codes[1:]).all()
        if special == "yes":
            assert np.isnan(values[0, 0]) and values[0, 1] == np.inf and values[0, 2] == -np.inf
        else:
            assert (values[0, :3] == 1.5 + 0.25 * codes[0, :3]).all()

    @pytest.mark.parametrize("told", [{"scale": "x"}, {"scale": "1.0"}, {"scale": "1.0", "offset": "far"}])
    def test_a_damaged_scale_is_refused(self, tmp_path: Path, told: dict[str, str]) -> None:
        self.write(tmp_path / "a.png", **told)
        with pytest.raises(ModelError, match=r"a\.png: has a damaged scale"):
            _predict(tmp_path)
