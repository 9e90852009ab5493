"""A view through the principal axis, cut to a target size: how MoGe presents every evaluation image.

Source: microsoft/MoGe, ``moge/test/dataloader.py``, ``EvalDataLoaderPipeline._process_instance``. The camera is turned
to look through the middle of the image, the field of view becomes the largest of the target's shape that lies inside,
and image and depth are brought to the target's pixel size before they are warped. Intrinsics are normalised: the image
is one wide and one high, its top left corner is (0, 0). Compared with that code on synthetic images of 17 cameras:
equal sizes and intrinsics; pixels that lie halfway between two may be rounded the other way (at most 2 in 10,000).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from dabench.datasets.log_depth import LogDepth, known
from dabench.types import DepthMap, Image, Mask

Matrix = npt.NDArray[np.float64]
Size = tuple[int, int]
"""(height, width) in pixels."""

SIZE_TOLERANCE = 1e-3
"""In pixels. Sizes are truncated, and one that is whole but for rounding must not lose a pixel."""


@dataclass(frozen=True, eq=False)
class View:
    """The warp from one kind of image to the target view.

    Attributes:
        intrinsics: of the source, normalised ``[3, 3]``, without skew.
        target: size of the warped image.
        target_intrinsics: normalised ``[3, 3]``; the principal point is the middle.
        rescaled: size to which the source is brought first, where its pixels are as large as the target's.
        columns, rows: ``float32 [H, W]`` of the target, where each pixel lies in the rescaled source (pixel centres are
            whole numbers).
    """

    intrinsics: Matrix
    target: Size
    target_intrinsics: Matrix
    rescaled: Size
    columns: npt.NDArray[np.float32]
    rows: npt.NDArray[np.float32]

    def image(self, image: Image) -> Image:
        """Resize (Lanczos) and warp (bilinear) ``uint8 [H, W, 3]``; black where the source does not reach."""
        import cv2

        height, width = self.rescaled
        scaled = image
        if image.shape[:2] != self.rescaled:
            scaled = np.asarray(
                PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.LANCZOS), dtype=np.uint8
            )
        return np.asarray(cv2.remap(scaled, self.columns, self.rows, cv2.INTER_LINEAR), dtype=np.uint8)

    def depth(self, stored: LogDepth) -> tuple[DepthMap, Mask]:
        """Warp a map: the nearest known value, along whose ray the distance (not the depth) is carried over.

        Returns:
            depth ``float32 [H, W]`` along the axis of the target, and where it is known and finite.
        """
        row, column, inside, stretch = self._aim
        vertical = _Windows(stored.codes.shape[0], self.rescaled[0])
        horizontal = _Windows(stored.codes.shape[1], self.rescaled[1])
        codes = _nearest_known(stored.codes, vertical, horizontal, row, column)
        valid = known(codes) & inside
        return np.where(valid, stored.metres[codes], np.float32(0)) * stretch, valid

    @cached_property
    def _aim(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Mask, npt.NDArray[np.float32]]:
        """For each pixel of the target: its pixel of the rescaled source, whether there is one, and target over source
        depth at equal distance from the camera."""
        height, width = self.rescaled
        column, row = np.rint(self.columns).astype(np.int32), np.rint(self.rows).astype(np.int32)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
        x, y = _rays(self.intrinsics, self.rescaled)
        stretch = np.sqrt(x[column] ** 2 + y[row] ** 2 + np.float32(1))
        x, y = _rays(self.target_intrinsics, self.target)
        stretch /= np.sqrt(x[None, :] ** 2 + y[:, None] ** 2 + np.float32(1))
        return row, column, inside, stretch


def target_view(intrinsics: Matrix, source: Size, target: Size) -> View:
    """The view that MoGe evaluates.

    Args:
        intrinsics: normalised ``[3, 3]``, without skew.
        source: size of the image.
        target: size of the warped image.
    """
    matrix = np.asarray(intrinsics, dtype=np.float64)
    inverse = np.linalg.inv(matrix)
    target_height, target_width = target
    aspect = target_width / target_height
    turn = _rotation_to_axis(inverse @ np.array([0.5, 0.5, 1.0]))
    corners = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1]], dtype=np.float64) @ (turn @ inverse).T
    corners = corners[:, :2] / corners[:, 2:]
    across, down = abs(1 / matrix[0, 0]), abs(1 / matrix[1, 1])
    view_width = min(across, down * aspect, 2 * _reach(corners, aspect) * aspect)
    view_height = min(view_width / aspect, down)
    own = np.array([[1 / view_width, 0, 0.5], [0, 1 / view_height, 0.5], [0, 0, 1]])
    rescaled = (
        max(1, int(down / view_height * target_height + SIZE_TOLERANCE)),
        max(1, int(across / view_width * target_width + SIZE_TOLERANCE)),
    )
    to_source = matrix @ turn.T @ np.linalg.inv(own)
    u = (np.arange(target_width) + 0.5) / target_width
    v = ((np.arange(target_height) + 0.5) / target_height)[:, None]
    depth = to_source[2, 0] * u + to_source[2, 1] * v + to_source[2, 2]
    columns = (to_source[0, 0] * u + to_source[0, 1] * v + to_source[0, 2]) / depth * rescaled[1] - 0.5
    rows = (to_source[1, 0] * u + to_source[1, 1] * v + to_source[1, 2]) / depth * rescaled[0] - 0.5
    return View(matrix, target, own, rescaled, columns.astype(np.float32), rows.astype(np.float32))


def _rotation_to_axis(direction: Matrix) -> Matrix:
    """The rotation that takes a direction to (0, 0, 1) the short way (Rodrigues)."""
    unit = direction / np.linalg.norm(direction)
    x, y, cosine = unit
    cross = np.array([y, -x, 0.0])  # unit x (0, 0, 1)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine), dtype=np.float64)


def _reach(corners: Matrix, aspect: float) -> float:
    """Half the height of the largest centred rectangle of a shape inside a quadrilateral, by its diagonals."""
    half = np.inf
    for number in range(4):
        start, edge = corners[number - 1], corners[number] - corners[number - 1]
        for diagonal in (np.array([aspect, 1.0]), np.array([aspect, -1.0])):
            across = diagonal[0] * edge[1] - diagonal[1] * edge[0]
            if across != 0:
                half = min(half, abs((start[0] * edge[1] - start[1] * edge[0]) / across))
    return float(half)


def _rays(intrinsics: Matrix, size: Size) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """x of every column and y of every row at depth one."""
    height, width = size
    x = ((np.arange(width) + 0.5) / width - intrinsics[0, 2]) / intrinsics[0, 0]
    y = ((np.arange(height) + 0.5) / height - intrinsics[1, 2]) / intrinsics[1, 1]
    return x.astype(np.float32), y.astype(np.float32)


class _Windows:
    """Along one axis, the source pixels that a rescaled pixel may take its value from, and how far they are.

    As many as the axis shrinks, at least one; EasternJournalist/utils3d, ``masked_nearest_resize``.
    """

    def __init__(self, source: int, rescaled: int) -> None:
        size = max(1.0, source / rescaled)
        self.count = int(np.ceil(size))
        self.source = source
        centre = ((np.arange(rescaled) + 0.5) / rescaled).astype(np.float32) * np.float32(source)
        self.first = np.rint(centre - np.float32(size / 2)).astype(np.int32)
        position = self.first[None, :] + np.arange(self.count, dtype=np.int32)[:, None]
        self.distance = (position.astype(np.float32) + np.float32(0.5) - centre[None, :]) ** 2
        self.distance[(position < 0) | (position >= source)] = np.inf
        self.nearest = np.clip(self.first + self.distance.argmin(axis=0).astype(np.int32), 0, source - 1)


def _nearest_known(
    codes: npt.NDArray[np.uint16],
    vertical: _Windows,
    horizontal: _Windows,
    row: npt.NDArray[np.int32],
    column: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint16]:
    """For each pixel the nearest known code in its window, or an unknown one."""
    found = codes[vertical.nearest[row], horizontal.nearest[column]]
    if vertical.count * horizontal.count == 1:
        return found
    again = np.flatnonzero(~known(found).ravel())
    row, column = row.ravel()[again], column.ravel()[again]
    best = np.full(len(again), np.inf, np.float32)
    chosen = found.ravel()[again]
    for down in range(vertical.count):
        source_row = np.clip(vertical.first[row] + down, 0, vertical.source - 1)
        for across in range(horizontal.count):
            source_column = np.clip(horizontal.first[column] + across, 0, horizontal.source - 1)
            candidate = codes[source_row, source_column]
            distance = vertical.distance[down][row] + horizontal.distance[across][column]
            nearer = known(candidate) & (distance < best)
            chosen, best = np.where(nearer, candidate, chosen), np.where(nearer, distance, best)
    found.ravel()[again] = chosen
    return found
