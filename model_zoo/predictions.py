"""Depth maps saved by any program, scored as a model: ``DIR/<sample id>.npy|.png|.pfm|.exr``.

Values are taken as they are; only what they mean is told from outside. A map that could be read in two ways, or only
by guessing, is an error that names the file, so that no number comes out silently wrong.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dabench.errors import ModelError
from dabench.types import DepthMap, DepthModel, Image, ModelInfo, Output, Prediction

SCALE, OFFSET, SPECIAL = "dabench-scale", "dabench-offset", "dabench-not-finite"
SUFFIXES = (".npy", ".png", ".pfm", ".exr")
RESIZED = "some maps were not of the size of their image and were resized (bilinear, half-pixel centres)"
EIGHT_BIT = "{} of the maps are 8-bit PNG: 256 levels make ties, and a tie is wrong"


class SavedPredictions(DepthModel):
    """Maps found by sample id in a folder.

    A map of another size than its image is resized bilinearly with half-pixel centres (``align_corners=False``); a
    non-finite value spreads to every pixel it has a part in. Dense scoring takes the map in its own size instead, by
    ``saved``, and resizes it as the protocol says. ``info.weights_sha256`` is one hash over all maps.

    Args:
        folder: ``DIR`` of ``DIR/<sample id>.<suffix>``.
        output: what the values mean.
        name: name of the model in the records.

    Raises:
        ModelError: the folder is missing or holds no map.
    """

    def __init__(self, folder: Path, output: Output, name: str = "predictions") -> None:
        self._folder = Path(folder)
        self._output = Output(output)
        if not self._folder.is_dir():
            state = "is not a folder" if self._folder.exists() else "does not exist"
            raise ModelError(f"predictions folder {folder} {state}")
        files = sorted(_maps(self._folder), key=lambda file: file.relative_to(self._folder).as_posix())
        if not files:
            raise ModelError(
                f"predictions folder {folder} holds no {', '.join(SUFFIXES)} file",
                hint="save one map a sample as DIR/<sample id>.npy, for instance DIR/images/indoor/0001.npy",
            )
        sha256, eight_bit = _fingerprint(self._folder, files)
        self.info = ModelInfo(
            name=name,
            output=self._output,
            weights_sha256=sha256,
            source=str(folder),
            settings={"files": len(files), "resize": "bilinear, half-pixel centres"},
            notes=(EIGHT_BIT.format(eight_bit),) if eight_bit else (),
        )

    def predict(self, image: Image) -> Prediction:
        """Always an error: a saved map is found by its sample's id, not by its image."""
        raise ModelError("saved predictions are found by sample id", hint="call predict_batch(images, sample_ids)")

    def predict_batch(self, images: Sequence[Image], sample_ids: Sequence[str] | None = None) -> list[Prediction]:
        """The saved map of each sample, in the size of its image.

        Raises:
            ModelError: a map is missing, given twice, damaged, or of the wrong kind; the message names the file.
        """
        if sample_ids is None:
            raise ModelError("saved predictions need the sample ids")
        return [self._predict(image, sample_id) for image, sample_id in zip(images, sample_ids, strict=True)]

    def saved(self, sample_id: str) -> Prediction:
        """The map of a sample in the size it was saved in.

        Raises:
            ModelError: it is missing, given twice, damaged, or of the wrong kind; the message names the file.
        """
        return Prediction(self._read(sample_id)[1], self._output)

    def _read(self, sample_id: str) -> tuple[Path, DepthMap]:
        path = self._find(sample_id)
        values = read_map(path)
        if path.suffix.lower() == ".png" and self._output is Output.METRIC and not _is_scaled(path):
            raise ModelError(
                f"{path}: a PNG holds whole numbers of an unknown unit, not metres",
                hint="save metric depth as .npy, .pfm or .exr",
            )
        return path, values

    def _predict(self, image: Image, sample_id: str) -> Prediction:
        path, values = self._read(sample_id)
        height, width = image.shape[:2]
        if values.shape != (height, width):
            if values.shape == (width, height):
                raise ModelError(f"{path}: is {width}x{height}, the transpose of its image's {height}x{width}")
            values = _resized(values, height, width)
            if RESIZED not in self.info.notes:
                self.info = replace(self.info, notes=(*self.info.notes, RESIZED))
        return Prediction(values, self._output)

    def _find(self, sample_id: str) -> Path:
        relative = PurePosixPath(sample_id)
        if not sample_id or relative.is_absolute() or ".." in relative.parts or "\0" in sample_id:
            raise ModelError(f"sample id '{sample_id}' is not a path inside the predictions folder")
        # a file system or an archive may have stored the name composed or decomposed
        spellings = dict.fromkeys([sample_id, *(unicodedata.normalize(form, sample_id) for form in ("NFC", "NFD"))])
        for spelling in spellings:
            found = [path for suffix in SUFFIXES if (path := self._folder / f"{spelling}{suffix}").is_file()]
            if len(found) > 1:
                raise ModelError(
                    f"{self._folder}: two maps for '{sample_id}': {', '.join(path.name for path in found)}",
                    hint="keep one of them",
                )
            if found:
                return found[0]
        raise ModelError(f"{self._folder}: no map for '{sample_id}'", hint=self._missing_hint(sample_id))

    def _missing_hint(self, sample_id: str) -> str:
        if (self._folder / f"{sample_id}.npz").is_file():
            return f"{sample_id}.npz is an archive of arrays; save the one map with numpy.save as .npy"
        alone = PurePosixPath(sample_id).name
        if any((self._folder / f"{alone}{suffix}").is_file() for suffix in SUFFIXES):
            return f"'{alone}' lies at the top of the folder; keep the sample's folders: {sample_id}{SUFFIXES[0]}"
        return f"expected {self._folder / sample_id} with one of {', '.join(SUFFIXES)}"


def read_map(path: Path) -> DepthMap:
    """Read one map as ``float32 [H, W]``; a leading or trailing axis of length one is dropped.

    Raises:
        ModelError: not readable, not one channel of numbers, or empty; the message names the file.
    """
    readers = {".npy": _read_npy, ".png": _read_png, ".pfm": _read_pfm, ".exr": _read_exr}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ModelError(f"{path}: is none of {', '.join(SUFFIXES)}")
    try:
        values = reader(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or values.size == 0:
        raise ModelError(f"{path}: has shape {list(values.shape)}; a map has [height, width]")
    if values.dtype.kind not in "fiub":
        raise ModelError(f"{path}: holds {values.dtype} values, not real numbers")
    with np.errstate(over="ignore"):  # beyond float32 is infinity, which counts as unusable
        return np.ascontiguousarray(values, dtype=np.float32)


def _read_npy(path: Path) -> np.ndarray[Any, Any]:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        reason = "holds Python objects, which are not loaded" if "pickle" in str(error) else f"is damaged: {error}"
        raise ModelError(f"{path}: {reason}", hint="save a plain float32 array with numpy.save") from error
    if not isinstance(values, np.ndarray):
        raise ModelError(f"{path}: is an .npz archive named .npy", hint="save the one map with numpy.save")
    return values


def _read_png(path: Path) -> np.ndarray[Any, Any]:
    """8 or 16 bits of grey. Pillow, unlike OpenCV, raises on every truncated file."""
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            image.load()
            mode, values, told = image.mode, np.asarray(image), {str(k): v for k, v in image.info.items()}
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        raise ModelError(f"{path}: is not a readable PNG: {error}") from error
    if mode != "L" and not mode.startswith("I"):
        raise ModelError(
            f"{path}: is a colour PNG (mode {mode}); a map has one channel",
            hint="a colour-mapped picture cannot be scored; save the values as 16-bit grey or .npy",
        )
    if SCALE in told:
        return _from_codes(path, values, told)
    return values


def _from_codes(path: Path, codes: np.ndarray[Any, Any], told: dict[str, Any]) -> np.ndarray[Any, Any]:
    """A map that dabench kept: offset + scale * code; the last three codes are NaN, inf and -inf if stated."""
    try:
        offset, scale, special = float(told[OFFSET]), float(told[SCALE]), told[SPECIAL] == "yes"
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: has a damaged scale: {error!r}") from error
    values = (offset + scale * codes.astype(np.float64)).astype(np.float32)
    if special:
        for code, value in ((65533, np.nan), (65534, np.inf), (65535, -np.inf)):
            values[codes == code] = value
    return values


def _is_scaled(path: Path) -> bool:
    from PIL import Image as PillowImage

    with PillowImage.open(path, formats=["PNG"]) as image:
        return SCALE in image.info


def _read_pfm(path: Path) -> np.ndarray[Any, Any]:
    """Portable float map: header ``Pf``, width and height, scale; then rows from the bottom up.

    A negative scale means little-endian; its magnitude, a unit that nobody agrees on, is ignored.
    Source: P. Debevec, "PFM: Portable FloatMap Image Format"; Middlebury stereo, `imageLib`.
    """
    content = path.read_bytes()
    header = re.match(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+([-+.\deE]+)\s", content)
    if header is None:
        raise ModelError(f"{path}: is not a PFM file (no 'Pf', width, height and scale)")
    if header[1] == b"PF":
        raise ModelError(f"{path}: is a PFM of three channels; a map has one ('Pf')")
    width, height = int(header[2]), int(header[3])
    try:
        scale = float(header[4])
    except ValueError:
        scale = 0.0
    if scale == 0 or not math.isfinite(scale):
        raise ModelError(f"{path}: PFM scale '{header[4].decode()}' does not tell the byte order")
    body = memoryview(content)[header.end() :]
    if len(body) != 4 * width * height:
        raise ModelError(f"{path}: holds {len(body)} bytes for {width}x{height} values; truncated or not a PFM")
    values = np.frombuffer(body, dtype="<f4" if scale < 0 else ">f4").reshape(height, width)
    return values[::-1]


def _read_exr(path: Path) -> np.ndarray[Any, Any]:
    """The only channel of an OpenEXR file, or one of several equal ones (a map saved as grey RGB)."""
    try:
        import OpenEXR
    except ModuleNotFoundError as error:  # OpenCV's own reader is switched off or left out of current wheels
        raise ModelError(f"{path}: reading .exr needs the package OpenEXR", hint="pip install OpenEXR") from error
    if not path.read_bytes()[:4] == b"\x76\x2f\x31\x01":
        raise ModelError(f"{path}: is not an OpenEXR file")
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:  # the library raises bare RuntimeError and ValueError
        raise ModelError(f"{path}: is a damaged OpenEXR file: {error}") from error
    if not channels:
        raise ModelError(f"{path}: has no channels")
    first, *others = channels.values()
    if any(other.shape != first.shape or not np.array_equal(first, other, equal_nan=True) for other in others):
        raise ModelError(f"{path}: has channels {', '.join(channels)}; a map has one")
    return first


def _resized(values: DepthMap, height: int, width: int) -> DepthMap:
    import cv2

    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _maps(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]


def _fingerprint(folder: Path, files: Sequence[Path]) -> tuple[str, int]:
    """One SHA-256 over the names and contents of all maps, and how many are 8-bit PNG."""
    digest, eight_bit = hashlib.sha256(), 0
    for file in files:
        name = file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
        try:
            with file.open("rb") as stream:
                start = stream.read(25)
                stream.seek(0)
                content = hashlib.file_digest(stream, "sha256").digest()
        except OSError as error:
            raise ModelError(f"{file}: cannot be read: {error.strerror}") from error
        digest.update(len(name).to_bytes(4, "little") + name + content)
        eight_bit += start[:8] == b"\x89PNG\r\n\x1a\n" and start[24:25] in (b"\x01", b"\x02", b"\x04", b"\x08")
    return digest.hexdigest(), eight_bit
