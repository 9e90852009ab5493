"""Which masks survive: predicted quality, stability, boxes.

The rules are those of ``SamAutomaticMaskGenerator`` (``facebookresearch/segment-anything``), which enlarges every mask
to the size of the image before it looks at it. Here a bound that holds for the enlarged mask is read off the small one
first, so that only masks that may survive are enlarged. Enlarging is bilinear: a pixel of the large mask lies between
the values of the 3 x 3 small cells around it, so cells that are on one side together with all their neighbours stay
there. The bound therefore never drops a mask that the large one would keep.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

MASK_THRESHOLD = 0.0
CROP_EDGE = 20
"""Pixels: a mask whose box comes so near to the edge of a crop, but not of the image, is one that the crop cut."""


@dataclass(frozen=True)
class Frame:
    """How the masks of the network lie over a crop of the image.

    Attributes:
        side: of the square input of the network.
        used: rows and columns of it that the resized crop fills; the rest is padding.
        size: rows and columns of the crop.
        direct: masks are enlarged in one step, and not first to the input of the network; only without padding.
    """

    side: int
    used: tuple[int, int]
    size: tuple[int, int]
    direct: bool = False

    @classmethod
    def of(cls, size: tuple[int, int], side: int) -> Frame:
        """The long side becomes ``side``, the short one is rounded, to no less than one pixel."""
        scale = side / max(size)
        return cls(side, (max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))), size)

    def enlarge(self, logits: Tensor) -> Tensor:
        """[m, h, w] at the network's resolution -> [m, rows, columns] of the crop, in the steps of the original."""
        if self.direct:
            return F.interpolate(logits[None], self.size, mode="bilinear", align_corners=False)[0]
        square = F.interpolate(logits[None], (self.side, self.side), mode="bilinear", align_corners=False)
        used = square[..., : self.used[0], : self.used[1]]
        return F.interpolate(used, self.size, mode="bilinear", align_corners=False)[0]

    def pixels_of_cells(self, axis: int, cells: int) -> NDArray[np.float32]:
        """How many rows (axis 0) or columns of the crop have their centre in each of ``cells`` cells of a mask."""
        positions = (np.arange(self.size[axis]) + 0.5) * (self.used[axis] / self.size[axis] * cells / self.side)
        inside = np.minimum(positions.astype(np.int64), cells - 1)
        return np.bincount(inside, minlength=cells).astype(np.float32)


def stability_bound(logits: NDArray[np.float32], frame: Frame, offset: float) -> NDArray[np.float32]:
    """The most that the stability of the enlarged masks can be, from small ones [m, h, w] -> [m]."""
    rows = frame.pixels_of_cells(0, logits.shape[1])
    columns = frame.pixels_of_cells(1, logits.shape[2])
    around = np.ones((3, 3), np.uint8)
    bounds = np.ones(len(logits), np.float32)
    for index, mask in enumerate(logits):
        # at the rim of the array there is nothing beyond that could pull a value away
        most = rows @ cv2.dilate((mask > MASK_THRESHOLD + offset).astype(np.uint8), around).astype(np.float32) @ columns
        least = rows @ cv2.erode((mask > MASK_THRESHOLD - offset).astype(np.uint8), around).astype(np.float32) @ columns
        if least > 0:
            bounds[index] = min(1.0, float(most) / float(least))
    return bounds


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask that survived, with what it was made from.

    Attributes:
        x, y: the point, in pixels of the image.
        predicted_iou, stability: see :class:`~annotation.keypoints.types.KeyPoint`.
        box: x0, y0, x1, y1 of its first and last pixels, in the image; all 0 for an empty mask.
        crop: x0, y0, x1, y1, the last two exclusive.
        area: pixels.
        bits: the mask over the crop, eight pixels a byte.
    """

    x: float
    y: float
    predicted_iou: float
    stability: float
    box: tuple[int, int, int, int]
    crop: tuple[int, int, int, int]
    area: int
    bits: NDArray[np.uint8]

    def pixels(self) -> tuple[NDArray[np.bool_], int, int]:
        """The part of the mask inside its box, bool, and the row and column in the image of its first pixel."""
        left, top, right, bottom = self.crop
        whole = np.unpackbits(self.bits, count=(bottom - top) * (right - left)).reshape(bottom - top, right - left)
        x0, y0, x1, y1 = self.box
        return whole[y0 - top : y1 - top + 1, x0 - left : x1 - left + 1].view(np.bool_), y0, x0

    def contains(self, row: int, col: int) -> bool:
        left, top, right, bottom = self.crop
        if not (top <= row < bottom and left <= col < right):
            return False
        place = (row - top) * (right - left) + col - left
        return bool(self.bits[place >> 3] >> (7 - (place & 7)) & 1)


@dataclass(frozen=True)
class Thresholds:
    """What a mask has to pass; 0 or less switches the two scores off, as in the original."""

    predicted_iou: float = 0.88
    stability: float = 0.95
    stability_offset: float = 1.0


def surviving(
    logits: Tensor,
    qualities: Tensor,
    points: NDArray[np.float64],
    crop: tuple[int, int, int, int],
    image: tuple[int, int],
    frame: Frame,
    limits: Thresholds,
    *,
    chunk: int = 4,
) -> list[Mask]:
    """Masks that pass all but the comparison with each other.

    Args:
        logits: [m, h, w] at the network's resolution.
        qualities: [m], predicted.
        points: [m, 2], x and y in pixels of the crop.
        crop: x0, y0, x1, y1 in the image.
        image: rows and columns of the whole image.
        frame: of the crop.
        limits: what to pass.
        chunk: masks enlarged at a time.
    """
    kept = torch.arange(len(logits))
    if limits.stability > 0 and len(logits):
        bounds = stability_bound(logits.cpu().numpy(), frame, limits.stability_offset)
        # float32 and its rounding: a bound that is equal to the threshold must not drop a mask
        kept = kept[torch.from_numpy(bounds >= limits.stability - 1e-6)]
    found: list[Mask] = []
    for some in kept.split(chunk) if len(kept) else ():
        large = frame.enlarge(logits[some.to(logits.device)]).cpu().numpy()
        for index, mask in zip(some.tolist(), large, strict=True):
            made = _measured(mask, float(qualities[index]), points[index], crop, image, limits)
            if made is not None:
                found.append(made)
    return found


def _measured(
    logits: NDArray[np.float32],
    quality: float,
    point: NDArray[np.float64],
    crop: tuple[int, int, int, int],
    image: tuple[int, int],
    limits: Thresholds,
) -> Mask | None:
    """The mask with logits [rows, columns] of a crop, or None if it is unstable or cut off by the crop."""
    strict = cv2.countNonZero((logits > MASK_THRESHOLD + limits.stability_offset).view(np.uint8))
    lax = cv2.countNonZero((logits > MASK_THRESHOLD - limits.stability_offset).view(np.uint8))
    stability = np.float32(strict) / np.float32(lax) if lax else np.float32(np.nan)
    if limits.stability > 0 and not stability >= np.float32(limits.stability):
        return None
    mask = (logits > MASK_THRESHOLD).view(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    box = (x, y, x + width - 1, y + height - 1) if width else (0, 0, 0, 0)
    left, top = crop[:2]
    box = (box[0] + left, box[1] + top, box[2] + left, box[3] + top)
    whole = (0, 0, image[1], image[0])
    for side, edge, end in zip(box, crop, whole, strict=True):
        if abs(side - edge) <= CROP_EDGE and abs(side - end) > CROP_EDGE:
            return None
    return Mask(
        float(point[0]) + left,
        float(point[1]) + top,
        quality,
        float(stability),
        box,
        crop,
        cv2.countNonZero(mask),
        np.packbits(mask),
    )


def without_overlap(boxes: NDArray[np.float32], scores: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression, as ``torchvision.ops.nms`` does it: indices kept, best score first.

    Args:
        boxes: [m, 4] x0, y0, x1, y1.
        scores: [m]; the first of equals wins.
        threshold: a box goes whose intersection over union with a better one is above it.
    """
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    with np.errstate(invalid="ignore"):  # two boxes without area: 0 / 0 compares false, both stay
        while len(order):
            best, order = order[0], order[1:]
            kept.append(int(best))
            corner = np.maximum(boxes[best, :2], boxes[order, :2])
            other = np.minimum(boxes[best, 2:], boxes[order, 2:])
            inter = np.prod(np.maximum(other - corner, np.float32(0)), axis=1, dtype=np.float32)
            order = order[~(inter / (areas[best] + areas[order] - inter) > np.float32(threshold))]
    return np.array(kept, np.intp)
