"""A diffusion model as a `DepthModel`: image in, map of the image's size out, the same bits whenever it is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from dabench.errors import ModelError
from dabench.types import DepthModel, Image, ModelInfo, Prediction

from .images import check_image

Method = Callable[[Image], Tensor]
"""uint8 [H, W, 3] -> [1, 1, H, W]."""


class DiffusionDepthPredictor(DepthModel):
    """Predicts images one by one, so that a map depends on nothing but the image, the weights and the settings.

    Args:
        method: what computes a map; it draws its noise from a seed that is the same for every image.
        info: for the record.
        device: where the networks are.
    """

    def __init__(self, method: Method, info: ModelInfo, device: torch.device) -> None:
        self._method: Method | None = method
        self.info = info
        self.device = device

    def predict(self, image: Image) -> Prediction:
        """Map of one uint8 RGB [H, W, 3] image of any size. Raises ImageError for anything else."""
        if self._method is None:
            raise ModelError(f"model '{self.info.name}' was closed", hint="load it again")
        pixels = np.ascontiguousarray(check_image(image))
        try:
            with torch.inference_mode(), _exact_float32(self.device):
                values = self._method(pixels)[0, 0].float().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.device} ran out of memory for an image of {pixels.shape[1]}x{pixels.shape[0]}",
                hint="give a smaller processing_resolution, for example -o processing_resolution=768, or use bf16",
            ) from error
        return Prediction(np.ascontiguousarray(values), self.info.output)

    def close(self) -> None:
        """Release the weights, and the accelerator's cached memory."""
        self._method = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


@contextlib.contextmanager
def _exact_float32(device: torch.device) -> Iterator[None]:
    """Keep cuDNN from TF32, which is PyTorch's default for convolutions and costs three digits."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
