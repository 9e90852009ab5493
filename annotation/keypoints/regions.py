"""Key points without a network: one in the middle of every region of similar colour."""

from __future__ import annotations

import heapq
import math
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dabench.errors import UsageError

from .types import KeyPoint, KeyPoints, mark_edges


@dataclass(frozen=True)
class RegionSettings:
    """Settings of the regions.

    Attributes:
        regions: about how many an image gets.
        compactness: weight of distance against colour (in units of CIELAB): more gives squarer regions.
        side: the image is made smaller until its long side has no more pixels than this.
        iterations: rounds of clustering.
    """

    regions: int = 100
    compactness: float = 10.0
    side: int = 512
    iterations: int = 10

    def __post_init__(self) -> None:
        if not (1 <= self.regions <= 10_000 and self.compactness > 0 and self.side >= 1 and self.iterations >= 1):
            raise UsageError(f"settings of regions are out of range: {asdict(self)}")


class RegionPoints:
    """A :class:`~annotation.keypoints.types.PointGenerator` that needs no checkpoint; its source is ``region``."""

    def __init__(self, settings: RegionSettings | None = None) -> None:
        self.settings = settings or RegionSettings()

    def describe(self) -> dict[str, Any]:
        return {"source": "region", "settings": asdict(self.settings), "checkpoint": "", "checkpoint_sha256": ""}

    def generate(self, image: NDArray[np.uint8]) -> KeyPoints:
        """Key points of an RGB image uint8 [H, W, 3]: the pixel of each region that is farthest from its edges."""
        height, width = image.shape[:2]
        scale = min(1.0, self.settings.side / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        small = image if size == (height, width) else cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        regions = slic(np.asarray(small, np.uint8), self.settings)
        poles, depths = poles_of_inaccessibility(regions)
        rows = (np.arange(height) * 2 + 1) * size[0] // (2 * height)
        columns = (np.arange(width) * 2 + 1) * size[1] // (2 * width)
        labels = regions.astype(np.uint16)[rows[:, None], columns] + np.uint16(1)
        areas = np.bincount(labels.ravel(), minlength=len(poles) + 1)
        edges = np.zeros((height, width), np.bool_)
        mark_edges(edges, labels)
        points = tuple(
            KeyPoint(
                (2 * int(row) + 1) * height // (2 * size[0]),
                (2 * int(col) + 1) * width // (2 * size[1]),
                int(areas[number]),
                more={"region": number, "inside": round(float(depth) * height / size[0], 2)},
            )
            for number, ((row, col), depth) in enumerate(zip(poles, depths, strict=True), start=1)
        )
        return KeyPoints(points, labels, np.eye(len(points), dtype=np.bool_), edges, self.describe())


def slic(image: NDArray[np.uint8], settings: RegionSettings) -> NDArray[np.int32]:
    """Superpixels 0 ... n - 1 of an RGB image uint8 [H, W, 3], each one connected.

    Achanta et al., "SLIC Superpixels Compared to State-of-the-art Superpixel Methods", PAMI 2012, section 3, with the
    distance of its equation 3; small parts are joined to the neighbour with which they share most of their edge.
    """
    height, width = image.shape[:2]
    step = max(1.0, math.sqrt(height * width / settings.regions))
    step = max(step, max(height, width) / settings.regions)  # of a thin image
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab), np.float32)
    ratio = settings.compactness / step
    features = np.dstack((lab, *(np.indices((height, width), dtype=np.float32) * np.float32(ratio))))
    centers = _first_centers(lab, features, step)
    reach = math.ceil(step)
    labels = np.zeros((height, width), np.int32)
    flat = features.reshape(-1, 5)
    for _ in range(settings.iterations):
        nearest = np.full((height, width), np.inf, np.float32)
        for number, center in enumerate(centers):
            row, col = round(float(center[3] / ratio)), round(float(center[4] / ratio))
            window = np.s_[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1]
            distance = np.square(features[window] - center).sum(axis=2)
            closer = distance < nearest[window]
            nearest[window][closer] = distance[closer]
            labels[window][closer] = number
        counts = np.bincount(labels.ravel(), minlength=len(centers))
        sums = np.stack([np.bincount(labels.ravel(), channel, len(centers)) for channel in flat.T], axis=1)
        used = counts > 0
        centers[used] = (sums[used] / counts[used, None]).astype(np.float32)
    return _connected(labels, max(1, int(step * step / 4)))


def _first_centers(lab: NDArray[np.float32], features: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Centres on a grid, each moved to the lowest gradient of lightness in its 3 x 3 pixels."""
    height, width = lab.shape[:2]
    gradient = cv2.magnitude(cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0), cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1))
    down, across = max(1, round(height / step)), max(1, round(width / step))
    rows = ((np.arange(down) + 0.5) * height / down).astype(int)
    columns = ((np.arange(across) + 0.5) * width / across).astype(int)
    centers = []
    for row in rows:
        for col in columns:
            top, left = max(0, row - 1), max(0, col - 1)
            around = gradient[top : row + 2, left : col + 2]
            y, x = np.unravel_index(np.argmin(around), around.shape)
            centers.append(features[top + y, left + x])
    return np.array(centers, np.float32)


def _connected(labels: NDArray[np.int32], least: int) -> NDArray[np.int32]:
    """Numbers for the connected parts of ``labels``; parts of fewer than ``least`` pixels go to a neighbour."""
    parts = np.zeros(labels.shape, np.int32)
    count = 0
    for label in np.unique(labels):
        where = (labels == label).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(where)
        window = np.s_[y : y + height, x : x + width]
        found, numbers = cv2.connectedComponents(np.ascontiguousarray(where[window]), connectivity=4)
        inside = numbers > 0
        parts[window][inside] = numbers[inside] + (count - 1)
        count += found - 1
    joined = _joined(parts, count, least)
    return np.asarray(np.unique(joined[parts], return_inverse=True)[1].reshape(labels.shape), np.int32)


def _joined(parts: NDArray[np.int32], count: int, least: int) -> NDArray[np.int32]:
    """For each of ``count`` parts the one that it ends up in: the smallest part goes first, until none is too small."""
    pairs = np.concatenate([
        np.stack((a[a != b], b[a != b])) for a, b in ((parts[1:], parts[:-1]), (parts[:, 1:], parts[:, :-1]))
    ], axis=1)  # fmt: skip
    pairs.sort(axis=0)
    touching, lengths = np.unique(pairs, axis=1, return_counts=True)
    shared: list[dict[int, int]] = [{} for _ in range(count)]
    for (a, b), length in zip(touching.T.tolist(), lengths.tolist(), strict=True):
        shared[a][b] = shared[b][a] = length
    sizes = np.bincount(parts.ravel(), minlength=count).tolist()
    owner = list(range(count))
    waiting = [(size, part) for part, size in enumerate(sizes) if size < least]
    heapq.heapify(waiting)
    while waiting:
        size, part = heapq.heappop(waiting)
        if owner[part] != part or sizes[part] != size or not shared[part]:
            continue
        into = max(shared[part], key=lambda other: (shared[part][other], -other))
        owner[part] = into
        sizes[into] += size
        for other, length in shared[part].items():
            del shared[other][part]
            if other != into:
                shared[into][other] = shared[other][into] = shared[into].get(other, 0) + length
        if sizes[into] < least:
            heapq.heappush(waiting, (sizes[into], into))
    for part in range(count):
        last = part
        while owner[last] != last:
            last = owner[last]
        owner[part] = last
    return np.array(owner, np.int32)


def poles_of_inaccessibility(labels: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For every region 0 ... n - 1 of [H, W] the pixel farthest from other regions and from the border of the image.

    Returns rows and columns [n, 2], and the distances [n] to the first pixel outside. The first pixel in reading order
    wins among equals.
    """
    count = int(labels.max()) + 1
    poles, depths = np.zeros((count, 2), np.intp), np.zeros(count, np.float32)
    for number in range(count):
        where = (labels == number).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(where)
        framed = cv2.copyMakeBorder(where[y : y + height, x : x + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        distance = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        squares = np.rint(distance * distance)  # whole numbers, so that equals are equal on every machine
        row, col = np.unravel_index(np.argmax(squares), squares.shape)
        poles[number], depths[number] = (row + y - 1, col + x - 1), np.sqrt(squares[row, col])
    return poles, depths
