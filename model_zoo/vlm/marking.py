"""Two points marked in a picture as a person would see them: a ring around each, and a letter beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dabench.types import Image, Points

VERSION = 1
"""Changes whenever a picture would look different; part of what is recorded."""
SMALLEST_SIDE = 512
"""Smaller pictures are enlarged to this longer side, so that a letter can be read."""
COLOURS = {"A": (213, 62, 0), "B": (0, 92, 205)}
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
LEAST_RING = 5.0
CLEAR = 3.0
"""Pixels around a marked point that nothing is drawn on."""
_SHIFT = 4
_DIRECTIONS, _DISTANCES = 48, (1.0, 1.4, 2.0, 3.0, 4.5, 6.5)

Position = tuple[float, float]


@dataclass(frozen=True)
class Marker:
    """Where a marker is drawn, in pixels of the marked picture.

    Attributes:
        letter: A or B.
        x, y: the marked point.
        radius: of the ring; 0 where the other point is too near for one, and a pointer alone is drawn.
        label: centre ``(x, y)`` of the box with the letter.
    """

    letter: str
    x: float
    y: float
    radius: float
    label: Position


def resized(image: Image, side: int) -> Image:
    """The picture with a longer side of at most ``side`` pixels, and at least ``SMALLEST_SIDE``."""
    height, width = image.shape[:2]
    longest = max(height, width)
    wanted = min(max(longest, min(SMALLEST_SIDE, side)), side)
    if wanted == longest:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * wanted / longest)), max(1, round(height * wanted / longest)))
    how = cv2.INTER_AREA if wanted < longest else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=how))


def marked(image: Image, points: Points, side: int) -> tuple[Image, tuple[Marker, Marker]]:
    """Mark two points of a picture with A and B.

    The picture is brought to its size first, so that markers have the same size on every picture. Each marker has a
    black, a white and a coloured line, so that it shows on anything; the pixels at the points stay as they are.

    Args:
        image: ``uint8 [H, W, 3]`` RGB.
        points: ``(row, col)`` of A and of B, in pixels of ``image``.
        side: longer side of the result, at most.

    Returns:
        The marked picture ``uint8 [h, w, 3]``, and where the markers are.
    """
    plain = resized(image, side)
    canvas = plain.copy()
    height, width = canvas.shape[:2]
    scale = (width / image.shape[1], height / image.shape[0])
    spots = [((col + 0.5) * scale[0] - 0.5, (row + 0.5) * scale[1] - 0.5) for row, col in points]
    markers = _placed(spots, width, height)
    unit = _unit(width, height)
    for marker in markers:
        _draw_leader(canvas, marker, unit)
    for marker in markers:
        _draw_ring(canvas, marker, unit)
    for marker in markers:
        _draw_label(canvas, marker, unit)
    for x, y in spots:
        # In a corner two pointers may have to cross; what they point at stays visible all the same.
        there = np.s_[max(0, math.floor(y) - 1) : math.ceil(y) + 2, max(0, math.floor(x) - 1) : math.ceil(x) + 2]
        canvas[there] = plain[there]
    return canvas, markers


def _unit(width: int, height: int) -> float:
    return max(width, height) / 1024


def _ring_radius(unit: float) -> float:
    return max(9.0, 14.0 * unit)


def _half_label(unit: float) -> float:
    return max(9.0, 12.0 * unit)


def _widths(unit: float) -> tuple[int, int, int]:
    """Widths of the black, the white and the coloured line, drawn in this order."""
    core = max(2, round(2.5 * unit))
    return core + 4, core + 2, core


def _placed(spots: Sequence[Position], width: int, height: int) -> tuple[Marker, Marker]:
    """Radii that leave the other point alone, then labels that stay inside and cover neither marker."""
    unit = _unit(width, height)
    apart = math.dist(*spots)
    outline = _widths(unit)[0] / 2
    radius = min(_ring_radius(unit), 0.5 * apart - outline)
    radius = radius if radius >= max(LEAST_RING, outline + CLEAR) else 0.0
    half = _half_label(unit)
    labels: list[Position] = []
    for own, other in ((0, 1), (1, 0)):
        x, y = spots[own]
        away = math.atan2(y - spots[other][1], x - spots[other][0]) if apart else math.pi * own
        first = radius + outline + 1.6 * half + 2
        best: tuple[float, Position] | None = None
        for step, distance in enumerate(_DISTANCES):
            if best is not None and best[0] <= step:  # what is farther away costs more
                break
            for turn in range(_DIRECTIONS):
                angle = away + 2 * math.pi * turn / _DIRECTIONS
                label = (x + first * distance * math.cos(angle), y + first * distance * math.sin(angle))
                deviation = min(turn, _DIRECTIONS - turn) / _DIRECTIONS
                faults = _faults(label, spots[own], spots[other], radius, outline, labels, half, width, height)
                cost = 100.0 * faults + step + deviation
                if best is None or cost < best[0] - 1e-9:
                    best = (cost, label)
        assert best is not None
        labels.append(best[1])
    (ax, ay), (bx, by) = spots
    return Marker("A", ax, ay, radius, labels[0]), Marker("B", bx, by, radius, labels[1])


def _faults(
    label: Position,
    own: Position,
    other: Position,
    radius: float,
    outline: float,
    labels: Sequence[Position],
    half: float,
    width: int,
    height: int,
) -> float:
    """How badly a place for a label is chosen: 0 for a good one, else larger for worse ones."""
    room, reach = half + 3, radius + outline
    outside = sum(max(0.0, room - v, v - (size - 1 - room)) for v, size in zip(label, (width, height), strict=True))
    keep_off = max(reach, CLEAR) + 2
    covered = max(0.0, keep_off - _to_box(other, label, room))
    covered += max(0.0, keep_off - _to_box(own, label, room))
    tip = _tip(own, label, radius)
    crossed = max(0.0, (reach + 4 if radius else CLEAR + 0.5) - _to_segment(other, tip, label))
    for placed in labels:
        covered += max(0.0, 2 * room - max(abs(label[0] - placed[0]), abs(label[1] - placed[1])))
    return 2.0 * outside + covered + crossed


def _tip(point: Position, label: Position, radius: float) -> Position:
    """Where the line from a label ends: at the ring, or just before the point."""
    part = (radius or CLEAR + 2) / math.dist(point, label)
    return point[0] + part * (label[0] - point[0]), point[1] + part * (label[1] - point[1])


def _to_box(point: Position, centre: Position, half: float) -> float:
    return math.hypot(*(max(0.0, abs(p - c) - half) for p, c in zip(point, centre, strict=True)))


def _to_segment(point: Position, start: Position, end: Position) -> float:
    length = math.dist(start, end)
    if not length:
        return math.dist(point, start)
    along = sum((p - s) * (e - s) for p, s, e in zip(point, start, end, strict=True)) / length**2
    nearest = [s + min(1.0, max(0.0, along)) * (e - s) for s, e in zip(start, end, strict=True)]
    return math.dist(point, nearest)


def _fixed(*values: float) -> tuple[int, ...]:
    return tuple(round(value * 2**_SHIFT) for value in values)


def _draw_ring(canvas: Image, marker: Marker, unit: float) -> None:
    if not marker.radius:
        return
    for colour, width in zip((BLACK, WHITE, COLOURS[marker.letter]), _widths(unit), strict=True):
        centre, (radius,) = _fixed(marker.x, marker.y), _fixed(marker.radius)
        cv2.circle(canvas, centre, radius, colour, width, cv2.LINE_AA, _SHIFT)


def _draw_leader(canvas: Image, marker: Marker, unit: float) -> None:
    """A line from the label to the ring; where there is no ring, to just before the point."""
    black, white, core = _widths(unit)
    # Without a ring two pointers meet: thin ones, whose round ends stay off the points.
    widths = (black, white, core) if marker.radius else (3, 1)
    colours = (BLACK, WHITE, COLOURS[marker.letter]) if marker.radius else (BLACK, COLOURS[marker.letter])
    tip = _tip((marker.x, marker.y), marker.label, marker.radius)
    for colour, width in zip(colours, widths, strict=True):
        cv2.line(canvas, _fixed(*tip), _fixed(*marker.label), colour, width, cv2.LINE_AA, _SHIFT)


def _draw_label(canvas: Image, marker: Marker, unit: float) -> None:
    half = _half_label(unit)
    x, y = (round(v) for v in marker.label)
    for colour, grow in ((BLACK, 2), (WHITE, 1), (COLOURS[marker.letter], 0)):
        reach = round(half) + grow
        cv2.rectangle(canvas, (x - reach, y - reach), (x + reach, y + reach), colour, cv2.FILLED)
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(2, round(2.2 * unit))
    size = 1.25 * half / cv2.getTextSize(marker.letter, font, 1.0, 1)[0][1]
    (wide, high), _ = cv2.getTextSize(marker.letter, font, size, thickness)
    cv2.putText(canvas, marker.letter, (x - wide // 2, y + high // 2), font, size, WHITE, thickness, cv2.LINE_AA)
