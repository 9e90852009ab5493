"""Images and depth maps named in a list file, as those of NYU-D and KITTI for metric fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from dabench.errors import DatasetError, SampleError, UsageError

from ..labels import DenseLabels, labels_from_depth
from .base import FileDataset, RuleChanges
from .files import names, read_hdf5, read_lines, read_png16, read_values

NO_DEPTH = "None"
"""What the lists of BTS write where a frame has no ground truth."""


class FolderDepth(FileDataset):
    """Pairs of image and depth map; depth along the optical axis, 0, NaN and infinity are holes.

    A line of the list holds the image, the depth map, and whatever else (BTS and ZoeDepth have the focal length);
    lines whose depth is `None` are left out. Paths are relative, a leading `/` is ignored. Depth is a 16-bit PNG, .npy,
    .pfm, .exr or .hdf5 file. For NYU-D as BTS prepared it: `list = "nyudepthv2_train_files_with_gt.txt"`,
    `unit = 0.001`. For KITTI: `list = "kitti_eigen_train_files_with_gt.txt"`, `unit = 0.00390625` (1/256),
    `images = "raw"`, `depths = ["data_depth_annotated/train", "data_depth_annotated/val"]`.

    Args:
        root: folder that everything below is relative to.
        list: the list file.
        unit: metres (or whatever `metric = false` makes of it) of a stored 1.
        images: folder of the images.
        depths: folder of the depth maps; of several, the first that has the map.
        metric: whether depth is in metres.
        rule: fields of the label rule to change.
    """

    name = "folder-depth"
    layout = "a list file with an image and a depth map a line"
    home = "your own files; for NYU-D and KITTI https://github.com/isl-org/ZoeDepth (train_test_inputs)"

    def __init__(
        self,
        root: Path,
        *,
        list: str,
        unit: float,
        images: str = ".",
        depths: str | Sequence[str] = ".",
        metric: bool = True,
        rule: RuleChanges = None,
    ) -> None:
        if isinstance(unit, bool) or not isinstance(unit, int | float) or not (math.isfinite(unit) and unit > 0):
            raise UsageError(f"unit must be a number above 0, got {unit!r}")
        self.list, self.unit, self.images, self.metric = list, float(unit), images, metric
        self.depths = names("depths", depths)
        self._files: dict[str, tuple[str, str]] = {}
        super().__init__(root, rule=rule)

    def _find(self) -> Iterator[str]:
        path = self.root / self.list
        for folder in (self.images, *self.depths):
            if not (self.root / folder).is_dir():
                raise self.lacks(self.root / folder)
        for line in read_lines(path, f"training set '{self.name}' reads its images from it ({self.home})"):
            words = line.split()
            if len(words) < 2:
                raise DatasetError(f"{path}: '{line}' names no depth map", hint="expected: image depth, on each line")
            image, depth = (word.lstrip("/") for word in words[:2])
            if ".." in PurePosixPath(image).parts or ".." in PurePosixPath(depth).parts:
                raise DatasetError(f"{path}: '{line}' leads out of {self.root}")
            if depth == NO_DEPTH or PurePosixPath(image).name.startswith("._"):
                continue
            sample_id = str(PurePosixPath(image).with_suffix(""))
            if self._files.setdefault(sample_id, (image, depth)) != (image, depth):
                raise DatasetError(f"{path}: '{sample_id}' is listed with two different images or depth maps")
        return iter(self._files)

    def image_file(self, sample_id: str) -> Path:
        return self.root / self.images / self._files[sample_id][0]

    def depth_file(self, sample_id: str) -> Path:
        places = [self.root / folder / self._files[sample_id][1] for folder in self.depths]
        return next((place for place in places if len(places) > 1 and place.is_file()), places[0])

    def _labels(self, sample_id: str) -> DenseLabels:
        path = self.depth_file(sample_id)
        readers = {".png": read_png16, ".hdf5": read_hdf5, ".h5": read_hdf5}
        values = readers.get(path.suffix.lower(), read_values)(path)
        if values.ndim != 2:
            raise SampleError(f"{path}: has shape {list(values.shape)}; a depth map has [height, width]")
        return labels_from_depth(values.astype(np.float32) * np.float32(self.unit), self.rule)
