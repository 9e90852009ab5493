"""What one pass over images and maps tells beyond the records: where in the image, and how far away, a model fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import DabenchError
from dabench.protocols.rule import dense_rule
from dabench.reporting.report.aligned import Aligned, align
from dabench.reporting.report.sources import Source
from dabench.types import Image, Pair

Floats = npt.NDArray[np.float64]
Done = Callable[[], None]
Line = Mapping[str, Any]

MEASURED = 200
"""Images that are read at most, evenly spaced over the run, so that a report on thousands takes minutes at most."""
PIXELS = 200_000
"""Pixels of one image that are counted at most, on an even grid."""
ROWS, COLUMNS = 18, 24
MANY_PAIRS = 1000
FAR_OFF = 1.25
"""A pixel fails where max(p / g, g / p) reaches this: the complement of delta1."""
DECADES, PER_DECADE = (-3, 4), 20
"""Depths from 1 mm to 10 km, in logarithmic cells."""
CELLS = (DECADES[1] - DECADES[0]) * PER_DECADE


def evenly(lines: Sequence[Line], most: int) -> list[Line]:
    """At most ``most`` of the lines, evenly spaced."""
    if len(lines) <= most:
        return list(lines)
    return [lines[int(at)] for at in np.linspace(0, len(lines) - 1, most).round()]


@dataclass
class DenseMeasured:
    """Sums over images; every image has the weight 1.

    Attributes:
        images: how many were read.
        lost: how many could not be, and why the first could not.
        failing, seen: ``[ROWS, COLUMNS]`` failing and all counted pixels by place in the image.
        abs_rel, weight: ``[images, CELLS]`` summed relative error and pixels by depth of the ground truth.
        joint: ``[CELLS, CELLS]`` pixels by ground truth (rows) and aligned prediction (columns).
    """

    images: int = 0
    lost: list[str] = field(default_factory=list)
    failing: Floats = field(default_factory=lambda: np.zeros((ROWS, COLUMNS)))
    seen: Floats = field(default_factory=lambda: np.zeros((ROWS, COLUMNS)))
    abs_rel: list[Floats] = field(default_factory=list)
    weight: list[Floats] = field(default_factory=list)
    joint: Floats = field(default_factory=lambda: np.zeros((CELLS, CELLS)))

    def add(self, aligned: Aligned) -> None:
        """Count one image."""
        step = max(1, math.ceil(math.sqrt(aligned.depth.size / PIXELS)))
        grid = slice(step // 2, None, step), slice(step // 2, None, step)
        rows, columns = np.nonzero(aligned.counted[grid])
        if rows.size == 0:
            return
        p, g = aligned.depth[grid][rows, columns], aligned.truth[grid][rows, columns]
        height, width = aligned.counted[grid].shape
        place = (rows * ROWS // height) * COLUMNS + columns * COLUMNS // width
        share = 1.0 / rows.size
        off = np.maximum(p / g, g / p) >= FAR_OFF
        self.seen += share * np.bincount(place, minlength=ROWS * COLUMNS).reshape(ROWS, COLUMNS)
        self.failing += share * np.bincount(place[off], minlength=ROWS * COLUMNS).reshape(ROWS, COLUMNS)
        at, to = depth_cell(g), depth_cell(p)
        self.abs_rel.append(np.bincount(at, share * np.abs(p - g) / g, CELLS).astype(np.float64))
        self.weight.append(share * np.bincount(at, minlength=CELLS).astype(np.float64))
        self.joint += share * np.bincount(at * CELLS + to, minlength=CELLS * CELLS).reshape(CELLS, CELLS)
        self.images += 1


def depth_cell(metres: Floats) -> npt.NDArray[np.intp]:
    """The logarithmic cell of each depth, in 0 .. CELLS - 1."""
    place = (np.log10(metres) - DECADES[0]) * PER_DECADE
    return np.clip(np.floor(place), 0, CELLS - 1).astype(np.intp)


def cell_edges() -> Floats:
    """``[CELLS + 1]`` edges in metres."""
    return np.asarray(10.0 ** (DECADES[0] + np.arange(CELLS + 1) / PER_DECADE), dtype=np.float64)


def aligned_sample(source: Source, line: Line) -> tuple[Image, Aligned] | None:
    """Image and aligned prediction of a scored sample; None where its map is lost.

    Raises:
        DabenchError: it cannot be read.
    """
    recipe = source.record.protocol
    image = source.image(str(line["id"]))
    prediction = source.prediction(str(line["id"]), image)
    if prediction is None:
        return None
    truth = source.truth(str(line["id"]))
    return image, align(prediction, truth, dense_rule(recipe), line.get("fit"), kb=recipe.crop.image == "kb")


def measure_dense(source: Source, lines: Sequence[Line], done: Done) -> DenseMeasured:
    """One pass over at most ``MEASURED`` scored images with their maps.

    Args:
        done: called after every image.
    """
    found = DenseMeasured()
    for line in evenly([line for line in lines if line["status"] == "ok"], MEASURED):
        try:
            sample = aligned_sample(source, line)
            if sample is None:
                found.lost.append(f"{line['id']}: no map of this image is kept")
            else:
                found.add(sample[1])
        except (DabenchError, OSError) as error:
            found.lost.append(str(getattr(error, "message", error)))
        done()
    return found


@dataclass
class PairsMeasured:
    """One entry a pair.

    Attributes:
        images: how many were read.
        lost: why others could not be.
        correct: share of the askings that were right; 0 or 1 for models with maps.
        distance: between the points, in image diagonals.
        gap: between the predicted values, in ranges (2nd to 98th percentile) of the map; NaN without a map.
        places: ``(row, column)`` of both points, as shares of the height and width.
    """

    images: int = 0
    lost: list[str] = field(default_factory=list)
    correct: list[float] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)
    places: list[tuple[tuple[float, float], tuple[float, float]]] = field(default_factory=list)

    def add(self, image: Image, pairs: Sequence[Pair], line: Mapping[str, Any], values: Floats | None) -> None:
        """Count one image's pairs.

        Args:
            values: the predicted map at the size of the image, or None.
        """
        height, width = image.shape[:2]
        spread = float("nan")
        if values is not None and np.isfinite(values).any():
            low, high = np.percentile(values[np.isfinite(values)], [2, 98])
            spread = float(high - low)
        for pair, correct in zip(pairs, line["correct"], strict=True):
            (r1, c1), (r2, c2) = pair.point1, pair.point2
            self.correct.append(float(correct))
            self.distance.append(math.hypot(r1 - r2, c1 - c2) / math.hypot(height, width))
            apart = float("nan") if values is None else abs(float(values[r1, c1]) - float(values[r2, c2]))
            self.gap.append(apart / spread if spread > 0 and math.isfinite(apart) else float("nan"))
            self.places.append((((r1 + 0.5) / height, (c1 + 0.5) / width), ((r2 + 0.5) / height, (c2 + 0.5) / width)))
        self.images += 1

    def heat(self) -> tuple[Floats, Floats]:
        """``[rows, columns]`` wrong and all pairs that have a point there; a pair counts once at each of its points.

        Few pairs get few cells, because a cell with a dozen points says nothing.
        """
        rows, columns = (6, 8) if len(self.correct) >= MANY_PAIRS else (3, 4)
        wrong, seen = np.zeros((rows, columns)), np.zeros((rows, columns))
        for correct, points in zip(self.correct, self.places, strict=True):
            for row, column in points:
                at = min(int(row * rows), rows - 1), min(int(column * columns), columns - 1)
                seen[at] += 1
                wrong[at] += 1 - correct
        return wrong, seen


def measure_pairs(source: Source, lines: Sequence[Line], done: Done) -> PairsMeasured:
    """One pass over at most ``MEASURED`` images with labelled pairs, and their maps where there are any.

    Args:
        done: called after every image.
    """
    found = PairsMeasured()
    for line in evenly([line for line in lines if line["status"] == "ok" and line.get("correct")], MEASURED):
        try:
            image, pairs = source.pairs(str(line["id"]))
            prediction = source.prediction(str(line["id"]), image) if source.has_maps else None
            values = None if prediction is None else prediction.values.astype(np.float64)
            found.add(image, pairs, line, values)
        except (DabenchError, OSError) as error:
            found.lost.append(str(getattr(error, "message", error)))
        done()
    return found
