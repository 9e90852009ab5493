"""MPI-Sintel (Butler et al., ECCV 2012), training part with depth, in its official layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dabench.datasets.base import DatasetInfo
from dabench.datasets.formats import read_image, read_sintel_cam, read_sintel_dpt
from dabench.datasets.layouts import base_of, fingerprint
from dabench.datasets.listed import ListedDataset
from dabench.datasets.split_lists import read_split
from dabench.errors import SampleError
from dabench.types import GroundTruth, Image

FRAMES = ("sintel-training", "567b7a55faaabcaeb4d69f0f9865ed58daee5e5049ef29005c7c3146b6901c5b", 1064)
"""Lines ``<scene>/frame_%04d``: 50 frames a scene but ambush_2 21, ambush_4 33, ambush_6 20, market_6 40."""

DYNAMIC_SCENES = frozenset(
    {
        "alley_2", "ambush_4", "ambush_5", "ambush_6", "cave_2", "cave_4", "market_2", "market_5", "market_6",
        "shaman_3", "sleeping_1", "sleeping_2", "temple_2", "temple_3",
    }
)  # fmt: skip
"""What the DUSt3R line of work scores (Junyi42/monst3r, ``dust3r/eval_metadata.py``): 643 frames."""

SIZE = (436, 1024)
IMAGE_FOLDERS = ("training", "MPI-Sintel-complete/training", "Sintel/training", ".")
DEPTH_FOLDERS = (*IMAGE_FOLDERS[:-1], "MPI-Sintel-depth-training-20150305/training", ".")


class Sintel(ListedDataset):
    """Reader of the 23 training scenes: passes ``final`` and ``clean`` (1064 frames) and 14 scenes of ``final`` (643).

    Depth is dense and the same for both passes. The sky is stored as about 1e5 m and left as it is: a protocol's upper
    bound masks or clips it. A value of 0 or infinity would count as no ground truth; there is none in the official
    files. Group and sequence: the scene.

    Images and depth are found below ``training``, ``MPI-Sintel-complete/training``, ``Sintel/training`` or the root,
    depth also below ``MPI-Sintel-depth-training-20150305/training``. Ids are the images' paths as they are found.
    """

    info = DatasetInfo(
        name="sintel",
        title="MPI-Sintel",
        summary="23 scenes of the animated film Sintel with exact depth; the sky lies at about 1e5 m",
        tasks=("depth",),
        licence="CC BY 3.0 (Blender Foundation, durian.blender.org); the dataset is for research",
        source="Butler et al., A naturalistic open source movie for optical flow evaluation, ECCV 2012; "
        "http://sintel.is.tue.mpg.de/depth",
        layout="layout: training/{final,clean}/<scene>/frame_%04d.png, training/depth/<scene>/frame_%04d.dpt "
        "and, where cameras are wanted, training/camdata_left/<scene>/frame_%04d.cam; training may lie in the root, in "
        "MPI-Sintel-complete or, for depth, in MPI-Sintel-depth-training-20150305",
        how_to_get="run `dabench data fetch sintel --data-root DIR`, or unpack MPI-Sintel-complete.zip (or "
        "MPI-Sintel-training_images.zip) of http://sintel.is.tue.mpg.de/downloads and "
        "MPI-Sintel-depth-training-20150305.zip of http://sintel.is.tue.mpg.de/depth into DIR/sintel",
        expected="23 scenes, 1064 frames a pass",
        splits=("final", "clean", "final-dynamic"),
        split_images={"final": 1064, "clean": 1064, "final-dynamic": 643},
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
        rendering = "clean" if self.split == "clean" else "final"
        images = base_of("sintel", self.folder, IMAGE_FOLDERS, (rendering,), f"a folder '{rendering}'")
        self._depth = base_of("sintel", self.folder, DEPTH_FOLDERS, ("depth",), "a folder 'depth'")
        frames = read_split(*FRAMES)
        if self.split == "final-dynamic":
            frames = tuple(f for f in frames if f.partition("/")[0] in DYNAMIC_SCENES)
        self._adopt([f"{images}{rendering}/{f}" for f in frames])
        self._fingerprint = fingerprint(
            ("sintel", self.split, self.field), ((f, self.folder / self._truth(f)) for f in frames)
        )

    def _truth(self, frame: str) -> str:
        return f"{self._depth}depth/{frame}.dpt"

    def files(self, sample_id: str) -> tuple[str, ...]:
        return f"{sample_id}.png", self._truth(_frame(sample_id))

    def advice(self, missing: Sequence[str]) -> str:
        lacking, every = Counter(map(self.group, missing)), Counter(map(self.group, self._ids))
        gone = sorted(scene for scene, count in lacking.items() if count == every[scene])
        if not gone or len(gone) == len(every):
            return ""
        also = "; the 14 dynamic scenes alone are split 'final-dynamic'" if DYNAMIC_SCENES.isdisjoint(gone) else ""
        return f"{len(gone)} of {len(every)} scenes are not there at all: {', '.join(gone)}{also}"

    def group(self, sample_id: str) -> str:
        return PurePosixPath(sample_id).parent.name

    def sequence(self, sample_id: str) -> str:
        return self.group(sample_id)

    def image(self, sample_id: str) -> Image:
        path = self.folder / f"{sample_id}.png"
        image = read_image(path)
        if image.shape[:2] != SIZE:
            raise SampleError(f"{path}: is {image.shape[0]} x {image.shape[1]}; Sintel's frames are 436 x 1024")
        return image

    def ground_truth(self, sample_id: str) -> GroundTruth:
        path = self.folder / self._truth(_frame(sample_id))
        depth = read_sintel_dpt(path)
        if np.isnan(depth).any() or (depth < 0).any():
            raise SampleError(f"{path}: holds values that are no depths: NaN or below zero")
        return GroundTruth(depth, np.isfinite(depth) & (depth > 0))

    def camera(self, sample_id: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Intrinsics ``[3, 3]`` in pixels and extrinsics ``[3, 4]`` (world to camera) of a sample.

        Raises:
            SampleError: its .cam file is missing or damaged.
        """
        return read_sintel_cam(self.folder / f"{self._depth}camdata_left/{_frame(sample_id)}.cam")


def _frame(sample_id: str) -> str:
    """``<scene>/frame_%04d`` of a sample."""
    return "/".join(sample_id.rsplit("/", 2)[1:])
