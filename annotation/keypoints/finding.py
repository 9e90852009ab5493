"""Key points of one image, with a way out when a generator finds none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dabench.errors import UsageError

from .types import KeyPoints, PointGenerator

Notify = Callable[[str], None]


def find_keypoints(
    image: NDArray[np.uint8],
    generator: PointGenerator,
    *,
    fallback: PointGenerator | None = None,
    notify: Notify | None = None,
) -> KeyPoints:
    """Key points of ``image``, RGB uint8 [H, W, 3].

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
    found = generator.generate(image)
    if len(found) or fallback is None:
        return found
    if notify is not None:
        source = found.generator["source"]
        notify(f"no key point of '{source}' passed its thresholds; '{fallback.describe()['source']}' is used instead")
    return fallback.generate(image)
