"""How bright a picture is at the points of its pairs, read once a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from .reading import PairRow

HALF = 2
"""A point's brightness is the mean over a window of 5 x 5 pixels."""
LARGE = 1_500_000
"""Pixels from which a picture is decoded at half size, which is faster."""
Key = tuple[str, int, int]


class Brightness:
    """Mean luma (0 to 255) around points, kept for as long as the process runs.

    Args:
        folder: of the canonical images.
        seconds: stop reading pictures after this much time; the rest come with the next call. None: read all.
    """

    _kept: ClassVar[dict[Path, dict[Key, float]]] = {}
    _lock = threading.Lock()

    def __init__(self, folder: Path, seconds: float | None = None) -> None:
        self.folder, self.seconds = folder, seconds

    def of(self, pairs: Sequence[PairRow]) -> tuple[dict[Key, float], int]:
        """Brightness at both points of the pairs, by (image, row, col), and how many images are still to be read.

        A picture that cannot be read has NaN at its points.
        """
        with self._lock:
            known = self._kept.setdefault(self.folder.resolve(), {})
            wanted: dict[str, list[PairRow]] = {}
            for pair in pairs:
                if (pair.image, *pair.a) not in known or (pair.image, *pair.b) not in known:
                    wanted.setdefault(pair.image, []).append(pair)
            started, left = time.monotonic(), len(wanted)
            for image, group in wanted.items():
                if self.seconds is not None and time.monotonic() - started > self.seconds:
                    break
                known.update(_measure(self.folder / group[0].file, image, group))
                left -= 1
            keys = {(pair.image, *point) for pair in pairs for point in (pair.a, pair.b)}
            return {key: known[key] for key in keys if key in known and np.isfinite(known[key])}, left


def _measure(path: Path, image: str, pairs: Sequence[PairRow]) -> dict[Key, float]:
    import cv2

    half = pairs[0].width * pairs[0].height > LARGE
    flag = cv2.IMREAD_REDUCED_GRAYSCALE_2 if half else cv2.IMREAD_GRAYSCALE
    pixels = cv2.imread(str(path), flag | cv2.IMREAD_IGNORE_ORIENTATION) if path.is_file() else None
    found: dict[Key, float] = {}
    for row, col in {point for pair in pairs for point in (pair.a, pair.b)}:
        if pixels is None:
            found[image, row, col] = float("nan")
            continue
        y, x, reach = (row // 2, col // 2, 1) if half else (row, col, HALF)
        window = pixels[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        found[image, row, col] = float(window.mean()) if window.size else float("nan")
    return found
