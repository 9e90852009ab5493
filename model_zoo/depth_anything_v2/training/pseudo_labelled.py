"""Images and the labels that a teacher gave them, joined by key, as a dataset for training."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from dabench.errors import DatasetError, SampleError, UsageError

from .pseudo_label.codec import LabelFacts, decode_label
from .pseudo_label.store import FACTS, LABEL, SUMMARY, LabelStore, ShardSummary, read_summary
from .sample import LabelledSample, TrainingDataset
from .shards import SHARD_SIZE, ImageShard, TarIndex, describe_images, find_shards, index_tar, keys_digest

RESIZE = ("image", "label")
OPEN_SHARDS = 32
"""Shards whose keys and offsets are kept in memory; a feed reads few shards at a time."""


class PseudoLabelled(TrainingDataset):
    """Images of folders or tar shards with labels of `dabench pseudo-label`. Images without a label are left out.

    Args:
        root: folder of images, or of tar shards; or a list of these and of tar files.
        labels: folder of the labels; a relative one is looked for in `root` (in the first of several).
        resize: labels have the size of the teacher's input, images their own. "image" brings the image to the label
            (area where it shrinks, else cubic), which keeps the label's every value and gives training what the
            teacher saw; "label" brings the label to the image (bilinear; it is dense, and sky stays exact).
        teacher: SHA-256 of the teacher's weights that is expected, or its beginning; any teacher if None.
        partial: use the shards that are done instead of refusing when some are not.
        cache: folder for the indices of tar files; within `labels` if None.

    The unit of disparity is the teacher's, so `metric` is False. Sky is where the teacher gave exactly 0. A map of a
    single value says nothing, and has no valid pixel.

    Raises:
        DatasetError: labels are missing, or do not belong to these images or to this teacher.
        RecordError: `labels` has no usable `run.json`.
    """

    name = "pseudo-labelled"
    metric = False

    def __init__(
        self,
        root: Path | Sequence[Path],
        *,
        labels: str | Path,
        resize: str = "image",
        teacher: str | None = None,
        partial: bool = False,
        cache: Path | None = None,
    ) -> None:
        if resize not in RESIZE:
            raise UsageError(f"resize '{resize}' is unknown", hint=f"choose {' or '.join(RESIZE)}")
        roots = [root] if isinstance(root, str | Path) else list(root)
        roots = [Path(path) for path in roots]
        if not roots:
            raise UsageError("no images are given", hint="give a folder or tar shards")
        # by the text, as a symbolic link at the root should not move it
        self.labels, self.resize = Path(os.path.normpath(roots[0] / labels)), resize
        store = LabelStore(self.labels)
        manifest = store.manifest()
        self.teacher = _agreed_teacher(self.labels, manifest, teacher)
        self.cache = cache or store.index_folder
        division = manifest.get("images")
        shards = find_shards(roots, shard_size=division["shard_size"] if division else SHARD_SIZE, cache=self.cache)
        _check_division(self.labels, shards, division)
        self._shards: list[ImageShard] = []
        self._summaries: list[ShardSummary] = []
        missing = []
        for shard in shards:
            if not store.done(shard.name):
                missing.append(shard.name)
                continue
            summary = read_summary(store.tar(shard.name))
            self._check_summary(store.tar(shard.name), summary)
            if summary.labelled:
                self._shards.append(shard)
                self._summaries.append(summary)
        if missing and not partial:
            raise DatasetError(
                f"{self.labels} lacks labels of {len(missing)} of {len(shards)} shards, the first is {missing[0]}",
                hint="finish `dabench pseudo-label`, or set partial = true to train on what is there",
            )
        if not self._shards:
            raise DatasetError(f"{self.labels} holds no label of any of these images")
        self._ends = list(accumulate(summary.labelled for summary in self._summaries))
        self._open: OrderedDict[int, tuple[TarIndex, tuple[int, ...]]] = OrderedDict()

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Labelled images in each shard, in order; those of one shard are read fast together."""
        return tuple(summary.labelled for summary in self._summaries)

    def __len__(self) -> int:
        return self._ends[-1]

    def id_of(self, index: int) -> str:
        block, number = self._place(index)
        return self._key(self._labels_of(block)[0], number)

    def __getitem__(self, index: int) -> LabelledSample:
        block, number = self._place(index)
        labels, positions = self._labels_of(block)
        shard, key = self._shards[block], self._key(labels, number)
        where = f"{labels.path}: {key}"
        try:
            facts = msgspec.json.decode(labels.read(2 * number + 1), type=LabelFacts)
        except msgspec.DecodeError as error:
            raise SampleError(f"{where}{FACTS} is damaged: {error}", hint="label this shard again") from error
        if facts.key != key:
            raise SampleError(f"{where}{FACTS} belongs to '{facts.key}'", hint="label this shard again")
        disparity = decode_label(labels.read(2 * number), facts, f"{where}{LABEL}")
        image = shard.image(positions[number])
        if image.shape[:2] != facts.image_size:
            raise SampleError(
                f"{shard.locate(positions[number])}: has {list(image.shape[:2])} pixels, "
                f"and had {list(facts.image_size)} when it was labelled",
                hint="label the changed images again, into a new folder",
            )
        sky = disparity == 0
        if self.resize == "image":
            image = resize_image(image, facts.size)
        else:
            disparity, sky = _resize_label(disparity, sky, facts.image_size)
        if facts.constant:
            sky = np.zeros_like(sky)
            disparity = np.zeros_like(disparity)
        valid = np.full(disparity.shape, not facts.constant)
        return LabelledSample(id=key, image=image, disparity=disparity, valid=valid, sky=sky, metric=False)

    def check(self) -> None:
        """Compare the keys of all images and labels now rather than as shards are reached. Raises DatasetError."""
        for block in range(len(self._shards)):
            self._labels_of(block)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": OrderedDict()}

    def _place(self, index: int) -> tuple[int, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        block = bisect_right(self._ends, index)
        return block, index - (self._ends[block - 1] if block else 0)

    @staticmethod
    def _key(labels: TarIndex, number: int) -> str:
        return labels.names[2 * number].removesuffix(LABEL)

    def _labels_of(self, block: int) -> tuple[TarIndex, tuple[int, ...]]:
        """Index of a label file, and the place in the image shard of each of its labels."""
        if block in self._open:
            self._open.move_to_end(block)
            return self._open[block]
        shard, summary = self._shards[block], self._summaries[block]
        path = self.labels / f"{shard.name}.tar"
        labels = index_tar(path, self.cache)
        keys = shard.keys
        if keys_digest(keys) != summary.keys_sha256:
            raise DatasetError(
                f"{path}: labels of {summary.images} other images than the {len(keys)} of shard {shard.name}",
                hint="give the images that were labelled, in the same shards",
            )
        failed = {image.key for image in summary.failed}
        kept = [(position, key) for position, key in enumerate(keys) if key not in failed]
        expected = [key + suffix for _, key in kept for suffix in (LABEL, FACTS)]
        if list(labels.names) != [*expected, SUMMARY]:
            odd = next((a for a, b in zip(expected, labels.names, strict=False) if a != b), f"{len(kept)} labels")
            raise DatasetError(f"{path}: expected {odd}, which is not there", hint="delete the file and label again")
        self._open[block] = labels, tuple(position for position, _ in kept)
        if len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return self._open[block]

    def _check_summary(self, path: Path, summary: ShardSummary) -> None:
        if summary.teacher != self.teacher:
            raise DatasetError(
                f"{path}: labelled by teacher {summary.teacher}, the folder's is {self.teacher}",
                hint="keep the labels of two teachers in two folders",
            )
        if summary.shard != path.name.removesuffix(".tar"):
            raise DatasetError(f"{path}: holds the labels of shard {summary.shard}", hint="do not rename label files")


def resize_image(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """``uint8 [H, W, 3]`` -> ``uint8 [h, w, 3]``: pixel areas averaged where both sides shrink, cubic else."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _resize_label(
    disparity: npt.NDArray[np.float32], sky: npt.NDArray[np.bool_], size: tuple[int, int]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Bilinear; the sky by the nearest pixel, and exactly 0 there only if it was sky."""
    disparity = np.asarray(cv2.resize(disparity, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    sky = cv2.resize(sky.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).view(np.bool_)
    disparity[sky] = 0
    return disparity, sky


def _agreed_teacher(labels: Path, manifest: dict[str, object], expected: str | None) -> str | None:
    facts = manifest.get("teacher")
    teacher = facts.get("weights_sha256") if isinstance(facts, dict) else None
    if expected is not None and not (teacher and teacher.startswith(expected.lower())):
        raise DatasetError(
            f"{labels}: labelled by teacher {teacher}, expected {expected}",
            hint="label with that teacher, into another folder",
        )
    return teacher if isinstance(teacher, str) else None


def _check_division(labels: Path, shards: Sequence[ImageShard], division: object) -> None:
    now = describe_images(shards)
    if now != division:
        raise DatasetError(
            f"{labels}: the images are not those that were labelled: {_count(now)} now, {_count(division)} then",
            hint="images added or removed shift all virtual shards; restore the folder, or label it anew",
        )


def _count(division: object) -> str:
    return f"{division.get('count')} files in folders" if isinstance(division, dict) else "tar files"
