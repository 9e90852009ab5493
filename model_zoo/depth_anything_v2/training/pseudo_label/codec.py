"""Disparity <-> 16-bit PNG and its facts.

Codes are min-max: a step is 1/65535 of the label's range. Half precision would have steps thirty times as large at
the near end, which gradient matching would see as plateaus.
"""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from dabench.errors import ImageError, SampleError

LEVELS = 65535
PNG_COMPRESSION = 3


class LabelFacts(msgspec.Struct, frozen=True):
    """What goes with a label's codes, `<key>.json`.

    Attributes:
        key: of the image.
        min, max: disparity of code 0 and code 65535, in the teacher's unit.
        size: height and width of the label.
        image_size: height and width of the decoded image.
        zero_share: share of pixels where the teacher gave exactly 0, which it does in the sky.
        mad: mean absolute deviation from the median, in units of the range; 0 where constant.
        constant: whether all pixels are equal.
        teacher: SHA-256 of the teacher's weights.
        dtype: "uint16".
    """

    key: str
    min: float
    max: float
    size: tuple[int, int]
    image_size: tuple[int, int]
    zero_share: float
    mad: float
    constant: bool
    teacher: str | None
    dtype: str = "uint16"


def quantise(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint16], float, float]:
    """``float32 [h, w]``, finite, >= 0 -> codes ``uint16 [h, w]``, and the values of codes 0 and 65535.

    A value is off by half a step at most; by one step where a positive value would else become code 0 = exact zero,
    which means sky.
    """
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.zeros(values.shape, np.uint16), low, high
    scaled = (values.astype(np.float64) - low) * (LEVELS / (high - low))
    codes = np.clip(np.rint(scaled), 0, LEVELS).astype(np.uint16)
    if low == 0:
        codes[(codes == 0) & (values > 0)] = 1
    return codes, low, high


def dequantise(codes: npt.NDArray[np.uint16], low: float, high: float) -> npt.NDArray[np.float32]:
    """The inverse of :func:`quantise`, ``float32 [h, w]``."""
    return (low + codes.astype(np.float64) * ((high - low) / LEVELS)).astype(np.float32)


def encode_png(codes: npt.NDArray[np.uint16]) -> bytes:
    """``uint16 [h, w]`` -> a single-channel 16-bit PNG."""
    done, content = cv2.imencode(".png", codes, [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])
    if not done:
        raise SampleError(f"a label of {list(codes.shape)} cannot be written as PNG")
    return content.tobytes()


def decode_label(png: bytes, facts: LabelFacts, name: str) -> npt.NDArray[np.float32]:
    """PNG and facts -> disparity ``float32 [h, w]`` in the teacher's unit.

    Raises:
        ImageError: not a whole 16-bit single-channel PNG of the stated size; the message starts with `name`.
    """
    whole = png.endswith(b"IEND\xaeB`\x82")
    codes = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) if whole else None
    if codes is None or codes.dtype != np.uint16 or codes.shape != facts.size:
        got = "no whole PNG" if codes is None else f"{codes.dtype} {list(codes.shape)}"
        raise ImageError(f"{name}: {got}, expected uint16 {list(facts.size)}", hint="label this shard again")
    return dequantise(codes.astype(np.uint16, copy=False), facts.min, facts.max)
