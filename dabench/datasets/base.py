"""What every reader offers."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from dabench.errors import SampleError, UsageError
from dabench.types import GroundTruth, Image, PairSample, Sample


@dataclass(frozen=True)
class DatasetInfo:
    """What can be said of a dataset without its files.

    Attributes:
        name: registered name, also the folder name under the data root.
        title, summary: for ``dabench ls`` and ``dabench show``.
        tasks: ``pairs``, ``depth`` or both; the first is the default.
        licence: of the images and labels.
        source: where it comes from, as a citation.
        layout: what must lie in the root, in one line.
        how_to_get: what a user does to get it.
        bundled: it is in the wheel.
        root_is_set: ``--data-root`` is the set itself, not its parent.
        expected: counts that hold for the whole set, in words.
        splits: the parts a protocol may name; the first is the default.
        fields: the kinds of dense ground truth it has (raw and filled depth, ...); the first is the default.
        split_images: number of images a split must have, where the official list fixes it.
    """

    name: str
    title: str
    summary: str
    tasks: tuple[str, ...]
    licence: str
    source: str
    layout: str
    how_to_get: str
    bundled: bool = False
    root_is_set: bool = False
    expected: str = "any number of images"
    splits: tuple[str, ...] = ("all",)
    fields: tuple[str, ...] = ("depth",)
    split_images: Mapping[str, int] = field(default_factory=dict)


class Dataset(abc.ABC):
    """Samples of one split in a fixed order.

    A reader validates the whole set when opened and raises one DatasetError that lists every fault; what only decoding
    can tell (a truncated image) fails that sample when it is loaded. A dense reader implements `image` and
    `ground_truth`, a pair reader `load`. Images of different splits have the same id exactly where they are the same
    image, so that one prediction serves all splits.
    """

    info: ClassVar[DatasetInfo]

    def __init__(
        self,
        root: Path | None,
        *,
        task: str,
        only: frozenset[str] | None = None,
        split: str | None = None,
        field: str | None = None,
    ) -> None:
        self.root = root
        self.task = task
        self.only = only
        self.split = split or self.info.splits[0]
        self.field = field or self.info.fields[0]

    @property
    @abc.abstractmethod
    def ids(self) -> tuple[str, ...]:
        """Sample ids (image path relative to the root, without extension), in the order of the set."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 that changes when the labels or the list of samples change."""

    def image(self, sample_id: str) -> Image:
        """The image of a sample, as the official layout stores it.

        Raises:
            ImageError: it cannot be decoded.
        """
        return self.load(sample_id).image

    def ground_truth(self, sample_id: str) -> GroundTruth:
        """Dense ground truth of a sample: this reader's field.

        Raises:
            SampleError: it cannot be decoded.
        """
        raise UsageError(f"dataset '{self.info.name}' has no dense ground truth")

    def load(self, sample_id: str) -> Sample | PairSample:
        """Read one sample: image and ground truth of the same size.

        Raises:
            ImageError: its image cannot be decoded.
            SampleError: its ground truth cannot be decoded, or is of another size.
        """
        image, truth = self.image(sample_id), self.ground_truth(sample_id)
        if truth.depth.shape != image.shape[:2]:
            raise SampleError(
                f"{self.root}: '{sample_id}': depth is {truth.depth.shape}, its image {image.shape[:2]}",
                hint="image and ground truth are not of the same version of the dataset",
            )
        return Sample(sample_id, self.group(sample_id), image, truth.depth, truth.valid)

    def sequence(self, sample_id: str) -> str:
        """Clip or drive that a sample belongs to, for protocols that fit or average by sequence; ``""`` for none."""
        return ""

    @abc.abstractmethod
    def group(self, sample_id: str) -> str:
        """The group of a sample, known without decoding it."""

    def targets(self, sample_id: str) -> int:
        """How many labelled pairs a sample has, known without decoding it; 0 for dense ground truth."""
        return 0

    def weights(self, sample_id: str) -> tuple[float | None, ...] | None:
        """What each pair of a sample stands for among the candidates it was drawn from: 1 / probability of the draw.

        Returns:
            One weight a pair, None for a pair that was not drawn; None where the set states no probability at all.
        """
        return None

    @property
    def total_targets(self) -> int:
        """Labelled pairs of the whole set, whether or not ``only`` leaves some out."""
        return sum(self.targets(sample_id) for sample_id in self.ids)

    @property
    def total_samples(self) -> int:
        """Samples of the whole set, whether or not ``only`` leaves some out."""
        return len(self.ids)


def check_selection(only: frozenset[str] | None, known: frozenset[str], dataset: str) -> None:
    """Refuse a selection that names samples the set does not have.

    Raises:
        UsageError: lists up to five unknown ids.
    """
    unknown = sorted((only or frozenset()) - known)
    if unknown:
        shown = ", ".join(f"'{u}'" for u in unknown[:5]) + (" ..." if len(unknown) > 5 else "")
        example = min(known, default="")
        raise UsageError(
            f"{len(unknown)} of the selected ids are not in dataset '{dataset}': {shown}",
            hint=f"an id is the image path relative to the root without its extension, like '{example}'",
        )
