"""What readers of files share: the index, the ids, the rule for labels, and errors that say what was expected."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dabench.errors import DatasetError, SampleError

from ..labels import DenseLabels, LabelRule, refine
from ..sample import LabelledSample, TrainingDataset
from .files import read_image

RuleChanges = LabelRule | Mapping[str, Any] | None


class FileDataset(TrainingDataset):
    """Images and depth maps as files below a root.

    An id is the path of the image below the root, without its extension; samples are in the order of their ids.
    Opening lists folders and reads no image, so counts are cheap.

    Args:
        root: folder of the set.
        rule: fields of the reader's `LabelRule` to change.

    Attributes:
        default_rule: of the set; its source is in the reader's docstring.
        rule: the one in use.
        layout: one line, where image and depth lie.
        home: where the set comes from.
        paper_count: number of images in Depth Anything V2's training (arXiv 2406.09414, table 7, in thousands), or
            None for a set that it does not use.

    Raises:
        DatasetError: the root has not the layout of the set.
    """

    default_rule: ClassVar[LabelRule] = LabelRule()
    layout: ClassVar[str]
    home: ClassVar[str]
    paper_count: ClassVar[int | None] = None
    metric = True

    def __init__(self, root: Path, *, rule: RuleChanges = None) -> None:
        self.root = Path(root)
        self.rule = refine(self.default_rule, rule)
        if not self.root.is_dir():
            raise self.lacks(self.root)
        self._ids = tuple(sorted(self._find()))
        if not self._ids:
            raise self.lacks(self.root / self.layout, "no image was found")

    def __len__(self) -> int:
        return len(self._ids)

    def id_of(self, index: int) -> str:
        return self._ids[index]

    def __getitem__(self, index: int) -> LabelledSample:
        sample_id = self._ids[index]
        image, labels = self._read(sample_id)
        where = self.depth_file(sample_id)
        if image.shape[:2] != labels.disparity.shape:
            raise SampleError(
                f"{where}: has {list(labels.disparity.shape)} pixels, its image "
                f"{self.image_file(sample_id)} has {list(image.shape[:2])}"
            )
        share = float((labels.valid & ~labels.sky).mean())
        if share == 0 or share < self.rule.min_valid:
            raise SampleError(
                f"{where}: too little valid depth, {100 * share:.1f} % of the image (at least "
                f"{100 * self.rule.min_valid:g} % is wanted)"
            )
        return LabelledSample(sample_id, image, *labels, metric=self.metric)

    @abstractmethod
    def image_file(self, sample_id: str) -> Path:
        """Where the image of a sample lies."""

    @abstractmethod
    def depth_file(self, sample_id: str) -> Path:
        """Where the depth of a sample lies."""

    @abstractmethod
    def _find(self) -> Iterable[str]:
        """Ids of all samples, in any order."""

    @abstractmethod
    def _labels(self, sample_id: str) -> DenseLabels:
        """Read the labels of a sample; raises SampleError naming the file."""

    def _read(self, sample_id: str) -> tuple[npt.NDArray[np.uint8], DenseLabels]:
        return read_image(self.image_file(sample_id)), self._labels(sample_id)

    def lacks(self, expected: Path, why: str | None = None) -> DatasetError:
        """The error for a root without `expected`."""
        state = why or ("is not a folder" if expected.exists() else "no such folder")
        return DatasetError(
            f"training set '{self.name}': {expected}: {state}",
            hint=f"expected {self.layout} below {self.root}; the set comes from {self.home}",
        )
