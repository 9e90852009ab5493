"""Kept predictions: what a model said, stored exactly, so that it can be scored again without the model.

``OUT/<model>/predictions/`` holds ``manifest.json`` (whose predictions these are) and, for each dataset and inference
setting, the maps as ``<sample id>.npy|.png`` with one line each in ``index.jsonl``. A map is stored without loss, in
float16 where that is exact, else as a 16-bit PNG where that is exact, else in float32, so that scores of kept and of
fresh predictions agree to the last bit.
"""

from __future__ import annotations

import io
import json
import shutil
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import ModelError, RecordError
from dabench.records import (
    SCHEMA,
    Json,
    describe_model,
    differences,
    model_info,
    provenance,
    read_json,
    to_json,
    write_json,
)
from dabench.types import DepthMap, DepthModel, Image, ModelInfo, Output, Prediction

FOLDER, MANIFEST, INDEX = "predictions", "manifest.json", "index.jsonl"
SCALE, OFFSET, SPECIAL = "dabench-scale", "dabench-offset", "dabench-not-finite"
"""Text chunks of a PNG: value = offset + scale * code; the last three codes are NaN, inf and -inf where stated."""
NOT_FINITE = (np.nan, np.inf, -np.inf)
PROBE = 4096


@dataclass(frozen=True, eq=False)
class KeptMap:
    """A kept prediction and the seconds that it took when it was made."""

    prediction: Prediction
    seconds: float


class PredictionStore:
    """The kept predictions of one model.

    Args:
        folder: ``OUT/<model>/predictions``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manifest(self) -> Json | None:
        """What the predictions are of, or None when nothing is kept.

        Raises:
            RecordError: unreadable, or of a newer dabench.
        """
        path = self.folder / MANIFEST
        return read_json(path) if path.is_file() else None

    def check(self, manifest: Json) -> None:
        """Refuse predictions of another model, of other settings or of another version.

        Raises:
            RecordError: lists what differs and says what can be done.
        """
        stored = self.manifest()
        # What was asked for decides which model is loaded; what was loaded is what counts here.
        here, now = ({k: v for k, v in (m or {}).items() if k != "request"} for m in (stored, to_json(manifest)))
        changed = differences(here, now) if stored is not None else []
        if changed:
            raise self._refusal(changed)

    def serves(self, request: Mapping[str, Any], weights_sha256: str | None, device: str) -> bool:
        """Whether the model asked for is surely the one whose predictions are kept; if not, loading it will tell.

        Args:
            request: options that choose the model.
            weights_sha256: of the weight file, where it is known.
            device: ``auto`` agrees with any.
        """
        stored = self.manifest()
        if stored is None or stored["request"] != to_json(request) or stored["dabench"] != provenance()["dabench"]:
            return False
        there, used = stored["model"]["weights_sha256"], str(stored["settings"].get("device", device))
        if weights_sha256 is not None and there is not None and weights_sha256 != there:
            return False
        return device == "auto" or device.split(":")[0] == used.split(":")[0]

    def _refusal(self, changed: Sequence[str]) -> RecordError:
        listed = "".join(f"\n    - {c}" for c in changed)
        return RecordError(
            f"{self.folder} keeps predictions of something else:{listed}",
            hint="pass --fresh to predict again, or --out DIR to keep both",
        )

    def begin(self, manifest: Json, *, fresh: bool) -> None:
        """Make the folder ready to keep predictions of this model.

        Args:
            fresh: replace what is kept of another model.

        Raises:
            RecordError: predictions of another model are kept.
        """
        try:
            self.check(manifest)
        except RecordError:
            if not fresh:
                raise
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / MANIFEST, manifest)

    def shelf(self, dataset: str, setting: str, output: str) -> Shelf:
        """The maps of one dataset and inference setting."""
        return Shelf(self.folder / dataset / setting, output)


def manifest_of(info: ModelInfo, settings: Mapping[str, Any], request: Mapping[str, Any] | None) -> Json:
    """Content of ``manifest.json``: all that decides what a model predicts for an image."""
    made: Json = to_json(
        {
            "schema": SCHEMA,
            "dabench": provenance()["dabench"],
            "model": describe_model(info),
            "settings": settings,
            "request": request,
        }
    )
    return made


class Shelf:
    """Kept maps of one dataset and inference setting, found by sample id. Safe to use from several threads.

    Args:
        folder: ``OUT/<model>/predictions/<dataset>/<setting>``.
        output: what the values mean.
    """

    def __init__(self, folder: Path, output: str) -> None:
        self._folder = folder
        self._output = Output(output)
        self._lock = threading.Lock()
        self._index: dict[str, Json] = {}
        path = folder / INDEX
        for line in path.read_bytes().split(b"\n")[:-1] if path.is_file() else ():
            try:
                entry = json.loads(line)
                self._index[entry["id"]] = entry
            except (ValueError, KeyError, TypeError):  # torn by a kill: that map is predicted again
                continue

    def __contains__(self, sample_id: object) -> bool:
        return sample_id in self._index

    def read(self, sample_id: str, image: Image) -> KeptMap | None:
        """The prediction kept for this image.

        Returns:
            None where there is none, where its file is damaged, or where it was made of other pixels.
        """
        entry = self._index.get(sample_id)
        if entry is None or entry["image"] != image_checksum(image):
            return None
        try:
            content = (self._folder / entry["file"]).read_bytes()
        except OSError:
            return None
        if zlib.crc32(content) != entry["crc32"]:
            return None
        return KeptMap(Prediction(decode(content, entry["file"]), self._output), entry["seconds"])

    def write(self, sample_id: str, image: str, prediction: Prediction, seconds: float) -> None:
        """Keep one prediction. It counts as kept once its line is in the index.

        Args:
            image: :func:`image_checksum` of what it was predicted from.
            seconds: time it took.
        """
        relative = PurePosixPath(sample_id)
        if relative.is_absolute() or ".." in relative.parts:
            raise RecordError(f"sample id '{sample_id}' is not a path inside {self._folder}")
        suffix, content = encode(prediction.values)
        name = f"{sample_id}{suffix}"
        path = self._folder / name
        entry = {
            "id": sample_id,
            "file": name,
            "shape": list(prediction.values.shape),
            "crc32": zlib.crc32(content),
            "image": image,
            "seconds": seconds,
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(path.name + ".tmp")
            temporary.write_bytes(content)
            temporary.replace(path)
            for other in {".npy", ".png"} - {suffix}:
                (self._folder / f"{sample_id}{other}").unlink(missing_ok=True)
            with self._lock, (self._folder / INDEX).open("ab") as stream:
                stream.write((json.dumps(entry, ensure_ascii=False) + "\n").encode())
                self._index[sample_id] = entry
        except OSError as error:
            raise RecordError(
                f"cannot keep the prediction {path}: {error.strerror or error}",
                hint="what was scored is kept; make room, or run the same command without --keep-predictions",
            ) from error


def image_checksum(image: Image) -> str:
    """What tells a kept prediction's image from another."""
    return f"{zlib.crc32(np.ascontiguousarray(image).data):08x} {'x'.join(map(str, image.shape))}"


def encode(values: DepthMap) -> tuple[str, bytes]:
    """A float32 map in the smallest of three exact forms.

    Returns:
        The file suffix and content: ``.npy`` (float16 or float32) or ``.png`` (16 bits with scale and offset).
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    with np.errstate(over="ignore"):
        half = _exactly(values, lambda part: part.astype(np.float16))
    if half is not None:
        return ".npy", _npy(half)
    png = _as_png(values)
    return (".png", png) if png is not None else (".npy", _npy(values))


def decode(content: bytes, name: str) -> DepthMap:
    """The inverse of :func:`encode`."""
    if not name.endswith(".png"):
        return np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32, copy=False)  # type: ignore[no-any-return]
    from PIL import Image as PillowImage

    with PillowImage.open(io.BytesIO(content), formats=["PNG"]) as picture:
        picture.load()
        told = picture.info
        codes = np.asarray(picture).astype(np.uint16)
    return _from_codes(codes, float(told[OFFSET]), float(told[SCALE]), told[SPECIAL] == "yes")


def _exactly(values: DepthMap, convert: Callable[[DepthMap], npt.NDArray[Any]]) -> npt.NDArray[Any] | None:
    """``convert(values)`` if converting back gives the same bits; a few values are tried before all."""
    probe = values.ravel()[:: max(1, values.size // PROBE)]
    for part in (probe, values):
        converted = convert(part)
        if not _same(converted.astype(np.float32), part):
            return None
    return converted


def _same(a: DepthMap, b: DepthMap) -> bool:
    """Bit for bit, so that -0 is not 0; any NaN is as good as another."""
    equal = a.view(np.uint32) == b.view(np.uint32)
    return bool(equal.all()) or bool((equal | (np.isnan(a) & np.isnan(b))).all())


def _as_png(values: DepthMap) -> bytes | None:
    """A PNG of 16 bits, where the values lie on an even grid of at most 65536 steps."""
    finite = np.isfinite(values)
    if not finite.any():
        return None
    special = not bool(finite.all())
    low = float(values[finite].min())
    levels = 65535 - len(NOT_FINITE) * special
    probe = values.ravel()[:: max(1, values.size // PROBE)]
    steps = np.diff(np.unique(probe[np.isfinite(probe)].astype(np.float64)))
    if steps.size == 0:
        return None
    scale = float(steps.min())
    if (float(values[finite].max()) - low) / scale > levels:
        return None
    for part in (probe, values):
        known = np.isfinite(part)
        ratio = (np.where(known, part, low).astype(np.float64) - low) / scale
        codes = np.rint(ratio).astype(np.uint16)
        for code, value in enumerate(NOT_FINITE if special else (), start=levels + 1):
            codes[np.isnan(part) if np.isnan(value) else part == value] = code
        if not _same(_from_codes(codes, low, scale, special), part):
            return None
    from PIL import Image as PillowImage
    from PIL.PngImagePlugin import PngInfo

    told, stream = PngInfo(), io.BytesIO()
    for key, text in ((OFFSET, repr(low)), (SCALE, repr(scale)), (SPECIAL, "yes" if special else "no")):
        told.add_text(key, text)
    PillowImage.fromarray(codes).save(stream, format="PNG", pnginfo=told, compress_level=1)
    return stream.getvalue()


def _from_codes(codes: npt.NDArray[np.uint16], offset: float, scale: float, special: bool) -> DepthMap:
    with np.errstate(over="ignore"):  # codes that are no values yet
        values = (offset + scale * codes.astype(np.float64)).astype(np.float32)
    for code, value in enumerate(NOT_FINITE if special else (), start=65536 - len(NOT_FINITE)):
        values[codes == code] = value
    return values


def _npy(values: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


class KeptModel(DepthModel):
    """Stands for the model whose predictions are kept, and loads it only when one is missing.

    Args:
        store: where its predictions are.
        load: builds the model.
    """

    def __init__(self, store: PredictionStore, load: Callable[[], DepthModel]) -> None:
        manifest = store.manifest()
        assert manifest is not None
        self._store, self._load = store, load
        self._loaded: DepthModel | None = None
        self.info = model_info(manifest["model"])
        self.device = manifest["settings"].get("device", "cpu")

    @property
    def was_loaded(self) -> bool:
        return self._loaded is not None

    def load(self) -> DepthModel:
        """The model itself.

        Raises:
            ModelError: it is not the one whose predictions are kept.
        """
        if self._loaded is None:
            loaded = self._load()
            changed = differences(describe_model(self.info), describe_model(loaded.info), "model")
            changed += differences(self.device, str(getattr(loaded, "device", "cpu")), "settings.device")
            if changed:
                loaded.close()
                listed = "".join(f"\n    - {c}" for c in changed)
                raise ModelError(
                    f"{self._store.folder} keeps predictions of something else:{listed}",
                    hint="pass --fresh to predict again, or --out DIR to keep both",
                )
            self._loaded = loaded
        return self._loaded

    def predict(self, image: Image) -> Prediction:
        return self.load().predict(image)

    def predict_batch(self, images: Sequence[Image], sample_ids: Sequence[str] | None = None) -> list[Prediction]:
        return self.load().predict_batch(images, sample_ids)

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
