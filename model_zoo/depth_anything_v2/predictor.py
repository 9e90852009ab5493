"""Depth Anything V2 as a `DepthModel`: image in, map of the image's size out."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dabench.errors import ModelError, UsageError
from dabench.types import DepthModel, Image, ModelInfo, Output, Prediction

from .config import PATCH_SIZE
from .inference import InferenceNetwork
from .model import DepthAnythingV2
from .preprocess import check_image, check_input_size, prepare, restore

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
COMPILE_MODES = ("auto", "on", "off")

MAX_BATCH_PATCHES = 65536
"""Patches that go through an accelerator at once (48 images of 518x518); larger groups are split."""


class DepthAnythingV2Predictor(DepthModel):
    """Predicts disparity, or metres for a metric network, by the official pre- and postprocessing.

    Args:
        network: the network with its weights; it is not changed and may be dropped afterwards.
        info: name, licence and source for the record; output, parameters and settings are filled in here.
        device: "auto" (cuda, else mps, else cpu), "cpu", "cuda", "cuda:N" or "mps".
        precision: "fp32", or "bf16" / "fp16" for the network; maps are float32 always.
        input_size: short side of the network input in pixels; the size the network was trained for if None.
        compile: "off" and "auto" run the arranged eager network of :mod:`.inference`; "on" uses torch.compile,
            which costs a minute or more for every network size before the first image. "auto" never compiles: on a CPU
            the arranged network was as fast, and a result must not depend on how many images follow.

    On a CPU every image is computed alone, so that its map is the same to the bit whatever batch it came in.
    """

    def __init__(
        self,
        network: DepthAnythingV2,
        info: ModelInfo,
        *,
        device: str = "auto",
        precision: str = "fp32",
        input_size: int | None = None,
        compile: str = "auto",
    ) -> None:
        config = network.config
        self.device = resolve_device(device)
        dtype = resolve_precision(precision, self.device)
        if compile not in COMPILE_MODES:
            raise UsageError(f"compile mode '{compile}' is unknown", hint=f"choose {', '.join(COMPILE_MODES)}")
        self.input_size = check_input_size(config.input_size if input_size is None else input_size)
        self._align_corners = config.version != 1
        self._forward: Callable[[Tensor], Tensor] | None = InferenceNetwork(network, self.device, dtype)
        if compile == "on":
            self._forward = _compiled(network, self._forward, dtype)
        self.info = replace(
            info,
            output=Output.DISPARITY if config.max_depth is None else Output.METRIC,
            parameters=info.parameters or sum(p.numel() for p in network.parameters()),
            settings={
                **info.settings,
                "encoder": config.encoder,
                "input_size": self.input_size,
                "precision": precision,
                "compile": "on" if compile == "on" else "off",
                **({} if config.max_depth is None else {"max_depth": config.max_depth}),
                **({} if config.version == 2 else {"version": config.version}),
            },
        )

    def predict(self, image: Image) -> Prediction:
        """Map of one uint8 RGB [H, W, 3] image. Raises ImageError for anything else, or too elongated an image."""
        return self.predict_batch([image])[0]

    def predict_batch(self, images: Sequence[Image], sample_ids: Sequence[str] | None = None) -> list[Prediction]:
        """Maps of several images of any sizes, in order; images of one network size share a forward pass on a GPU."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault(check_image(image, self.input_size), []).append(index)
        predictions: dict[int, Prediction] = {}
        for size, members in groups.items():
            for chunk in _chunks(members, self._images_at_once(size)):
                batch = torch.from_numpy(np.stack([prepare(images[index], size) for index in chunk]))
                for index, values in zip(chunk, self._run(batch), strict=True):
                    restored = restore(values, images[index].shape[:2], align_corners=self._align_corners)
                    predictions[index] = Prediction(restored, self.info.output)
        return [predictions[index] for index in range(len(images))]

    def close(self) -> None:
        """Release the weights, and the accelerator's cached memory."""
        self._forward = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()

    def _images_at_once(self, size: tuple[int, int]) -> int:
        if self.device.type == "cpu":
            return 1
        return max(1, MAX_BATCH_PATCHES // (size[0] * size[1] // PATCH_SIZE**2))

    def _run(self, batch: Tensor) -> Tensor:
        if self._forward is None:
            raise ModelError(f"model '{self.info.name}' was closed", hint="load it again")
        try:
            with torch.inference_mode(), _exact_float32(self.device):
                return self._forward(batch.to(self.device))
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.device} ran out of memory for {len(batch)} images of {batch.shape[3]}x{batch.shape[2]}",
                hint="lower the batch size or the input size, or use bf16",
            ) from error


def resolve_device(device: str) -> torch.device:
    """The device of that name. Raises UsageError when it is unknown or this machine lacks it."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"device '{device}' is unknown", hint="choose auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and (not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"device '{device}' is not available here", hint="choose auto or cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device 'mps' is not available here", hint="choose auto or cpu")
    return torch.device(device)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The number format of the network. Raises UsageError when it is unknown or useless on the device."""
    if precision not in PRECISIONS:
        raise UsageError(f"precision '{precision}' is unknown", hint=f"choose {', '.join(PRECISIONS)}")
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is for cuda and mps; a CPU has no arithmetic for it", hint="choose fp32 or bf16")
    return PRECISIONS[precision]


@contextlib.contextmanager
def _exact_float32(device: torch.device) -> Iterator[None]:
    """Keep cuDNN from TF32, which is PyTorch's default for convolutions and costs three digits."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def _chunks(items: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _compiled(network: DepthAnythingV2, eager: InferenceNetwork, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """`network` through torch.compile, one graph a size; `eager`, with a warning, where that fails."""
    if eager.device.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        warnings.warn("compile is on but there is no C++ compiler; running without", RuntimeWarning, stacklevel=3)
        return eager
    with torch.device("meta"):
        copy = DepthAnythingV2(network.config)
    weights = {key: value.detach().to(eager.device, dtype) for key, value in network.state_dict().items()}
    copy.load_state_dict(weights, assign=True)
    copy.depth_head.scratch.output_conv2[2].float()
    copy.eval().requires_grad_(False)
    function = torch.compile(copy, dynamic=False, options={"freezing": True})
    broken = False

    def forward(images: Tensor) -> Tensor:
        nonlocal broken
        if not broken:
            try:
                grid = (images.shape[-2] // PATCH_SIZE, images.shape[-1] // PATCH_SIZE)
                return function(images.to(dtype), eager.table(grid)).float()
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # the compiler's failures have no common type
                broken = True
                warnings.warn(f"compilation failed, running without: {error}", RuntimeWarning, stacklevel=2)
        return eager(images)

    return forward
