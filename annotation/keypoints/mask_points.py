"""From a grid of prompts to key points: the loop that both Segment Anything libraries share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dabench.errors import UsageError

from .filtering import Frame, Mask, Thresholds, surviving, without_overlap
from .types import KeyPoint, KeyPoints, mark_edges

Box = tuple[int, int, int, int]

MOST_THREADS = 8
"""Batches at a time, however many threads there are: each needs memory of its own."""


@dataclass(frozen=True)
class GridSettings:
    """Settings of the grid, with the names and meaning of ``SamAutomaticMaskGenerator``.

    The time on a processor grows with the square of ``points_per_side``; the original uses 32.
    """

    points_per_side: int = 16
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1

    def __post_init__(self) -> None:
        for name, least in (("points_per_side", 1), ("crop_n_layers", 0), ("crop_n_points_downscale_factor", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} of the key points is {getattr(self, name)}", hint=f"at least {least}")
        if self.crop_n_layers > 4 or self.points_per_side > 128:
            raise UsageError("key points: at most 4 crop layers and 128 points a side")


class Encoded(Protocol):
    """One crop that the network has looked at."""

    def qualities(self, points: NDArray[np.float64]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Predicted quality [n, 3] of the masks of n points (x, y in pixels of the network's input), and a function
        that draws the masks wanted in a bool [n, 3]: logits [wanted, h, w] in order of rows.
        """
        ...


class MaskNetwork(Protocol):
    """A network of the Segment Anything kind."""

    batch: int
    """Points at a time."""
    on_cpu: bool

    def frame(self, size: tuple[int, int]) -> Frame:
        """How a crop of this size is laid into the network's input."""
        ...

    def encode(self, crop: NDArray[np.uint8], frame: Frame) -> Encoded:
        """Look at an RGB crop, uint8 [H, W, 3]."""
        ...


def grid_of_points(count: int) -> NDArray[np.float64]:
    """[count * count, 2], x and y in (0, 1), row by row: the middles of equal cells."""
    middles = np.linspace(1 / (2 * count), 1 - 1 / (2 * count), count)
    return np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)


def crops_of(size: tuple[int, int], layers: int, overlap_ratio: float) -> Iterator[tuple[int, Box]]:
    """Layer and box (x0, y0, x1, y1) of the image and of 4, 16, ... overlapping crops.

    The sizes are those of ``generate_crop_boxes`` of segment-anything, column by column. Crops of tiny images that
    would be empty are left out.
    """
    rows, columns = size
    yield 0, (0, 0, columns, rows)
    for layer in range(1, layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(size) * (2 / count))
        width = math.ceil((overlap * (count - 1) + columns) / count)
        height = math.ceil((overlap * (count - 1) + rows) / count)
        for x in range(count):
            for y in range(count):
                x0, y0 = (width - overlap) * x, (height - overlap) * y
                box = (x0, y0, min(x0 + width, columns), min(y0 + height, rows))
                if box[2] > box[0] and box[3] > box[1]:
                    yield layer, box


def find_masks(image: NDArray[np.uint8], network: MaskNetwork, settings: GridSettings) -> list[Mask]:
    """Masks of a grid of points, in the order of ``SamAutomaticMaskGenerator``: best predicted quality first, and with
    crop layers the smallest crops first.
    """
    found: list[Mask] = []
    size = (image.shape[0], image.shape[1])
    crops = list(crops_of(size, settings.crop_n_layers, settings.crop_overlap_ratio))
    for layer, box in crops:
        count = int(settings.points_per_side / settings.crop_n_points_downscale_factor**layer)
        if count:
            found += _masks_of_crop(image, box, grid_of_points(count), network, settings)
    if len(crops) > 1 and found:
        crop_areas = [(m.crop[2] - m.crop[0]) * (m.crop[3] - m.crop[1]) for m in found]
        scores = np.float32(1) / np.array(crop_areas, np.float32)
        found = [found[i] for i in without_overlap(_boxes(found), scores, settings.crop_nms_thresh)]
    return found


def _masks_of_crop(
    image: NDArray[np.uint8], box: Box, grid: NDArray[np.float64], network: MaskNetwork, settings: GridSettings
) -> list[Mask]:
    crop = image[box[1] : box[3], box[0] : box[2]]
    size = (crop.shape[0], crop.shape[1])
    frame = network.frame(size)
    limits = Thresholds(settings.pred_iou_thresh, settings.stability_score_thresh, settings.stability_score_offset)
    points = grid * np.array(size)[::-1]
    scale = np.array([frame.used[1] / size[1], frame.used[0] / size[0]])
    whole = (image.shape[0], image.shape[1])
    with torch.inference_mode():
        encoded = network.encode(crop, frame)

    def of_batch(start: int) -> list[Mask]:
        some = points[start : start + network.batch]
        with torch.inference_mode():
            qualities, draw = encoded.qualities(some * scale)
            wanted = torch.ones_like(qualities, dtype=torch.bool)
            if limits.predicted_iou > 0:
                wanted = qualities > limits.predicted_iou
            if not wanted.any():
                return []
            owners = some[wanted.nonzero()[:, 0].cpu().numpy()]
            return surviving(draw(wanted), qualities[wanted], owners, box, whole, frame, limits)

    found: list[Mask] = []
    for masks in _in_threads(of_batch, range(0, len(points), network.batch), network.on_cpu):
        found += masks
    if not found:
        return found
    left, top = box[:2]  # boxes are compared in pixels of the crop, which are exact in float32
    boxes = _boxes(found) - np.array([left, top, left, top], np.float32)
    scores = np.array([mask.predicted_iou for mask in found], np.float32)
    return [found[i] for i in without_overlap(boxes, scores, settings.box_nms_thresh)]


def _in_threads(call: Callable[[int], list[Mask]], starts: range, on_cpu: bool) -> Iterator[list[Mask]]:
    """Results in order. On a processor a thread takes a batch, rather than all threads every small step of one."""
    threads = torch.get_num_threads()
    if not on_cpu or threads == 1:
        yield from map(call, starts)
        return
    try:
        with ThreadPoolExecutor(min(threads, MOST_THREADS), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(call, starts)
    finally:
        torch.set_num_threads(threads)


def _boxes(masks: Sequence[Mask]) -> NDArray[np.float32]:
    return np.array([mask.box for mask in masks], np.float32).reshape(-1, 4)


def points_of_masks(masks: Sequence[Mask], shape: tuple[int, int], generator: dict[str, Any]) -> KeyPoints:
    """Key points of surviving masks: one a prompt, its scores those of its best mask, its region the smallest mask that
    holds it, whichever prompt that came from.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for index, mask in enumerate(masks):
        pixel = (min(int(mask.y), shape[0] - 1), min(int(mask.x), shape[1] - 1))
        places.setdefault(pixel, []).append(index)
    labels, edges, numbers = _regions(masks, shape)
    by_size = sorted(range(len(masks)), key=lambda i: masks[i].area)
    points: list[KeyPoint] = []
    holds = np.zeros((len(places), len(places)), np.bool_)
    for row_of_point, ((row, col), own) in enumerate(places.items()):
        best = masks[max(own, key=lambda i: masks[i].predicted_iou)]
        region = next((i for i in by_size if masks[i].contains(row, col)), None)
        if region is not None:
            holds[row_of_point] = [masks[region].contains(*other) for other in places]
        more = {
            "x": best.x,
            "y": best.y,
            "mask_area": best.area,
            "bbox": [best.box[0], best.box[1], best.box[2] - best.box[0], best.box[3] - best.box[1]],
            "crop": [best.crop[0], best.crop[1], best.crop[2] - best.crop[0], best.crop[3] - best.crop[1]],
            "in_own_mask": best.contains(row, col),
            "masks": len(own),
            "region": 0 if region is None else numbers[region],
        }
        area = None if region is None else masks[region].area
        points.append(KeyPoint(row, col, area, best.predicted_iou, best.stability, more))
    return KeyPoints(tuple(points), labels, holds, edges, generator)


def _regions(
    masks: Sequence[Mask], shape: tuple[int, int]
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], dict[int, int]]:
    """Smallest mask of every pixel, edges of all masks, and the label of each mask."""
    labels, edges = np.zeros(shape, np.uint16), np.zeros(shape, np.bool_)
    numbers: dict[int, int] = {}
    for number, index in enumerate(sorted(range(len(masks)), key=lambda i: -masks[i].area), start=1):
        numbers[index] = number
        pixels, top, left = masks[index].pixels()
        if not pixels.any():
            continue
        bottom, right = top + pixels.shape[0], left + pixels.shape[1]
        labels[top:bottom, left:right][pixels] = number
        y0, x0, y1, x1 = max(top - 1, 0), max(left - 1, 0), min(bottom + 1, shape[0]), min(right + 1, shape[1])
        framed = np.zeros((y1 - y0, x1 - x0), np.bool_)
        framed[top - y0 : bottom - y0, left - x0 : right - x0] = pixels
        mark_edges(edges[y0:y1, x0:x1], framed)
    return labels, edges, numbers
