"""Depth in 16-bit PNG files with logarithmic steps, as MoGe writes it.

Source: microsoft/MoGe, ``moge/utils/io.py``, ``read_depth`` and ``write_depth``. The text chunks ``near`` and ``far``
hold the smallest and largest depth; a value v from 1 to 65534 is near^(1-t) far^t with t = (v - 1) / 65533. 0 is
unknown and 65535 infinitely far (sky). A chunk ``unit``, which old files have, multiplies the depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from dabench.errors import SampleError
from dabench.types import DepthMap, Mask

UNKNOWN, INFINITE = 0, 65535


@dataclass(frozen=True, eq=False)
class LogDepth:
    """A map as it is stored.

    Attributes:
        codes: ``uint16 [H, W]``.
        metres: ``float32 [65536]``, the depth of each code; NaN for 0 and infinity for 65535.
    """

    codes: npt.NDArray[np.uint16]
    metres: npt.NDArray[np.float32]

    def decode(self) -> tuple[DepthMap, Mask]:
        """Depth ``float32 [H, W]`` in metres, and where it is known and finite."""
        return self.metres[self.codes], known(self.codes)


def known(codes: npt.NDArray[np.uint16]) -> Mask:
    """Where codes stand for a finite depth. Both ends wrap to the top of the range, which makes this one comparison."""
    return (codes - np.uint16(1)) < np.uint16(INFINITE - 1)


def depth_of_codes(near: float, far: float, unit: float = 1.0) -> npt.NDArray[np.float32]:
    """Depth of all 65536 codes, computed in float64."""
    t = (np.arange(65536, dtype=np.float64) - 1) / 65533
    values = near ** (1 - t) * far**t * unit
    values[UNKNOWN], values[INFINITE] = np.nan, np.inf
    return values.astype(np.float32)


def read_log_depth(path: Path) -> LogDepth:
    """Read a map.

    Raises:
        SampleError: missing, damaged, not 16-bit grey, or without a range that makes sense.
    """
    try:
        with PillowImage.open(path, formats=["PNG"]) as image:
            image.load()
            mode, text, values = image.mode, dict(image.info), np.asarray(image)
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such file") from error
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        raise SampleError(f"{path}: is not a readable PNG: {error}") from error
    if not mode.startswith("I"):
        raise SampleError(f"{path}: is of mode {mode}, not a single-channel 16-bit depth map")
    near, far = _number(path, text, "near"), _number(path, text, "far")
    unit = _number(path, text, "unit") if "unit" in text else 1.0
    if near > far:
        raise SampleError(f"{path}: its nearest depth {near} lies beyond its farthest {far}")
    return LogDepth(np.ascontiguousarray(values, dtype=np.uint16), depth_of_codes(near, far, unit))


def _number(path: Path, text: dict[Any, Any], key: str) -> float:
    try:
        value = float(text[key])
    except KeyError as error:
        raise SampleError(
            f"{path}: has no text chunk '{key}', without which its values have no meaning",
            hint="copy the files as they are; image editors drop text chunks",
        ) from error
    except (TypeError, ValueError) as error:
        raise SampleError(f"{path}: text chunk '{key}' is not a number: {text[key]!r}") from error
    if not (math.isfinite(value) and value > 0):
        raise SampleError(f"{path}: text chunk '{key}' is {value}, not a positive number")
    return value
