"""Positions of the sequence -> one batch: read, crop, perturb, normalise labels, exchange CutMix boxes.

Everything random about the image at position p comes from generators of its own (seed, stream, p), so a batch is the
same whoever assembles it: any number of worker processes, any world size, and after any interruption.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dabench.errors import DabenchError, DatasetError, SampleError, UsageError

from .augment import Augmentation, change_appearance
from .concatenated import ConcatenatedDataset
from .labels import minmax_target
from .order import Order, Place
from .perturb import CutMix, Perturbation, draw_box, draw_partner, perturb
from .recipe_schema import Recipe
from .sample import LabelledSample
from .transforms import Labels, View, ViewSettings, draw_view, view_image, view_labels

VIEW_STREAM, CUTMIX_STREAM, APPEARANCE_STREAM = 1, 2, 4
"""Second numbers of the generators' keys; `order.py` has 0 and `objectives.py` 3. Perturbing more moves no crops."""

SUBSTITUTES = 16
"""Unusable images in a row at one position before giving up: that is a broken disk rather than a broken file."""

CROP_ATTEMPTS = 4
"""Crops drawn of an image before one with little in it is taken."""


@dataclass(frozen=True)
class FeedSettings:
    """What becomes of the images.

    Attributes:
        seed: of the order and of all that is random about an image.
        task: "relative" (target is disparity, min-max normalised per crop) or "metric" (target is metres).
        depth_range: metres between which a metric label counts.
        perturbation, cutmix: None for none.
        min_valid: share of labelled pixels below which another crop is drawn.
        keep_clean: also give the images as they were before perturbation and CutMix.
        shard_window: shards shuffled together, for sets in shards.
        max_bad_share: share of unusable images at which the run stops.
    """

    view: ViewSettings = field(default_factory=ViewSettings)
    seed: int = 0
    task: Literal["relative", "metric"] = "relative"
    depth_range: tuple[float, float] = (1e-3, 80.0)
    perturbation: Perturbation | None = None
    cutmix: CutMix | None = None
    min_valid: float = 0.02
    keep_clean: bool = False
    shard_window: int = 16
    max_bad_share: float = 0.01

    def __post_init__(self) -> None:
        if self.task == "metric" and self.cutmix is not None:
            raise UsageError("cutmix is for relative training: its two regions are normalised apart")
        if not 0 < self.depth_range[0] < self.depth_range[1]:
            raise UsageError(f"depth_range must be a positive range in metres, got {list(self.depth_range)}")


def feed_settings(recipe: Recipe) -> FeedSettings:
    """What a recipe says about its batches."""
    data = recipe.data
    brightness, contrast, saturation, hue = data.jitter_strength
    perturbation = Perturbation(
        data.jitter,
        brightness,
        contrast,
        saturation,
        hue,
        data.grey,
        data.blur,
        (data.blur_sigma[0], data.blur_sigma[1]),
    )
    cutmix = CutMix(data.cutmix, data.cutmix_area, data.cutmix_aspect, data.cutmix_group)
    return FeedSettings(
        view=ViewSettings(
            data.size,
            data.short_side,
            hflip=data.hflip,
            rotation=data.rotation,
            strong=Augmentation() if data.strong else None,
        ),
        seed=data.seed,
        task=recipe.loss.kind,
        depth_range=(1e-3, recipe.model.max_depth or 80.0),
        perturbation=perturbation if data.jitter or data.grey or data.blur else None,
        cutmix=cutmix if data.cutmix else None,
        shard_window=data.shard_window,
        max_bad_share=data.max_bad_share,
    )


@dataclass(frozen=True)
class Span:
    """Consecutive positions start..start+count-1."""

    start: int
    count: int


class BadSample(NamedTuple):
    """An image that could not be used, and at which position its substitute was."""

    position: int
    id: str
    reason: str


@dataclass(frozen=True)
class Assembled:
    """A batch as it travels from a worker: images and clean_images are uint8 [B, 3, H, W]; the rest as in `Batch`."""

    images: Tensor
    target: Tensor
    valid: Tensor
    positions: Tensor
    ids: tuple[str, ...]
    clean_images: Tensor | None
    cutmix: tuple[Tensor, Tensor] | None
    bad: tuple[BadSample, ...]

    def pin_memory(self) -> Assembled:
        """A copy in page-locked memory (the DataLoader calls this)."""
        return replace(
            self,
            images=self.images.pin_memory(),
            target=self.target.pin_memory(),
            valid=self.valid.pin_memory(),
            clean_images=None if self.clean_images is None else self.clean_images.pin_memory(),
            cutmix=None if self.cutmix is None else (self.cutmix[0].pin_memory(), self.cutmix[1].pin_memory()),
        )


@dataclass(frozen=True)
class Failure:
    """Why a worker could not assemble a batch; an exception would lose its hint on the way."""

    message: str
    hint: str | None


class _Example(NamedTuple):
    image: npt.NDArray[np.uint8]
    clean: npt.NDArray[np.uint8]
    target: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


class Assembler:
    """`assembler[span]` is the batch of those positions, or a `Failure`. Picklable, without state of its own."""

    def __init__(self, dataset: ConcatenatedDataset, order: Order, settings: FeedSettings) -> None:
        self.dataset, self.order, self.settings = dataset, order, settings

    def __getitem__(self, span: Span) -> Assembled | Failure:
        try:
            return self.assemble(span)
        except DabenchError as error:
            return Failure(error.message, error.hint)
        except Exception:
            where = f"positions {span.start} to {span.start + span.count - 1}"
            return Failure(
                f"assembling {where} failed, which is a defect of this program:\n{traceback.format_exc()}", None
            )

    def assemble(self, span: Span) -> Assembled:
        """The batch of `span`, whose start and count are multiples of the CutMix group where there is CutMix."""
        bad: list[BadSample] = []
        examples, ids = [], []
        positions = range(span.start, span.start + span.count)
        for position in positions:
            example, name = self._example_at(position, bad)
            examples.append(example)
            ids.append(name)
        images = [example.image for example in examples]
        target = np.stack([example.target for example in examples])
        valid = np.stack([example.valid for example in examples])
        boxes = None
        if self.settings.cutmix is not None:
            boxes = self._exchange(self.settings.cutmix, positions, (images, target, valid), examples)
        clean = _channels_first([example.clean for example in examples]) if self.settings.keep_clean else None
        return Assembled(
            images=_channels_first(images),
            target=torch.from_numpy(target),
            valid=torch.from_numpy(valid),
            positions=torch.arange(span.start, span.start + span.count),
            ids=tuple(ids),
            clean_images=clean,
            cutmix=boxes,
            bad=tuple(bad),
        )

    def _example_at(self, position: int, bad: list[BadSample]) -> tuple[_Example, str]:
        """The first usable image of `position` and its substitutes, with its id; the others are added to `bad`."""
        attempts = min(SUBSTITUTES, self.order.length)
        for attempt in range(attempts):
            place = self.order.substitute(position, attempt)
            try:
                return self._example(self._read(place), position), self.dataset.id_of(place)
            except SampleError as error:
                bad.append(BadSample(position, self.dataset.id_of(place), error.message))
        raise DatasetError(
            f"{attempts} images in a row cannot be used:\n"
            + "\n".join(f"  {b.id}: {b.reason}" for b in bad[-attempts:]),
            hint="check that the data root is complete and readable, and that the labels have valid pixels",
        )

    def _read(self, place: Place) -> LabelledSample:
        try:
            sample = self.dataset.read(place)
        except DabenchError:
            raise
        except Exception as error:
            reason = f"reading {self.dataset.id_of(place)} failed with {type(error).__name__}: {error}"
            raise DatasetError(reason, hint=traceback.format_exc()) from error
        shape = sample.disparity.shape
        if sample.image.shape != (*shape, 3) or sample.valid.shape != shape or sample.sky.shape != shape:
            raise SampleError(f"image {list(sample.image.shape)} and labels {list(shape)} differ in size")
        return sample

    def _example(self, sample: LabelledSample, position: int) -> _Example:
        settings = self.settings
        view, target, valid = self._view(sample, position)
        clean = view_image(sample.image, view)
        image = clean
        strong = settings.view.strong
        if strong is not None or settings.perturbation is not None:
            rng = self._rng(APPEARANCE_STREAM, position)
            changed = clean.astype(np.float32) / np.float32(255)
            if strong is not None:
                changed = change_appearance(rng, changed, strong)
            if settings.perturbation is not None:
                changed = perturb(rng, changed, settings.perturbation)
            image = np.rint(changed * np.float32(255)).astype(np.uint8)
        return _Example(image, clean, target, valid)

    def _view(
        self, sample: LabelledSample, position: int
    ) -> tuple[View, npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """A view, its target and its mask: the first of a few draws with enough labels in it, else the fullest."""
        if not sample.valid.any():
            raise SampleError("the image has no valid depth")
        rng = self._rng(VIEW_STREAM, position)
        best, most = None, 0
        for _ in range(CROP_ATTEMPTS):
            view = draw_view(rng, sample.disparity.shape, self.settings.view)
            labels = view_labels(sample, view)
            target, valid = self._target(labels)
            count = int(valid.sum())
            if count > most:
                best, most = (view, target, valid), count
            if count >= max(1, self.settings.min_valid * valid.size):
                break
        if best is None:
            raise SampleError(f"{CROP_ATTEMPTS} crops of the image have no valid depth")
        return best

    def _target(self, labels: Labels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """(target, valid) of a crop; the target is 0 where it is not valid."""
        if not np.isfinite(labels.disparity).all() or (labels.disparity < 0).any():
            raise SampleError("valid pixels have a disparity that is not finite or is negative")
        if self.settings.task == "relative":
            return minmax_target(labels.disparity, labels.valid), labels.valid
        near, far = self.settings.depth_range
        known = labels.valid & ~labels.sky & (labels.disparity > 0)
        depth = np.float32(1) / np.where(known, labels.disparity, np.float32(1))
        valid = known & (depth >= near) & (depth <= far)
        return np.where(valid, depth, np.float32(0)), valid

    def _exchange(
        self,
        settings: CutMix,
        positions: range,
        arrays: tuple[list[npt.NDArray[np.uint8]], npt.NDArray[np.float32], npt.NDArray[np.bool_]],
        examples: list[_Example],
    ) -> tuple[Tensor, Tensor]:
        """Paste the partner's image, target and mask into the drawn boxes; return (box masks, who has a box)."""
        images, target, valid = arrays
        masks, applied = np.zeros(valid.shape, np.bool_), np.zeros(len(positions), np.bool_)
        for row, position in enumerate(positions):
            rng = self._rng(CUTMIX_STREAM, position)
            if rng.random() >= settings.chance:
                continue
            box = draw_box(rng, self.settings.view.size, settings)
            place = position % settings.group
            partner = examples[row - place + draw_partner(rng, place, settings)]
            images[row] = images[row].copy()  # its partner may still need what is under the box
            images[row][box], target[row][box] = partner.image[box], partner.target[box]
            valid[row][box] = partner.valid[box]
            masks[row][box], applied[row] = True, True
        return torch.from_numpy(masks), torch.from_numpy(applied)

    def _rng(self, stream: int, position: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, stream, position])


def _channels_first(images: list[npt.NDArray[np.uint8]]) -> Tensor:
    """Images uint8 [H, W, 3] -> uint8 [B, 3, H, W]."""
    together = np.empty((len(images), 3, *images[0].shape[:2]), np.uint8)
    for planes, image in zip(together, images, strict=True):
        cv2.split(image, list(planes))  # writes into the planes; several times faster than a transposed copy
    return torch.from_numpy(together)
