"""A depth network of transformers as a `DepthModel`: image in, map of the image's size out."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from dabench.errors import ImageError, ModelError
from dabench.types import DepthModel, Image, ModelInfo, Output, Prediction

METRIC_FLOOR = 1e-3
"""Metres; below it the evaluations of ZoeDepth and GLPN set every prediction to it."""


@dataclass(frozen=True)
class Rule:
    """What the interface of a class needs besides image in, map out.

    Attributes:
        least_side: pixels; shorter sides are stretched to it first.
        flip: average with the mirrored prediction of the mirrored image.
        padded: the processor pads, and has to be told the size that it padded.
        unread: pattern of parameters that no forward pass reads, which files may therefore lack.
        needs: switch of config.json without which the map would not mean what the catalogue says.
    """

    least_side: int = 1
    flip: bool = False
    padded: bool = False
    unread: str = r"neck\.fusion_stage\.layers\.0\.residual_layer1\..*"
    needs: str | None = None


class TransformersDepth(DepthModel):
    """One depth network of transformers with its image processor.

    Args:
        network: a ``...ForDepthEstimation`` in evaluation mode, on ``device``.
        processor: its image processor, which also has ``post_process_depth_estimation``.
        precision: number format of the network's arithmetic (autocast); weights and maps are float32.
    """

    def __init__(
        self, network: Any, processor: Any, rule: Rule, info: ModelInfo, device: torch.device, precision: torch.dtype
    ) -> None:
        self.info = info
        self.device = device
        self._network, self._processor, self._rule, self._precision = network, processor, rule, precision

    def predict(self, image: Image) -> Prediction:
        """Map of one uint8 RGB [H, W, 3] image, of its size."""
        if self._network is None:
            raise ModelError(f"model '{self.info.name}' was closed", hint="load it again")
        _check(image)
        size = image.shape[:2]
        shown = stretched(image, self._rule.least_side, self._longest_ratio())
        inputs = self._processor(images=shown, input_data_format="channels_last", return_tensors="pt")
        pixels = inputs["pixel_values"].to(self.device)
        further: dict[str, Any] = {"source_sizes": [shown.shape[:2]]} if self._rule.padded else {}
        with torch.inference_mode(), _exact(self.device), self._autocast():
            try:
                outputs = self._network(pixel_values=pixels)
                if self._rule.flip:
                    further["outputs_flipped"] = _float(self._network(pixel_values=pixels.flip(-1)))
            except torch.OutOfMemoryError as error:
                raise ModelError(
                    f"{self.device} ran out of memory for an image of {size[1]}x{size[0]}", hint="use --device cpu"
                ) from error
        with torch.inference_mode():
            found = self._processor.post_process_depth_estimation(_float(outputs), target_sizes=[size], **further)
            values = found[0]["predicted_depth"].reshape(size)
            if self.info.output is Output.METRIC:
                values = values.clamp(min=METRIC_FLOOR)
        return Prediction(values.to("cpu", torch.float32).numpy(), self.info.output)

    def close(self) -> None:
        """Release the weights, and the accelerator's cached memory."""
        self._network = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _longest_ratio(self) -> float:
        """Aspect ratio up to which the processor leaves something of the short side."""
        if not getattr(self._processor, "keep_aspect_ratio", False):
            return math.inf
        size = self._processor.size
        return max(1.0, min(size["height"], size["width"]) / self._processor.ensure_multiple_of)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self._precision is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self._precision)


def stretched(image: npt.NDArray[np.uint8], least_side: int, longest_ratio: float) -> npt.NDArray[np.uint8]:
    """``image``, its short side enlarged where it is below ``least_side`` or beyond the aspect ratio; a copy always."""
    height, width = image.shape[:2]
    least = max(least_side, math.ceil(max(height, width) / longest_ratio))
    if min(height, width) >= least:
        return np.array(image)
    return np.asarray(cv2.resize(np.array(image), (max(width, least), max(height, least))), dtype=np.uint8)


def _check(image: Image) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"an image must be uint8 [H, W, 3] in RGB order, got {got}")
    if image.size == 0:
        raise ImageError(f"an image must have at least one pixel, got {list(image.shape)}")


def _float(outputs: Any) -> Any:
    """The same outputs with every map in float32, which the post-processing resizes."""
    for key, value in outputs.items():
        if torch.is_tensor(value):
            outputs[key] = value.float()
    return outputs


@contextlib.contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Keep cuDNN from TF32 and from choosing algorithms by their speed of the day."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
