"""Expert depth models: run once on each image, their maps kept with the study."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotation.atomic import write_file
from annotation.store.store import canonical_json
from dabench.errors import DabenchError, ImageError, UsageError
from dabench.types import MAP_OUTPUTS, DepthMap, DepthModel, Image, Output, Prediction, checked_prediction

DEFAULT_EXPERTS = ("depth-anything-v2-tiny@168", "depth-anything-v2-tiny@252", "depth-anything-v2-tiny@336")
"""When none is named: the bundled network at three input sizes. It needs no download, and where the three split the
picture is hard for it; but they err alike, so a set to be released wants other models.
"""
LARGEST_HALF = 6.0e4
"""Maps with larger values are kept in single precision instead of half."""


@dataclass(frozen=True)
class ExpertSpec:
    """How an expert is named.

    Attributes:
        label: its name in the data, also of its folder: ``model`` or ``model@input size``.
        model: of the catalogue, or a network file; ``""`` for saved maps.
        input_size: short side of the network's input; None: the model's own.
        output: what a network file's or saved maps' values mean; None: known.
        folder: of saved maps, ``<folder>/<name of the image without its suffix>.npy|.png|.pfm|.exr``.
    """

    label: str
    model: str
    input_size: int | None = None
    output: str | None = None
    folder: Path | None = None

    @property
    def baseline(self) -> bool:
        """Whether it looks at no depth cue: its vote counts, but says nothing of the depth gap."""
        from dabench.registry import is_network_file, model_entry

        return bool(self.model) and not is_network_file(self.model) and model_entry(self.model).status == "baseline"


def read_specs(texts: Sequence[str]) -> list[ExpertSpec]:
    """Experts from text: ``MODEL``, ``MODEL@SIZE``, ``FILE:KIND`` (network file) or ``NAME=FOLDER:KIND`` (saved maps).

    Raises:
        UsageError: malformed, unknown, without a map, or named twice.
    """
    specs = [_spec(text) for text in texts]
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"expert '{label}' is named twice")
    return specs


def _spec(text: str) -> ExpertSpec:
    from dabench.registry import model_entry

    kinds = "|".join(MAP_OUTPUTS)
    saved = re.fullmatch(rf"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+):({kinds})", text)
    if saved:
        folder = Path(saved[2])
        if not folder.is_dir():
            raise UsageError(f"expert '{text}': {folder} is not a folder")
        return ExpertSpec(saved[1], "", output=saved[3], folder=folder)
    if "=" in text:
        raise UsageError(f"expert '{text}' is not NAME=FOLDER:KIND", hint=f"KIND is one of {', '.join(MAP_OUTPUTS)}")
    named = re.fullmatch(rf"(.+?)(?:@(\d+))?(?::({kinds}))?", text)
    if named is None:
        raise UsageError("an expert needs a name")
    model, size, output = named[1], int(named[2]) if named[2] else None, named[3]
    entry = model_entry(model, output)
    if entry.output not in MAP_OUTPUTS:
        raise UsageError(f"expert '{model}' gives no map, only answers", hint="an expert is a model that gives a map")
    label = re.sub(r"[^A-Za-z0-9._-]", "_", Path(model).stem if Path(model).is_file() else model)
    return ExpertSpec(f"{label}@{size}" if size else label, model, size, output)


@dataclass(frozen=True, eq=False)
class ExpertMap:
    """A kept map: float16 or float32 [h, w], no larger than the image, and what its values mean."""

    values: DepthMap
    output: Output


class Expert:
    """A loaded expert with its kept maps.

    Args:
        spec: which.
        cache: ``STUDY/cache/experts``; maps lie in ``<cache>/<label>/<image sha256>.npz``, with a coloured ``.png`` of
            the same name for people.
        map_side: longer side of a kept map; larger ones are averaged down.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    def __init__(self, spec: ExpertSpec, cache: Path, map_side: int, device: str = "auto") -> None:
        self.spec, self._folder, self._side = spec, cache / spec.label, map_side
        self.baseline = spec.baseline
        if spec.folder is not None:
            from model_zoo.predictions import SavedPredictions

            self._model: DepthModel = SavedPredictions(spec.folder, Output(spec.output or ""), spec.label)
        else:
            import model_zoo

            self._model = model_zoo.load(spec.model, input_size=spec.input_size, device=device, output=spec.output)
        info = self._model.info
        self.about: dict[str, Any] = {
            "name": spec.label,
            "model": info.name,
            "output": info.output.value,
            "weights_sha256": info.weights_sha256,
            "licence": info.licence,
            "settings": {str(k): v for k, v in info.settings.items() if isinstance(v, str | int | float | bool | None)},
            "baseline": self.baseline,
            "map_side": map_side,
        }
        self._identity = hashlib.sha256(canonical_json(self.about).encode()).hexdigest()

    def kept(self, sha256: str) -> ExpertMap | None:
        """The map of an image if it is kept and was made by this very model; a damaged file counts as none."""
        try:
            with np.load(self._folder / f"{sha256}.npz", allow_pickle=False) as archive:
                if str(archive["identity"]) != self._identity:
                    return None
                return ExpertMap(archive["values"], Output(str(archive["output"])))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def map(self, sha256: str, image: Image, name: str) -> ExpertMap:
        """The map of an image: the kept one, or predicted and kept.

        Args:
            image: uint8 [H, W, 3] RGB.
            name: of the image, for saved maps and messages.

        Raises:
            ImageError: the model failed on this image.
        """
        found = self.kept(sha256)
        if found is not None:
            return found
        try:
            sample = name.rsplit(".", 1)[0] if "." in name.rsplit("/", 1)[-1] else name
            (prediction,) = self._model.predict_batch([image], [sample])
            prediction = checked_prediction(prediction, image, self.spec.label)
        except (DabenchError, RuntimeError, MemoryError, OSError, ValueError) as error:
            message = error.message if isinstance(error, DabenchError) else str(error)
            raise ImageError(f"{name}: expert '{self.spec.label}' failed: {message}") from error
        small = _averaged(prediction.values, self._side)
        finite = small[np.isfinite(small)]
        if not finite.size or np.abs(finite).max() < LARGEST_HALF:
            small = small.astype(np.float16)
        self._keep(sha256, ExpertMap(small, prediction.output))
        return ExpertMap(small, prediction.output)

    def _keep(self, sha256: str, made: ExpertMap) -> None:
        from PIL import Image as PillowImage

        from dabench.depth_files import colourise

        archive, picture = io.BytesIO(), io.BytesIO()
        np.savez(archive, values=made.values, output=np.array(made.output.value), identity=np.array(self._identity))
        PillowImage.fromarray(colourise(Prediction(made.values.astype(np.float32), made.output))).save(picture, "PNG")
        for suffix, data in (("png", picture.getvalue()), ("npz", archive.getvalue())):
            write_file(self._folder / f"{sha256}.{suffix}", data)

    def close(self) -> None:
        self._model.close()


@contextmanager
def opened(spec: ExpertSpec, cache: Path, map_side: int, device: str) -> Iterator[Expert]:
    """An expert that is closed at the end, so that only one is in memory at a time."""
    expert = Expert(spec, cache, map_side, device)
    try:
        yield expert
    finally:
        expert.close()


def _averaged(values: DepthMap, side: int) -> DepthMap:
    height, width = values.shape
    if max(height, width) <= side:
        return values.astype(np.float32)
    import cv2

    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
