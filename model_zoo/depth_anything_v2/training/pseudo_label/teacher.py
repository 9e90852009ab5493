"""The labeller: a frozen Depth Anything V2 network that gives disparity at the network's own resolution."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dabench.errors import ModelError, UsageError
from dabench.registry import models
from model_zoo.depth_anything_v2.checkpoint import build, load_state
from model_zoo.depth_anything_v2.config import CONFIGS, DepthAnythingV2Config
from model_zoo.depth_anything_v2.inference import InferenceNetwork
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.predictor import resolve_device, resolve_precision
from model_zoo.depth_anything_v2.preprocess import check_image, check_input_size, prepare
from model_zoo.hub import given_file, resolve_weights

FACTORY = "model_zoo.depth_anything_v2.factory:load"


class Teacher:
    """A network and what identifies its labels.

    Args:
        forward: normalised images ``float32 [B, 3, h, w]`` on `device` -> disparity >= 0, ``[B, h, w]``.
        name: of the model.
        weights_sha256: of its weights.
        input_size: short side of the network input in pixels, which is the label's too.
        device: where `forward` computes.
        precision: "fp32", "bf16" or "fp16", for the record.
        flip_average: give the mean of the map and of the mirrored image's map. Both are one network's outputs in
            one unit, so they are averaged as they are.
    """

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        *,
        name: str,
        weights_sha256: str | None,
        input_size: int,
        device: torch.device | None = None,
        precision: str = "fp32",
        flip_average: bool = False,
    ) -> None:
        self._forward = forward
        self.name, self.weights_sha256 = name, weights_sha256
        self.input_size = check_input_size(input_size)
        self.device = device or torch.device("cpu")
        self.precision, self.flip_average = precision, flip_average

    @classmethod
    def of_network(
        cls,
        network: DepthAnythingV2,
        *,
        name: str,
        weights_sha256: str | None = None,
        input_size: int | None = None,
        device: str = "auto",
        precision: str = "fp32",
        flip_average: bool = False,
    ) -> Teacher:
        """A teacher with a copy of `network`. Its weights are hashed where their file's SHA-256 is not given.

        Raises:
            UsageError: a metric network, or a device or precision that this machine does not have.
        """
        if network.config.max_depth is not None:
            raise UsageError(
                f"'{name}' predicts metres; pseudo-labels are affine-invariant disparity",
                hint="give a relative model",
            )
        where = resolve_device(device)
        return cls(
            InferenceNetwork(network, where, resolve_precision(precision, where)),
            name=name,
            weights_sha256=weights_sha256 or _digest(network),
            input_size=network.config.input_size if input_size is None else input_size,
            device=where,
            precision=precision,
            flip_average=flip_average,
        )

    def describe(self) -> dict[str, Any]:
        """What decides the labels, for `run.json`. The device is not in it: workers may differ in that."""
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "input_size": self.input_size,
            "precision": self.precision,
            "flip_average": self.flip_average,
        }

    def prepare(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """``uint8 [H, W, 3]`` RGB -> network input ``float32 [3, h, w]``. Raises ImageError for too elongated ones."""
        return prepare(image, check_image(image, self.input_size))

    def label(self, inputs: Sequence[npt.NDArray[np.float32]], batch_size: int) -> list[npt.NDArray[np.float32]]:
        """Disparity ``float32 [h, w]`` of network inputs of one size, in order.

        On a CPU each goes alone, so that a label is the same to the bit in whatever batch and order.
        """
        at_once = 1 if self.device.type == "cpu" else batch_size
        labels: list[npt.NDArray[np.float32]] = []
        for start in range(0, len(inputs), at_once):
            batch = torch.from_numpy(np.stack(inputs[start : start + at_once]))
            try:
                with torch.inference_mode(), _exact_float32(self.device):
                    batch = batch.to(self.device)
                    values = self._forward(batch).float()
                    if self.flip_average:
                        values = (values + self._forward(batch.flip(-1)).float().flip(-1)) / 2
                labels += [np.ascontiguousarray(map_) for map_ in values.cpu().numpy()]
            except torch.OutOfMemoryError as error:
                height, width = batch.shape[2:]
                raise ModelError(
                    f"{self.device} ran out of memory for {len(batch)} images of {width}x{height}",
                    hint="lower --batch-size, or use --precision bf16",
                ) from error
        return labels


def load_teacher(
    name: str | None,
    *,
    checkpoint: Path | None = None,
    input_size: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    flip_average: bool = False,
) -> Teacher:
    """The teacher of a catalogue name, or of `checkpoint` with the size that the name says.

    Without a name `checkpoint` says itself what it is, and its file's name is the teacher's.

    Raises:
        UnknownNameError, UsageError: no such model, or not a relative Depth Anything V2.
        CheckpointError, DownloadError: the weights cannot be had.
    """
    resolve_precision(precision, resolve_device(device))
    config: DepthAnythingV2Config | None
    if name is None:
        if checkpoint is None:
            raise UsageError("neither a model nor a checkpoint is given")
        weights = given_file(checkpoint)
        state = load_state(weights.path, sha256=weights.sha256)
        name, config = checkpoint.stem, CONFIGS[state.encoder]
    else:
        entry = models().get(name)
        config = CONFIGS.get(entry.options.get("config", ""))
        if entry.factory != FACTORY or config is None or entry.options.get("max_depth") is not None:
            relative = [row for row in models() if models().get(row).options.get("config") and "metric" not in row]
            raise UsageError(
                f"'{name}' is no relative Depth Anything V2, and cannot label", hint=f"choose {', '.join(relative)}"
            )
        if entry.status == "published-only" and checkpoint is None:
            raise ModelError(f"model '{name}' has published numbers only", hint=entry.reason)
        weights = resolve_weights(entry, checkpoint)
        state = load_state(weights.path, sha256=weights.sha256)
    return Teacher.of_network(
        build(state, config),
        name=name,
        weights_sha256=weights.sha256,
        input_size=input_size,
        device=device,
        precision=precision,
        flip_average=flip_average,
    )


def _digest(network: DepthAnythingV2) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _exact_float32(device: torch.device) -> Iterator[None]:
    """Keep cuDNN from TF32, PyTorch's default for convolutions, and from picking kernels by timing."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
