"""Key points and the regions they stand for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KeyPoint:
    """One pixel that a generator chose.

    Attributes:
        row, col: the pixel, in the upright image.
        area: pixels of the smallest region that holds the point; None when no region does.
        predicted_iou: the model's own guess of the quality of the mask that the point gave, in about [0, 1]; None for
            regions.
        stability: overlap of that mask with itself under a stricter and a laxer threshold, in [0, 1]; None for regions.
        more: JSON-ready; of a mask: ``x``, ``y`` (the prompt, in pixels, not rounded), ``mask_area``, ``bbox`` and
            ``crop`` (x, y, width, height), ``in_own_mask`` and ``masks`` (how many survived from this point).
    """

    row: int
    col: int
    area: int | None = None
    predicted_iou: float | None = None
    stability: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class KeyPoints:
    """The key points of one image.

    Attributes:
        points: without two in the same pixel; in the order of the generator.
        labels: uint16 [H, W], the number of the smallest region that holds a pixel, 0 where there is none. Points
            need not have numbers of their own.
        holds: bool [n, n]; ``holds[i, j]``: the smallest region that holds point i also holds point j. Regions nest,
            so it says more than ``labels``.
        edges: bool [H, W], pixels with a neighbour above, below, left or right on the other side of the edge of some
            region.
        generator: what made them: ``source`` (sam, sam-hf, sam2-hf or region), ``settings``, ``checkpoint``,
            ``checkpoint_sha256``.
    """

    points: tuple[KeyPoint, ...]
    labels: NDArray[np.uint16]
    holds: NDArray[np.bool_]
    edges: NDArray[np.bool_]
    generator: dict[str, Any]

    def __len__(self) -> int:
        return len(self.points)

    def same_region(self, i: int, j: int) -> bool:
        """Whether point i or point j lies in the smallest region of the other.

        A large region around both, such as a mask of the background, does not make two points the same as long as each
        has a smaller one of its own.
        """
        return i == j or bool(self.holds[i, j] or self.holds[j, i])

    @cached_property
    def edge_distance(self) -> NDArray[np.float32]:
        """float32 [H, W], distance in pixels to the nearest pixel on the edge of a region: 0 on it, infinite when there
        is no edge at all. The border of the image is no edge.
        """
        if not self.edges.any():
            return np.full(self.edges.shape, np.inf, np.float32)
        far = (~self.edges).astype(np.uint8)
        found = cv2.distanceTransform(far, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.sqrt(np.rint(found * found), dtype=np.float32)  # last bits of OpenCV's root differ between runs

    def found(self, image: str) -> dict[str, Any]:
        """Data of the event ``keypoints.found`` for the image with that SHA-256."""
        points = [
            {
                "row": point.row,
                "col": point.col,
                "area": point.area,
                "predicted_iou": point.predicted_iou,
                "stability": point.stability,
                "more": point.more,
            }
            for point in self.points
        ]
        return {"image": image, "generator": self.generator, "points": points}


class PointGenerator(Protocol):
    """Makes key points of an image."""

    def describe(self) -> dict[str, Any]:
        """``source``, ``settings``, ``checkpoint``, ``checkpoint_sha256``; JSON-ready, and with the image all that the
        points depend on.
        """
        ...

    def generate(self, image: NDArray[np.uint8]) -> KeyPoints:
        """Key points of an RGB image uint8 [H, W, 3]; none is a legitimate result."""
        ...


def mark_edges(edges: NDArray[np.bool_], regions: NDArray[Any]) -> None:
    """Set ``edges`` [H, W] where ``regions`` [H, W] differs from the pixel above, below, left or right."""
    across, down = regions[:, 1:] != regions[:, :-1], regions[1:] != regions[:-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    edges[1:] |= down
    edges[:-1] |= down
