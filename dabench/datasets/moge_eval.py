"""The evaluation bundle of MoGe (Wang et al., arXiv 2410.19115): ten datasets in one processed form.

Source: microsoft/MoGe, ``docs/eval.md``, ``configs/eval/all_benchmarks.json`` and ``moge/test/dataloader.py``; the
files are the Hugging Face dataset Ruicheng/monocular-geometry-evaluation. The warp to a common field of view is part of
that protocol, so images and ground truth come out warped (`dabench.datasets.field_of_view`), in the target size of the
set. The loader's limit of depth to a thousand times its 1 % quantile is left to the protocol. Written from the loader,
without the bundle at hand: that every ``.index.txt`` has the count given here, and that the archives hold a folder of
the set's name, could not be checked.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from dabench.datasets.base import DatasetInfo
from dabench.datasets.field_of_view import View, target_view
from dabench.datasets.formats import read_image, upright_size
from dabench.datasets.layouts import AbsentError
from dabench.datasets.listed import ListedDataset, fault_list
from dabench.datasets.log_depth import read_log_depth
from dabench.errors import DatasetError, SampleError
from dabench.types import GroundTruth, Image

INDEX = ".index.txt"


@dataclass(frozen=True)
class BundledSet:
    """One dataset of the bundle.

    Attributes:
        folder: its folder in the bundle.
        size: (height, width) of the warped images.
        images: length of its index, where known.
    """

    folder: str
    size: tuple[int, int]
    images: int | None = None


SETS = {
    "nyuv2": BundledSet("NYUv2", (480, 640), 654),
    "kitti": BundledSet("KITTI", (375, 750), 652),
    "eth3d": BundledSet("ETH3D", (1365, 2048), 454),
    "ibims-1": BundledSet("iBims-1", (480, 640)),
    "gso": BundledSet("GSO", (512, 512)),
    "sintel": BundledSet("Sintel", (436, 872), 1064),
    "ddad": BundledSet("DDAD", (700, 1400)),
    "diode": BundledSet("DIODE", (768, 1024), 771),
    "spring": BundledSet("Spring", (1080, 1920)),
    "hammer": BundledSet("HAMMER", (832, 1664)),
}


class MogeEval(ListedDataset):
    """Reader of the bundle; each of its ten datasets is a split. A sample is valid where depth is known and finite.

    Depth of ``gso``, ``sintel`` and ``spring`` is not in metres. An image whose ground truth is empty comes out without
    a valid pixel; MoGe's loader fills it with ones instead.
    """

    info = DatasetInfo(
        name="moge-eval",
        title="MoGe evaluation bundle",
        summary="NYUv2, KITTI, ETH3D, iBims-1, GSO, Sintel, DDAD, DIODE, Spring and HAMMER as MoGe evaluates them",
        tasks=("depth",),
        licence="that of each dataset; mostly non-commercial",
        source="Wang et al., MoGe, arXiv 2410.19115; microsoft/MoGe, docs/eval.md and moge/test/dataloader.py",
        layout="layout: <Set>/.index.txt naming folders <Set>/<item> with image.jpg, depth.png and meta.json; sets: "
        + ", ".join(s.folder for s in SETS.values()),
        how_to_get="run `dabench data fetch moge-eval --data-root DIR`, or unpack the archives of "
        "https://huggingface.co/datasets/Ruicheng/monocular-geometry-evaluation into DIR/moge-eval",
        expected=", ".join(f"{s.folder} {s.images}" for s in SETS.values() if s.images)
        + " images; the others as indexed",
        splits=tuple(SETS),
        split_images={name: s.images for name, s in SETS.items() if s.images},
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
        self._set = SETS[self.split]
        self._view: tuple[tuple[bytes, tuple[int, int]], View] | None = None
        content, items = self._index()
        self._adopt([f"{self._set.folder}/{item}/image" for item in items])
        self._fingerprint = hashlib.sha256(self._fingerprint.encode() + content).hexdigest()

    def _index(self) -> tuple[bytes, list[str]]:
        path = self.folder / self._set.folder / INDEX
        hint = f"{self.info.how_to_get}\n  {self.info.layout}"
        try:
            content = path.read_bytes()
            items = [line.strip().rstrip("/") for line in content.decode("utf-8").splitlines() if line.strip()]
        except FileNotFoundError as error:
            raise AbsentError(f"dataset 'moge-eval': {path} is missing", hint=hint) from error
        except (OSError, ValueError) as error:
            raise DatasetError(f"dataset 'moge-eval': {path} is not readable: {error}", hint=hint) from error
        faults = [f"'{item}' is not a path inside the set" for item in items if not _inside(item)]
        faults += [f"'{item}' is in it {count} times" for item, count in Counter(items).items() if count > 1]
        wanted = self._set.images
        if not items or (wanted is not None and len(items) != wanted):
            faults.append(f"names {len(items)} images; the whole set has {wanted or 'some'}")
        if faults:
            raise DatasetError(f"dataset 'moge-eval': {path} is refused:{fault_list(faults)}", hint=hint)
        return content, items

    def files(self, sample_id: str) -> tuple[str, ...]:
        item = sample_id.removesuffix("/image")
        return f"{item}/image.jpg", f"{item}/depth.png", f"{item}/meta.json"

    def group(self, sample_id: str) -> str:
        """The name of the set."""
        return self._set.folder

    def image(self, sample_id: str) -> Image:
        """The warped image, ``uint8 [H, W, 3]`` in the size of the set."""
        pixels = read_image(self.folder / f"{sample_id}.jpg")
        return self._view_of(sample_id, (pixels.shape[0], pixels.shape[1])).image(pixels)

    def ground_truth(self, sample_id: str) -> GroundTruth:
        """The warped depth, in the size of the set."""
        image_path, depth_path, _ = self.files(sample_id)
        stored = read_log_depth(self.folder / depth_path)
        return GroundTruth(*self._view_of(sample_id, upright_size(self.folder / image_path)).depth(stored))

    def _view_of(self, sample_id: str, size: tuple[int, int]) -> View:
        """The warp of an image; the last one is kept, since neighbours mostly share their camera."""
        intrinsics = self._intrinsics(sample_id)
        key = (intrinsics.tobytes(), size)
        kept = self._view
        if kept is not None and kept[0] == key:
            return kept[1]
        view = target_view(intrinsics, size, self._set.size)
        self._view = (key, view)
        return view

    def _intrinsics(self, sample_id: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        path = self.folder / self.files(sample_id)[2]
        try:
            matrix = np.asarray(json.loads(path.read_bytes())["intrinsics"], dtype=np.float64)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise SampleError(f"{path}: has no readable intrinsics: {error!r}") from error
        usable = matrix.shape == (3, 3) and bool(np.isfinite(matrix).all())
        if usable:
            usable = matrix[0, 0] > 0 < matrix[1, 1] and matrix[0, 1] == 0 == matrix[1, 0]
            usable = usable and matrix[2].tolist() == [0, 0, 1] and bool((abs(matrix) < 100).all())
        if not usable:
            raise SampleError(
                f"{path}: intrinsics {matrix.tolist()} are not a normalised camera matrix",
                hint="rows [fx, 0, cx], [0, fy, cy], [0, 0, 1], with x divided by the width and y by the height",
            )
        return matrix


def _inside(item: str) -> bool:
    path = PurePosixPath(item)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in item and "\0" not in item
