"""NYU Depth V2 (Silberman et al., ECCV 2012): the 654 labelled test images, in the forms in which people have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dabench.datasets.base import DatasetInfo
from dabench.datasets.layouts import AbsentError, IncompleteError, fingerprint
from dabench.datasets.listed import ListedDataset, fault_list
from dabench.datasets.nyu_layouts import LAYOUTS, NyuLayout, NyuSample
from dabench.datasets.split_lists import read_split
from dabench.errors import DatasetError
from dabench.types import GroundTruth, Image

TEST = ("nyu-test", "f1b9fd627829db555fefc1a0f015990660d21d61bf962ace05b7392e5c14a37e", 654)
"""0-based indices among the 1449 labelled images (``testNdxs`` of the authors' splits.mat, minus 1)."""


class NyuD(ListedDataset):
    """Reader of the 654 test images of 480 x 640 pixels.

    Field ``raw``: the Kinect's depth, 0 where it saw nothing (about a quarter). ``filled``: the same with invented
    values in the holes. They give different numbers; most protocols use ``raw``. The layout is found by looking
    (`nyu_layouts`); a root that has several is refused, since their images differ. Group: the scene type, where the
    layout has it.
    """

    info = DatasetInfo(
        name="nyu-d",
        title="NYU Depth V2",
        summary="654 labelled test images of rooms with Kinect depth, raw or with its holes filled",
        tasks=("depth",),
        licence="none stated; for research",
        source="Silberman et al., Indoor Segmentation and Support Inference from RGBD Images, ECCV 2012; test images: "
        "splits.mat of the same authors",
        layout="layout: one of nyu_depth_v2_labeled.mat (both fields); official_splits/test/<scene>/rgb_%05d.jpg and "
        "sync_depth_%05d.png as made by BTS (raw); test/<scene>/rgb_%04d.png and depth_%04d.png as made by Marigold "
        "(raw); val/official/%05d.h5 as made by FastDepth (filled)",
        how_to_get="run `dabench data fetch nyu-d --data-root DIR`, or put "
        "http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat (2.8 GB) into DIR/nyu-d",
        expected="654 test images",
        splits=("test",),
        fields=("raw", "filled"),
        split_images={"test": 654},
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
        self._layout = self._find_layout()
        indices = frozenset(map(int, read_split(*TEST)))
        self._samples: dict[str, NyuSample] = {}
        by_index: dict[int, NyuSample] = {}
        for sample in sorted(self._layout.samples(self.field, only or frozenset()), key=lambda s: (s.index, s.id)):
            if sample.index not in indices:
                continue
            other = by_index.setdefault(sample.index, sample)
            if other != sample:
                raise DatasetError(
                    f"dataset 'nyu-d': {self.root} holds image {sample.index} twice: {other.image} and {sample.image}"
                )
            self._samples[sample.id] = sample
        gone = sorted(indices - set(by_index))
        if gone and only is None:
            missing = [self._layout.absent(index) for index in gone]
            raise IncompleteError(
                f"dataset 'nyu-d': {self.root} holds {len(by_index)} of the 654 images as {self._layout.name}:"
                f"{fault_list([f'missing {path}' for path in missing])}",
                hint=f"{self.info.how_to_get}\n  {self.info.layout}",
                missing=missing,
                present=self._samples,
            )
        self._adopt(tuple(self._samples))
        truths = {s.truth: self.folder / s.truth for s in self._samples.values()}
        self._fingerprint = fingerprint(("nyu-d", self.split, self.field, *read_split(*TEST)), truths.items())

    def _find_layout(self) -> NyuLayout:
        found = [layout for kind in LAYOUTS if (layout := kind.find(self.folder)) is not None]
        if not found:
            raise AbsentError(
                f"dataset 'nyu-d': {self.root} has none of the known layouts",
                hint=f"{self.info.how_to_get}\n  {self.info.layout}",
            )
        if len(found) > 1:
            raise DatasetError(
                f"dataset 'nyu-d': {self.root} holds both {found[0].name} and {found[1].name}, whose images differ",
                hint="keep each in a root of its own, so that it is clear which one is scored",
            )
        if self.field not in found[0].fields:
            raise AbsentError(
                f"dataset 'nyu-d': {self.root} is {found[0].name}: {found[0].lacks}", hint=self.info.how_to_get
            )
        return found[0]

    @property
    def total_samples(self) -> int:
        return self.info.split_images[self.split]

    def files(self, sample_id: str) -> tuple[str, ...]:
        sample = self._samples[sample_id]
        return tuple(dict.fromkeys((sample.image, sample.truth)))

    def advice(self, missing: Sequence[str]) -> str:
        return f"the root was read as {self._layout.name}"

    def group(self, sample_id: str) -> str:
        return self._layout.scene(self._samples[sample_id])

    def image(self, sample_id: str) -> Image:
        return self._layout.checked_image(self._samples[sample_id])

    def ground_truth(self, sample_id: str) -> GroundTruth:
        return self._layout.ground_truth(self._samples[sample_id], self.field)
