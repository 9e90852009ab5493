"""From an image to the input of a network file: size, resampling, channel order, normalisation, layout and type.

What the file does not say is assumed, and every assumption is written down for the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import ImageError, ModelError, UsageError
from dabench.types import Image

from .facts import FileFacts
from .ports import Array, Port

CHOICES = {
    "mean_std": ("imagenet", "half", "none", "raw"),
    "resize": ("keep-aspect", "stretch"),
    "channels": ("rgb", "bgr"),
    "layout": ("nchw", "nhwc"),
}
"""What a caller may choose.

``mean_std``: colours in [0, 1] minus ImageNet's mean over its deviation; mapped to [-1, 1]; left in [0, 1]; or left in
[0, 255]. ``resize``: the short side becomes the input size and both sides are rounded to multiples; or both sides
become the input's size, whatever the image's shape.
"""

DEFAULTS: dict[str, Any] = {"mean_std": "imagenet", "resize": "keep-aspect", "channels": "rgb", "layout": "nchw"}
FROM_FACTS = ("mean_std", "resize", "channels", "input_size", "multiple")
DEFAULT_SIZE = 518
DEFAULT_MULTIPLE = 14
MAX_PIXELS = 32768 * 14 * 14
"""Largest network input; one image beyond it takes many minutes and gigabytes."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class InputRule:
    """How an image becomes an input.

    Attributes:
        mean_std, resize, channels, layout: see :data:`CHOICES`.
        dtype: NumPy type of the input; integers get colours in [0, 255].
        axes: rank of the input, 4 with a batch axis and 3 without.
        height, width: of the network input where the file fixes them.
        input_size: short side of the network input (both sides, for "stretch") where it does not.
        multiple: what its sides are multiples of.
        assumed: names of the attributes that neither the file nor the caller said.
    """

    mean_std: str
    resize: str
    channels: str
    layout: str
    dtype: str
    axes: int
    height: int | None
    width: int | None
    input_size: int
    multiple: int
    assumed: tuple[str, ...]

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the network input for an image of ``height`` x ``width``.

        Keeping the aspect is the "lower bound" rule of MiDaS and Depth Anything: rounded to the nearest multiple, up
        where that would fall below the input size.
        """
        if self.height is not None and self.width is not None:
            return self.height, self.width
        if self.height is not None:
            return self.height, self._rounded(width * self.height / height, self.multiple)
        if self.width is not None:
            return self._rounded(height * self.width / width, self.multiple), self.width
        if self.resize == "stretch":
            return (self._rounded(self.input_size, self.input_size),) * 2
        scale = max(self.input_size / height, self.input_size / width)
        return self._rounded(scale * height, self.input_size), self._rounded(scale * width, self.input_size)

    def _rounded(self, length: float, least: int) -> int:
        nearest = int(np.round(length / self.multiple)) * self.multiple
        return nearest if nearest >= least else int(np.ceil(max(length, 1) / self.multiple)) * self.multiple

    def prepare(self, image: Image) -> Array:
        """uint8 RGB [H, W, 3] -> one network input.

        Resampling is cubic, on float64 colours in [0, 1] that are not clamped, as the official code of Depth Anything
        does it; for integer inputs they are clamped and rounded.

        Raises:
            ImageError: not such an image, or one that is too elongated to be computed.
        """
        import cv2

        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ImageError("an image must be uint8 [H, W, 3] in RGB order")
        if image.size == 0:
            raise ImageError(f"an image must have at least one pixel, got {list(image.shape)}")
        height, width = self.size_for(image.shape[0], image.shape[1])
        if height * width > MAX_PIXELS:
            raise ImageError(
                f"an image of {image.shape[1]}x{image.shape[0]} becomes {width}x{height}, above the limit of "
                f"{MAX_PIXELS} pixels",
                hint="give a smaller --input-size, or crop the image",
            )
        colours = np.asarray(cv2.resize(image / 255.0, (width, height), interpolation=cv2.INTER_CUBIC), np.float64)
        return self._arranged(colours[:, :, ::-1] if self.channels == "bgr" else colours)

    def _arranged(self, colours: npt.NDArray[np.float64]) -> Array:
        values: Array
        if np.dtype(self.dtype).kind in "ui":
            values = np.clip(np.rint(colours * 255), 0, 255)
        elif self.mean_std == "raw":
            values = colours * 255
        elif self.mean_std == "none":
            values = colours
        else:
            mean, deviation = np.asarray(IMAGENET if self.mean_std == "imagenet" else HALF)
            if self.channels == "bgr":
                mean, deviation = mean[::-1], deviation[::-1]
            values = (colours - mean) / deviation
        if self.layout == "nchw":
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(values[None] if self.axes == 4 else values, dtype=self.dtype)


def input_rule(
    path: Path, port: Port, facts: FileFacts | None, given: Mapping[str, Any], input_size: int | None
) -> InputRule:
    """The rule for a file: what the caller gave, else what the file says, else what is usual.

    Args:
        path: named in errors.
        port: the input's signature.
        facts: the file's metadata, if it has any.
        given: options of the caller; those that are None were not given.
        input_size: of the caller.

    Raises:
        ModelError: an input that no image fits.
        UsageError: an option that this input does not have.
    """
    for key, known in CHOICES.items():
        if given.get(key) is not None and given[key] not in known:
            raise UsageError(f"{path}: option {key}={given[key]} is unknown", hint=f"choose {', '.join(known)}")
    dtype = port.dtype or "float32"
    if dtype not in ("float16", "float32", "float64", "uint8"):
        raise ModelError(f"{path}: its input {port} takes {dtype}; an image is float or uint8")
    layout, height, width = _layout(path, port, given.get("layout"))
    fixed = height is not None and width is not None
    refused = [name for name in ("multiple", "resize") if given.get(name) not in (None, "stretch")] if fixed else []
    if fixed and input_size is not None:
        refused.append("input_size")
    if refused:
        raise UsageError(
            f"{path} takes images of {height}x{width} (height x width) only, so that {refused[0]} has no meaning",
            hint="leave it out, or export the network with dynamic height and width",
        )
    if dtype == "uint8" and given.get("mean_std") not in (None, "raw"):
        raise UsageError(f"{path} takes uint8 colours, which are not normalised", hint="leave out mean_std")
    said = (
        {key: getattr(facts, key) for key in ("mean_std", "resize", "channels", "input_size", "multiple")}
        if facts
        else {}
    )
    chosen: dict[str, Any] = {}
    assumed: list[str] = []

    def choose(key: str, value: Any, default: Any) -> None:
        chosen[key] = value if value is not None else said.get(key)
        if chosen[key] is None:
            chosen[key] = default
            assumed.append(key)

    choose("mean_std", "raw" if dtype == "uint8" else given.get("mean_std"), DEFAULTS["mean_std"])
    choose("channels", given.get("channels"), DEFAULTS["channels"])
    if fixed:
        chosen |= {"resize": "stretch", "multiple": 1, "input_size": min(height or 1, width or 1)}
    else:
        choose("resize", given.get("resize"), DEFAULTS["resize"])
        choose("input_size", input_size, DEFAULT_SIZE)
        choose("multiple", _count(path, given.get("multiple")), DEFAULT_MULTIPLE)
        if chosen["input_size"] < chosen["multiple"]:
            raise UsageError(
                f"input size {chosen['input_size']} is smaller than the {chosen['multiple']} px that the sides of the "
                f"input of {path.name} are multiples of"
            )
    if layout is None:
        layout = DEFAULTS["layout"]
        assumed.append("layout")
    axes = len(port.shape) if port.shape is not None else 4
    return InputRule(
        **chosen, layout=layout, dtype=dtype, axes=axes, height=height, width=width, assumed=tuple(assumed)
    )


def _layout(path: Path, port: Port, given: str | None) -> tuple[str | None, int | None, int | None]:
    """Layout (None where the shape leaves it open), and the fixed height and width."""
    if port.shape is None:
        return given, None, None
    if len(port.shape) not in (3, 4):
        raise ModelError(f"{path}: its input {port} is no image: it has {len(port.shape)} axes, not 3 or 4")
    if len(port.shape) == 4 and port.shape[0] not in (1, None):
        raise ModelError(f"{path}: its input {port} takes {port.shape[0]} images at once; one is needed")
    planes = port.shape[-3:]
    fitting = [name for name, axis in (("nchw", 0), ("nhwc", 2)) if planes[axis] in (3, None)]
    exact = [name for name, axis in (("nchw", 0), ("nhwc", 2)) if planes[axis] == 3]
    if (given is not None and given not in fitting) or not fitting:
        wanted = f"in layout {given}" if given else "of three channels"
        raise ModelError(f"{path}: its input {port} takes no image {wanted}")
    layout = given or (exact[0] if exact else fitting[0] if len(fitting) == 1 else None)
    height, width = planes[:2] if layout == "nhwc" else planes[1:]
    return layout, height, width


def _count(path: Path, given: Any) -> int | None:
    if given is None:
        return None
    try:
        count = int(given)
    except ValueError:
        count = 0
    if count < 1:
        raise UsageError(f"{path}: option multiple={given} is not a whole number of at least 1")
    return count
