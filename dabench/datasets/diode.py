"""DIODE (Vasiljevic et al., arXiv 1908.00463), validation split, in its official layout.

Sources: diode-dataset/diode-devkit, ``README.md`` (names, formats) and ``diode.py``. Depth is ``float32``
``[768, 1024, 1]`` in metres, the mask is 1 where the scanner had a return.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dabench.datasets.base import DatasetInfo
from dabench.datasets.formats import read_image
from dabench.datasets.listed import ListedDataset
from dabench.datasets.split_lists import read_split
from dabench.errors import DatasetError, SampleError
from dabench.types import GroundTruth, Image

LISTS = {
    "indoor": ("diode-indoor", "396be541235a3960e1b86e4d80d2bddb404495993b7d05a4c9a6c7fd35a187f6", 325),
    "outdoor": ("diode-outdoor", "8a9ef2e2ded327f881afe853190a0e23b784f7dca373195e558b3edb098f7aa1", 446),
}
DEVKIT_LIST = {"indoor": 220, "outdoor": 392}
"""What the devkit's ``diode_meta.json`` names: a subset of the archive, on which other numbers come out."""


class Diode(ListedDataset):
    """Reader of the validation split: 325 indoor and 446 outdoor images. The groups are the two halves.

    Field ``masked``: valid where the mask file says so and depth is finite and positive. ``unmasked``: wherever depth
    is finite and positive, which adds the returns that the authors judged unreliable.
    """

    info = DatasetInfo(
        name="diode",
        title="DIODE, validation",
        summary="771 photographs of buildings inside and outside with dense laser-scanned depth up to 350 m",
        tasks=("depth",),
        licence="MIT",
        source="Vasiljevic et al., DIODE: A Dense Indoor and Outdoor DEpth Dataset, arXiv 1908.00463; "
        "diode-dataset/diode-devkit, README.md",
        layout="layout: val/{indoors,outdoor}/scene_*/scan_*/<name>.png, <name>_depth.npy and <name>_depth_mask.npy",
        how_to_get="run `dabench data fetch diode --data-root DIR`, or unpack val.tar.gz of https://diode-dataset.org "
        "into DIR/diode",
        expected="325 indoor + 446 outdoor = 771 images",
        splits=("indoor", "all", "outdoor"),
        fields=("masked", "unmasked"),
        split_images={"indoor": 325, "all": 771, "outdoor": 446},
    )

    def __init__(
        self,
        root: Path | None,
        *,
        task: str = "depth",
        only: frozenset[str] | None = None,
        split: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(root, task=task, only=only, split=split, field=field)
        if not (self.folder / "val").is_dir() and any((self.folder / half).is_dir() for half in ("indoors", "outdoor")):
            raise DatasetError(
                f"dataset 'diode': {self.folder} holds the halves themselves; the official layout has them in a folder "
                "'val'",
                hint=f"move them to {self.folder / 'val'}\n  {self.info.layout}",
            )
        halves = ("indoor", "outdoor") if self.split == "all" else (self.split,)
        self._adopt([f"val/{key}" for half in halves for key in read_split(*LISTS[half])])

    def files(self, sample_id: str) -> tuple[str, ...]:
        needed = (f"{sample_id}.png", f"{sample_id}_depth.npy")
        return (*needed, f"{sample_id}_depth_mask.npy") if self.field == "masked" else needed

    def advice(self, missing: Sequence[str]) -> str:
        lacking = frozenset(missing)
        for half, devkit in DEVKIT_LIST.items():
            listed = [i for i in self._ids if self.group(i) == half]
            there = sum(i not in lacking for i in listed)
            if len(listed) == LISTS[half][2] and there == devkit:
                return (
                    f"{there} {half} images are what the devkit's diode_meta.json lists (220 indoor + 392 outdoor = "
                    "612); the archive holds 325 + 446 = 771, and the subset gives other numbers"
                )
        return ""

    def group(self, sample_id: str) -> str:
        """``indoor`` or ``outdoor``."""
        return "indoor" if sample_id.startswith("val/indoors/") else "outdoor"

    def image(self, sample_id: str) -> Image:
        return read_image(self.folder / f"{sample_id}.png")

    def ground_truth(self, sample_id: str) -> GroundTruth:
        """Depth in metres, valid as the field says.

        Raises:
            SampleError: depth or mask is damaged, of the wrong kind, or the two are of different sizes.
        """
        path = self.folder / f"{sample_id}_depth.npy"
        depth = np.ascontiguousarray(_read_plane(path), dtype=np.float32)
        with np.errstate(invalid="ignore"):
            valid = (depth > 0) & (depth < np.inf)
        if self.field == "masked":
            mask_path = self.folder / f"{sample_id}_depth_mask.npy"
            mask = _read_plane(mask_path)
            if mask.shape != depth.shape:
                raise SampleError(f"{mask_path}: is {mask.shape}, its depth {depth.shape}")
            if not ((mask == 0) | (mask == 1)).all():
                raise SampleError(f"{mask_path}: holds other values than 0 and 1; is it a depth map?")
            valid &= mask == 1
        return GroundTruth(depth, valid)


def _read_plane(path: Path) -> np.ndarray[Any, Any]:
    """One array ``[H, W]`` from a .npy file; a last axis of length one is dropped."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SampleError(f"{path}: is damaged or not a plain .npy array: {error}") from error
    if not isinstance(values, np.ndarray):
        raise SampleError(f"{path}: is an archive of arrays, not one array")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise SampleError(f"{path}: holds {values.dtype} of shape {list(values.shape)}, not one number a pixel")
    return values
