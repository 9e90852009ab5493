"""``mini``: bundled rendered scenes with exact depth and DA-2K-style pairs; also any set `dabench render` wrote."""

from __future__ import annotations

import hashlib
import json
import math
from importlib import resources
from pathlib import Path

from dabench.datasets.base import Dataset, DatasetInfo
from dabench.datasets.formats import read_scaled_depth_png
from dabench.datasets.pairs import LAYOUT, Pairs
from dabench.errors import DatasetError
from dabench.types import GroundTruth, PairSample, Sample

METADATA = "metadata.json"


def bundled_root() -> Path:
    """The folder of the bundled set. Wheels are unpacked on installation, so it is a real path."""
    return Path(str(resources.files("dabench.datasets"))) / "bundled" / "mini"


class Mini(Pairs):
    """Reader of rendered sets: pairs, or dense depth with ``task="depth"``."""

    info = DatasetInfo(
        name="mini",
        title="mini",
        summary="rendered held-out scenes of DA-2K's eight types with exact depth and balanced pairs; bundled",
        tasks=("pairs", "depth"),
        licence="Apache-2.0",
        source="rendered by dabench (docs/render.md)",
        layout=LAYOUT + "; depth/<scene>/<name>.png (uint16, 0 = no surface) and metadata.json with each depth_scale",
        how_to_get="it is installed with dabench; `dabench render` makes more of its kind",
        bundled=True,
        splits=("heldout",),
    )

    def __init__(
        self,
        root: Path | None,
        *,
        task: str = "pairs",
        only: frozenset[str] | None = None,
        split: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(root or bundled_root(), task=task, only=only, split=split, field=field)
        assert self.root is not None
        self._scales: dict[str, float] = {}
        if task == "depth":
            path = self.root / METADATA
            try:
                content = path.read_bytes()
                samples = json.loads(content)["samples"]
                self._scales = {i: float(samples[self._paths[i]]["depth_scale"]) for i in self.ids}
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DatasetError(
                    f"dataset 'mini': {path} is unreadable or lacks a depth_scale: {error!r}", hint=self.info.layout
                ) from error
            self._fingerprint = hashlib.sha256(self._fingerprint.encode() + content).hexdigest()
            wrong = [f"'{i}': depth_scale {s} is not positive" for i, s in self._scales.items() if not 0 < s < math.inf]
            self._refuse(path, wrong)
            missing = [f"missing {p}" for p in map(self._depth_file, self.ids) if not p.is_file()]
            self._refuse(self.root, missing)

    def targets(self, sample_id: str) -> int:
        return super().targets(sample_id) if self.task == "pairs" else 0

    @property
    def total_targets(self) -> int:
        return super().total_targets if self.task == "pairs" else 0

    def load(self, sample_id: str) -> Sample | PairSample:  # type: ignore[override]
        return super().load(sample_id) if self.task == "pairs" else Dataset.load(self, sample_id)

    def ground_truth(self, sample_id: str) -> GroundTruth:
        if self.task == "pairs":
            return super().ground_truth(sample_id)
        return GroundTruth(*read_scaled_depth_png(self._depth_file(sample_id), self._scales[sample_id]))

    def _depth_file(self, sample_id: str) -> Path:
        assert self.root is not None
        return self.root / "depth" / f"{sample_id.removeprefix('images/')}.png"
