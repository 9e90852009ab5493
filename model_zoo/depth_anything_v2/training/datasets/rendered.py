"""Scenes of `dabench render`, and the sketches of `training/sketch.py`, which have the same layout."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from dabench.errors import DatasetError, UsageError

from ..labels import DenseLabels, LabelRule, labels_from_depth
from ..rendered import held_out
from .base import FileDataset, RuleChanges
from .files import one_of, read_png16


class Rendered(FileDataset):
    """Images that `metadata.json` names, with exact depth in metres. A pixel without a surface is sky.

    Args:
        root: folder of `metadata.json`, `images/` and `depth/`.
        part: "all"; or "train" and "held-out", which share no scene seed: one seed in `every` is held out, the same in
            every folder.
        every: see `part`.
        rule: fields of the label rule to change.
    """

    name = "rendered"
    default_rule = LabelRule(zero_is_sky=True)
    layout = "metadata.json, images/SCENE/ID.jpg and depth/SCENE/ID.png"
    home = "`dabench render`, or `python -m model_zoo.depth_anything_v2.training.sketch`"

    def __init__(self, root: Path, *, part: str = "all", every: int = 24, rule: RuleChanges = None) -> None:
        self.part = one_of("part", part, ("all", "train", "held-out"))
        if not isinstance(every, int) or every < 2:
            raise UsageError(f"every must be a whole number of at least 2, got {every!r}")
        self.every = every
        self._scales: dict[str, tuple[str, float]] = {}
        super().__init__(root, rule=rule)

    def _find(self) -> Iterator[str]:
        path = self.root / "metadata.json"
        if not path.is_file():
            raise self.lacks(path, "no such file")
        try:
            samples = json.loads(path.read_bytes())["samples"]
            for name, entry in samples.items():
                file, scale = PurePosixPath(name), float(entry["depth_scale"])
                if file.parts[0] != "images" or ".." in file.parts or not (math.isfinite(scale) and scale > 0):
                    raise ValueError(f"'{name}' is no image below images/, or its depth_scale is not above 0")
                if self.part != "all" and held_out(entry["seed"], self.every) != (self.part == "held-out"):
                    continue
                sample_id = str(file.with_suffix(""))
                self._scales[sample_id] = file.suffix, scale
                yield sample_id
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise DatasetError(
                f"{path}: is damaged: {type(error).__name__}: {error}", hint="write the set again"
            ) from error

    def image_file(self, sample_id: str) -> Path:
        return self.root / f"{sample_id}{self._scales[sample_id][0]}"

    def depth_file(self, sample_id: str) -> Path:
        return self.root / f"depth/{sample_id.removeprefix('images/')}.png"

    def _labels(self, sample_id: str) -> DenseLabels:
        codes = read_png16(self.depth_file(sample_id))
        return labels_from_depth(codes.astype(np.float32) * np.float32(self._scales[sample_id][1]), self.rule)
