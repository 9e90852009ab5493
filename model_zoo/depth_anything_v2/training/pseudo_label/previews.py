"""A picture of some labels of a shard: each image beside its label."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

PREVIEWS = 16
TILE = (120, 160)
COLUMNS = 4


def choose(shard: str, count: int) -> frozenset[int]:
    """Up to 16 of `count` positions, the same in every run for a shard."""
    seed = int.from_bytes(hashlib.sha256(shard.encode()).digest()[:8], "big")
    chosen = np.random.default_rng(seed).choice(count, min(PREVIEWS, count), replace=False)
    return frozenset(int(position) for position in chosen)


def tile(image: npt.NDArray[np.uint8], codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Image ``uint8 [H, W, 3]`` RGB and label codes -> ``uint8 [120, 320, 3]`` BGR, near is bright."""
    height, width = TILE
    left = cv2.resize(image[:, :, ::-1], (width, height), interpolation=cv2.INTER_AREA)
    grey = cv2.resize((codes >> 8).astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    return np.hstack([left, cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)])


def write_sheet(path: Path, tiles: Sequence[npt.NDArray[np.uint8]]) -> None:
    """All tiles in one JPEG, four in a row. A failure to write it is passed over: the labels are what counts."""
    if not tiles:
        return
    blank = np.zeros_like(tiles[0])
    padded = [*tiles, *[blank] * (-len(tiles) % COLUMNS)]
    sheet = np.vstack([np.hstack(padded[start : start + COLUMNS]) for start in range(0, len(padded), COLUMNS)])
    done, content = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
    if done:
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.tobytes())
