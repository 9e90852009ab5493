"""Key points of one image, with a way out when a generator finds none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dabench.errors import UsageError

from .cache import CachedPoints
from .regions import RegionPoints
from .types import KeyPoints, PointGenerator

if TYPE_CHECKING:
    from .mask_points import GridSettings

Notify = Callable[[str], None]


def open_generator(
    checkpoint: Path | None = None,
    settings: GridSettings | None = None,
    *,
    device: str = "cpu",
    cache: Path | None = None,
) -> PointGenerator:
    """A generator of key points.

    Args:
        checkpoint: a weight file of segment-anything, or a folder with a SAM or SAM 2 of transformers; None: regions of
            the picture, without a network.
        settings: of the grid of points; not for regions.
        device: of the network.
        cache: folder in which key points are kept, so that an image is looked at once.

    Raises:
        CheckpointError: ``checkpoint`` is no such network.
        ModelError: the package that reads it is not installed.
    """
    generator: PointGenerator
    if checkpoint is None:
        generator = RegionPoints()
    elif Path(checkpoint).is_dir():
        from .hugging_face_points import HuggingFacePoints

        generator = HuggingFacePoints.from_folder(checkpoint, settings, device=device)
    else:
        from .segment_anything_points import SegmentAnythingPoints

        generator = SegmentAnythingPoints.from_checkpoint(checkpoint, settings, device=device)
    return generator if cache is None else CachedPoints(generator, cache)


def find_keypoints(
    image: NDArray[np.uint8],
    generator: PointGenerator | None = None,
    *,
    fallback: PointGenerator | None = None,
    notify: Notify | None = None,
) -> KeyPoints:
    """Key points of ``image``, RGB uint8 [H, W, 3]; without a generator, of its regions.

    When ``generator`` finds none, ``fallback`` is asked, and ``notify`` is told so; the result names the generator that
    made it, so that points of two kinds are never mixed unseen.

    Raises:
        UsageError: ``image`` has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise UsageError(
            f"key points need an RGB image uint8 [H, W, 3], not {image.dtype} {list(image.shape)}",
            hint="read it with dabench, which converts grey, palette, 16-bit and alpha images",
        )
    found = (generator or RegionPoints()).generate(image)
    if len(found) or fallback is None:
        return found
    if notify is not None:
        source = found.generator["source"]
        notify(f"no key point of '{source}' passed its thresholds; '{fallback.describe()['source']}' is used instead")
    return fallback.generate(image)
