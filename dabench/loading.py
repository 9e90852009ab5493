"""What the model and the scoring need of one sample, read in a thread and once for all protocols of a pass."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol as Interface
from typing import runtime_checkable

import numpy as np

from dabench.datasets.base import Dataset
from dabench.errors import ModelError, SampleError
from dabench.kept import KeptMap, Shelf, image_checksum
from dabench.passes import Pass, Setting
from dabench.types import DepthModel, GroundTruth, Image, Pair, PairModel, PairSample, Prediction

ASPECT_TOLERANCE = 0.05
"""Image and ground truth may differ in size, as ETH3D's undistorted images do, but not in shape."""


@runtime_checkable
class SavedMaps(Interface):
    """A model that looks its maps up. They are final: neither cropped nor flipped, and of any size."""

    def saved(self, sample_id: str) -> Prediction:
        """The map of a sample as it was saved. Raises ModelError."""
        ...


@dataclass(eq=False)
class Loaded:
    """One sample, as far as the unfinished protocols of a pass need it; what could not be read is its exception.

    Attributes:
        image: what the model is shown.
        shape: rows and columns of the whole image, where it was read.
        checksum: of ``image``, where predictions are kept.
        truths: ground truth by field.
        pairs: labelled pairs by split.
        ready: a prediction that need not be computed, or why a saved one cannot be used.
        kept: whether that prediction is one that dabench kept.
        window: first row and column of the part that the prediction covers; None for the whole.
    """

    image: Image | Exception | None = None
    shape: tuple[int, int] | None = None
    checksum: str = ""
    truths: dict[str, GroundTruth | Exception] = field(default_factory=dict)
    pairs: dict[str, tuple[Pair, ...] | Exception] = field(default_factory=dict)
    ready: KeptMap | Exception | None = None
    kept: bool = False
    window: tuple[int, int] | None = None

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        arrays = [
            self.image,
            *(a for t in self.truths.values() if isinstance(t, GroundTruth) for a in (t.depth, t.valid)),
        ]
        if isinstance(self.ready, KeptMap):
            arrays.append(self.ready.prediction.values)
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


class Reader:
    """Reads the samples of one pass.

    Args:
        work: the pass.
        model: whose predictions are wanted.
        shelf: kept predictions, or None.
        reuse: whether kept predictions may stand for new ones.
        keep: whether new ones are kept, with a checksum of their image.
    """

    def __init__(
        self, work: Pass, model: DepthModel | PairModel, shelf: Shelf | None, *, reuse: bool, keep: bool
    ) -> None:
        self._jobs, self._setting = work.jobs, work.setting
        self._saved = model if isinstance(model, SavedMaps) else None
        self._shelf, self._reuse, self._keep = shelf, reuse, keep

    def __call__(self, sample_id: str) -> Loaded:
        """Read one sample. Never raises: whatever is wrong with one sample must not end the run."""
        loaded = Loaded()
        wanting = [job for job in self._jobs if job.wants(sample_id)] or list(self._jobs)
        dense = {job.dataset.field: job.dataset for job in wanting if job.rule is not None}
        paired = {job.dataset.split: job.dataset for job in wanting if job.rule is None}
        for split, dataset in paired.items():
            try:
                sample = dataset.load(sample_id)
                assert isinstance(sample, PairSample)
                loaded.pairs[split], loaded.image = sample.pairs, sample.image
            except Exception as error:
                loaded.pairs[split] = error
        for name, dataset in dense.items():
            try:
                loaded.truths[name] = dataset.ground_truth(sample_id)
            except Exception as error:
                loaded.truths[name] = error
        answers = [*loaded.pairs.values(), *loaded.truths.values()]
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if len(errors) == len(answers):  # nothing to score against: the model need not be asked
            loaded.image = errors[0]
            return loaded
        try:
            self._prepare(sample_id, loaded, dense.values() or paired.values())
        except Exception as error:
            loaded.image = error
        return loaded

    def _prepare(self, sample_id: str, loaded: Loaded, datasets: Iterable[Dataset]) -> None:
        """Read the image if need be, and find its prediction if there is one."""
        if loaded.image is None and (self._saved is None or loaded.pairs):
            loaded.image = next(iter(datasets)).image(sample_id)
        if loaded.image is not None:
            assert not isinstance(loaded.image, Exception)
            loaded.shape = (loaded.image.shape[0], loaded.image.shape[1])
            for name, truth in loaded.truths.items():
                if isinstance(truth, GroundTruth):
                    _check_shape(sample_id, name, loaded.shape, truth.depth.shape)
        if self._saved is not None:
            if not loaded.pairs:  # points are in pixels of the image, and the model brings its map to that size
                self._find_saved(sample_id, loaded)
            return
        assert loaded.image is not None and not isinstance(loaded.image, Exception)
        if self._setting.kb:
            loaded.image, loaded.window = _kb_crop(loaded.image)
        if self._keep:
            loaded.checksum = image_checksum(loaded.image)
        if self._shelf is not None and self._reuse:
            loaded.ready = self._shelf.read(sample_id, loaded.image)
            loaded.kept = loaded.ready is not None

    def _find_saved(self, sample_id: str, loaded: Loaded) -> None:
        """A saved map, whose size must agree with what the protocols show the model."""
        assert self._saved is not None
        start = time.perf_counter()
        try:
            prediction = self._saved.saved(sample_id)
            depths = [t.depth.shape for t in loaded.truths.values() if isinstance(t, GroundTruth)]
            if depths:
                loaded.window = _saved_window(sample_id, prediction, depths[0], self._setting)
            loaded.ready = KeptMap(prediction, time.perf_counter() - start)
        except Exception as error:
            loaded.ready = error


def _check_shape(sample_id: str, name: str, image: tuple[int, ...], depth: tuple[int, ...]) -> None:
    ratio = (image[0] * depth[1]) / (image[1] * depth[0])
    if abs(ratio - 1.0) > ASPECT_TOLERANCE:
        raise SampleError(
            f"'{sample_id}': {name} is {depth[0]}x{depth[1]}, its image {image[0]}x{image[1]}",
            hint="image and ground truth are not of the same version of the dataset",
        )


def _kb_crop(image: Image) -> tuple[Image, tuple[int, int]]:
    from dabench.scoring.crops import KB_SIZE, kb_window

    top, left = kb_window(*image.shape[:2])
    height, width = KB_SIZE
    return image[top : top + height, left : left + width], (top, left)


def _saved_window(
    sample_id: str, prediction: Prediction, depth: tuple[int, ...], setting: Setting
) -> tuple[int, int] | None:
    """Where a saved map lies in the ground truth.

    Raises:
        ModelError: it is transposed, or of the crop where the protocol shows the whole image, or the reverse.
    """
    from dabench.scoring.crops import KB_SIZE, kb_window

    shape = prediction.values.shape
    if shape == (depth[1], depth[0]) and depth[0] != depth[1]:
        raise ModelError(f"the map of '{sample_id}' is {shape[0]}x{shape[1]}, the transpose of its ground truth")
    if not setting.kb:
        if shape == KB_SIZE and depth != KB_SIZE and depth[1] > KB_SIZE[1]:
            raise ModelError(
                f"the map of '{sample_id}' is of the {shape[0]}x{shape[1]} crop of its image",
                hint="this protocol shows the model the whole image; one with crop.image = 'kb' fits",
            )
        return None
    if shape == depth != KB_SIZE:
        raise ModelError(
            f"the map of '{sample_id}' is of the whole image",
            hint=f"this protocol shows the model the {KB_SIZE[0]}x{KB_SIZE[1]} crop; save maps of that",
        )
    return kb_window(depth[0], depth[1])
