"""The nouns of dabench: what a dataset yields, what a model returns, and what a catalogue row says.

Conventions, everywhere: images are ``uint8 [H, W, 3]`` in RGB order; depth is ``float32 [H, W]`` in metres along the
optical axis (z, never ray length); points are ``(row, col)`` in pixels of the original image, from its top left.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dabench.errors import ModelError, UsageError

Image = npt.NDArray[np.uint8]
DepthMap = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Point = tuple[int, int]
Points = tuple[Point, Point]


class Output(StrEnum):
    """What the values of a prediction mean. It is checked before any alignment.

    DISPARITY: affine-invariant inverse depth, larger is nearer (MiDaS, Depth Anything).
    DEPTH: affine-invariant depth, larger is farther (Marigold).
    METRIC: metres along the optical axis, larger is farther (Depth Anything V2 metric, ZoeDepth).
    ORDER: no map at all, only which of two points is closer (a :class:`PairModel`); not a meaning of map values.
    """

    DISPARITY = "disparity"
    DEPTH = "depth"
    METRIC = "metric"
    ORDER = "order"

    @property
    def larger_is_nearer(self) -> bool:
        return self is Output.DISPARITY


MAP_OUTPUTS = (Output.DISPARITY, Output.DEPTH, Output.METRIC)
"""What the values of a map can mean."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """One predicted map.

    Attributes:
        values: ``float32 [H, W]``, the size of the image it was predicted from. May hold non-finite values; scoring
            counts those by the protocol's rule.
        output: what the values mean.
    """

    values: DepthMap
    output: Output


@dataclass(frozen=True)
class Pair:
    """Two points of one image, of which an annotator named the closer one (DA-2K).

    Attributes:
        point1, point2: ``(row, col)`` in pixels of the original image.
        closer: 1 or 2.
    """

    point1: tuple[int, int]
    point2: tuple[int, int]
    closer: int

    def __post_init__(self) -> None:
        if self.closer not in (1, 2):
            raise ValueError(f"closer must be 1 or 2, got {self.closer!r}")


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with dense ground truth.

    Attributes:
        id: image path relative to the dataset's root, without the extension.
        group: the name under which results are broken down (a scene type, a split half), or ``""``.
        image: ``uint8 [H, W, 3]`` RGB.
        depth: ``float32 [H, W]`` metres along the optical axis; meaningless where not ``valid``.
        valid: ``bool [H, W]``, where the dataset has ground truth at all (a protocol narrows it further).
    """

    id: str
    group: str
    image: Image
    depth: DepthMap
    valid: Mask


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Dense ground truth of one image.

    Attributes:
        depth: ``float32 [H, W]`` metres along the optical axis; meaningless where not ``valid``.
        valid: ``bool [H, W]``, where the dataset has ground truth at all (a protocol narrows it further).
    """

    depth: DepthMap
    valid: Mask


@dataclass(frozen=True, eq=False)
class PairSample:
    """One image with labelled point pairs instead of dense depth.

    Attributes:
        id: image path relative to the dataset's root, without the extension.
        group: scene type, or ``""``.
        image: ``uint8 [H, W, 3]`` RGB.
        pairs: at least one pair; every point lies inside the image.
    """

    id: str
    group: str
    image: Image
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class ModelInfo:
    """What a record says about the model that made it.

    Attributes:
        name: ``family-variant[-domain]``; the folder name of its records.
        output: what its predictions mean.
        weights_sha256: SHA-256 of the weight file (of all predictions together, for saved predictions).
        parameters: number of parameters.
        licence: SPDX-like licence of the weights.
        source: where the weights come from.
        settings: whatever else changes the numbers (input size, seed).
        notes: warnings a reader of the record needs to see.
    """

    name: str
    output: Output
    weights_sha256: str | None = None
    parameters: int | None = None
    licence: str | None = None
    source: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class DepthModel(abc.ABC):
    """Anything that turns an image into a depth map. Subclasses set ``info`` and implement ``predict``."""

    info: ModelInfo

    @abc.abstractmethod
    def predict(self, image: Image) -> Prediction:
        """Predict the map of one image.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.

        Returns:
            A prediction of ``[H, W]`` values.
        """

    def predict_batch(self, images: Sequence[Image], sample_ids: Sequence[str] | None = None) -> list[Prediction]:
        """Predict several images, of any sizes, in order.

        Args:
            images: each ``uint8 [H, W, 3]`` RGB.
            sample_ids: the samples' ids, for models that look predictions up instead of computing them.
        """
        return [self.predict(image) for image in images]

    def close(self) -> None:  # noqa: B027 - optional to override
        """Release memory and processes. The model is not used afterwards."""


@dataclass(frozen=True)
class PairAnswer:
    """What a model says of one pair. It may be asked several times, once in each order of the points.

    Attributes:
        said: for each time of asking 1 or 2, the closer point; or why there is no answer: ``refused`` or
            ``unparsable``. A time without an answer counts as wrong.
        usage: what the asking took, by name (requests, tokens_in, tokens_out, cost); records sum it.
        details: what the record of the sample keeps besides.
    """

    said: tuple[int | str, ...]
    usage: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    REASONS: ClassVar[tuple[str, ...]] = ("refused", "unparsable")

    def __post_init__(self) -> None:
        if not self.said or any(word not in (1, 2, *self.REASONS) for word in self.said):
            raise ValueError(f"an answer is 1, 2, {' or '.join(self.REASONS)}, at least once; got {self.said!r}")

    @property
    def answered(self) -> bool:
        """Whether every time of asking was answered."""
        return not any(word in self.REASONS for word in self.said)

    @property
    def consistent(self) -> bool:
        """Whether every time of asking was answered, and alike."""
        return self.answered and len(set(self.said)) == 1


class PairModel(abc.ABC):
    """Anything that says which of two points is closer, and gives no map.

    Subclasses set ``info``, whose output is :attr:`Output.ORDER`, and implement ``answer_pairs``.

    Attributes:
        at_once: samples that may be asked of it at the same time, from as many threads.
    """

    info: ModelInfo
    at_once: int = 1

    @abc.abstractmethod
    def answer_pairs(self, image: Image, points: Sequence[Points], sample_id: str) -> Sequence[PairAnswer]:
        """Answer all pairs of one image. Which point is labelled closer is not told.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.
            points: two points ``(row, col)`` inside the image, for each pair.
            sample_id: the sample's id.

        Returns:
            One answer for each pair, in order.

        Raises:
            SampleError: this sample could not be asked. It is recorded as failed, and a later call tries it again.
            DabenchError: any other one ends the run; what is finished is kept.
        """

    def keep_in(self, folder: Path, *, fresh: bool) -> None:  # noqa: B027 - optional to override
        """Called before the first question of a run with records.

        Args:
            folder: ``OUT/<model>``, where the model may keep what it was told, so as not to ask twice.
            fresh: what was kept before must not be used.
        """

    def close(self) -> None:  # noqa: B027 - optional to override
        """Release connections and threads. The model is not used afterwards."""


def checked_prediction(prediction: object, image: Image, model: str) -> Prediction:
    """Return ``prediction`` as a well-formed :class:`Prediction`, or say what is wrong with it.

    Raises:
        ModelError: not a Prediction, not 2-D, not numeric, or not the size of the image.
    """
    if not isinstance(prediction, Prediction):
        raise ModelError(f"model '{model}' returned {type(prediction).__name__}, not a Prediction")
    values = np.asarray(prediction.values)
    if values.dtype.kind not in "fiub":
        raise ModelError(f"model '{model}' returned values of type {values.dtype}, not numbers")
    if values.shape != image.shape[:2]:
        raise ModelError(
            f"model '{model}' returned values of shape {list(values.shape)} for an image of {list(image.shape[:2])}",
            hint="a prediction has the height and width of the image it was given",
        )
    return Prediction(values.astype(np.float32, copy=False), Output(prediction.output))


@dataclass(frozen=True)
class ModelEntry:
    """One row of a model catalogue: all that can be said of a model without loading it.

    Attributes:
        name: ``family-variant[-domain]``.
        output: what its predictions mean.
        summary: one line.
        factory: ``"module:attr"``, called as ``factory(entry, checkpoint=, device=, precision=, input_size=,
            compile=)``, and with ``settings=`` where ``settable`` names any.
        status: ``bundled`` (in the wheel), ``downloadable`` (by name, through a hub), ``baseline`` (no weights),
            ``endpoint`` (asked over a network) or ``published-only`` (numbers exist, weights do not).
        licence: licence of the weights.
        parameters: number of parameters as published.
        source: hub repository or address of the weights.
        revision: pinned commit of the hub repository.
        file: file name within the source; for weights of several files, the one that holds the network's.
        files: all files of the source that the model needs, where they are several.
        requires: modules that have to be importable.
        extra: the extra of this package that brings them, for the error that names it.
        settable: what ``--option NAME=VALUE`` may change, with its default, whose type the value is read as.
        sha256: checksum of the file, where known.
        paper: title and identifier.
        sources: where these facts come from.
        reason: why a published-only model cannot be run.
        options: whatever the factory needs besides (architecture key, depth range, default input size).
    """

    name: str
    output: Output
    summary: str
    factory: str = ""
    status: str = "downloadable"
    licence: str | None = None
    parameters: int | None = None
    source: str | None = None
    revision: str | None = None
    file: str | None = None
    files: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extra: str | None = None
    settable: Mapping[str, Any] = field(default_factory=dict)
    sha256: str | None = None
    paper: str | None = None
    sources: tuple[str, ...] = ()
    reason: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    STATUSES = ("bundled", "downloadable", "baseline", "endpoint", "published-only")

    def __post_init__(self) -> None:
        if self.status not in self.STATUSES:
            raise UsageError(f"model '{self.name}': status '{self.status}' is not one of {', '.join(self.STATUSES)}")
        if self.status != "published-only" and ":" not in self.factory:
            raise UsageError(f"model '{self.name}': factory '{self.factory}' is not 'module:attr'")

    @property
    def non_commercial(self) -> bool:
        return bool(self.licence) and "NC" in str(self.licence).upper().split("-")
