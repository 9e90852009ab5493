"""Key points that were found once are kept in a folder."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.atomic import write_file

from .types import KeyPoint, KeyPoints, PointGenerator

FORMAT = 1


class CachedPoints:
    """A generator that looks into ``folder`` first.

    A file belongs to the pixels of one image, and to all that the generator says about itself: checkpoint digest and
    settings. It appears whole or not at all; a damaged one is made again.

    Attributes:
        hits, misses: calls answered from a file, and by the generator.
    """

    def __init__(self, generator: PointGenerator, folder: Path) -> None:
        self.generator, self.folder = generator, Path(folder)
        self.hits = self.misses = 0

    def describe(self) -> dict[str, Any]:
        return self.generator.describe()

    def path_of(self, image: NDArray[np.uint8]) -> Path:
        """The file for an RGB image uint8 [H, W, 3]."""
        about = json.dumps([FORMAT, list(image.shape), self.describe()], sort_keys=True)
        digest = hashlib.sha256(about.encode())
        digest.update(np.ascontiguousarray(image).data)
        return self.folder / f"{digest.hexdigest()}.npz"

    def generate(self, image: NDArray[np.uint8]) -> KeyPoints:
        path = self.path_of(image)
        kept = read_keypoints(path, (image.shape[0], image.shape[1]))
        if kept is not None:
            self.hits += 1
            return kept
        self.misses += 1
        found = self.generator.generate(image)
        write_file(path, keypoints_bytes(found))
        return found


def keypoints_bytes(found: KeyPoints) -> bytes:
    """One npz file: points and generator as JSON, the arrays packed."""
    buffer = io.BytesIO()
    about = {"points": [asdict(point) for point in found.points], "generator": found.generator}
    np.savez_compressed(
        buffer,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        labels=found.labels,
        holds=np.packbits(found.holds),
        edges=np.packbits(found.edges),
    )
    return buffer.getvalue()


def read_keypoints(path: Path, shape: tuple[int, int]) -> KeyPoints | None:
    """What :func:`keypoints_bytes` wrote for an image of ``shape``; None if there is no such file or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            points = tuple(KeyPoint(**point) for point in about["points"])
            count, pixels = len(points), shape[0] * shape[1]
            labels = file["labels"]
            holds = np.unpackbits(file["holds"], count=count * count).reshape(count, count).view(np.bool_)
            edges = np.unpackbits(file["edges"], count=pixels).reshape(shape).view(np.bool_)
            if labels.shape != shape or labels.dtype != np.uint16:
                return None
            return KeyPoints(points, labels, holds, edges, about["generator"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
