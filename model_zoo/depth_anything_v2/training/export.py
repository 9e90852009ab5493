"""What a run leaves behind: the weights under official names, and a picture of what they predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import nn

from dabench.errors import CheckpointError, SampleError

from ..checkpoint import save_state
from ..model import DepthAnythingV2
from .concatenated import ConcatenatedDataset
from .distributed import whole
from .network import close_output_at
from .order import Order, Place
from .validation import in_threads, predict

TILE_HEIGHT = 160
"""Rows of one image in the picture."""


def gather_network(network: DepthAnythingV2, *, keep: bool) -> DepthAnythingV2 | None:
    """A whole copy on the CPU, in evaluation mode; every process must call, those with `keep` get one.

    An opened output stays open.
    """
    state = {}
    for name, value in network.state_dict().items():
        full = whole(value)
        if keep:
            state[name] = full.detach().to("cpu", torch.float32, copy=True)
    if not keep:
        return None
    copy = DepthAnythingV2(network.config)
    copy.load_state_dict(state)
    if isinstance(network.depth_head.scratch.output_conv2[3], nn.Identity):
        copy.depth_head.scratch.output_conv2[3] = nn.Identity()
    return copy.eval().requires_grad_(False)


def first_images(data: ConcatenatedDataset, seed: int, count: int) -> list[npt.NDArray[np.uint8]]:
    """The first readable images of a run's order, at most `count`; uint8 RGB [H, W, 3]."""
    order, images = Order(len(data), seed, data.blocks), []
    for position in range(min(2 * count, len(data))):
        try:
            images.append(data.read(Place(0, order.at(position).index)).image)
        except SampleError:
            continue
        if len(images) == count:
            break
    return images


def close(network: DepthAnythingV2, images: Sequence[npt.NDArray[np.uint8]], side: int, threads: int = 1) -> None:
    """Close an opened output in place, so that nothing on `images` (uint8 RGB, any sizes) is clipped."""
    if not isinstance(network.depth_head.scratch.output_conv2[3], nn.Identity):
        return
    device = next(network.parameters()).device

    def extremes(image: npt.NDArray[np.uint8]) -> tuple[float, float]:
        values = predict(network, image, side, device)  # extremes that resizing hides fit in the margin
        return float(values.min()), float(values.max())

    lows, highs = zip(*in_threads(extremes, images, threads), strict=True)
    close_output_at(network, min(lows), max(highs))


def export(network: DepthAnythingV2, path: Path, metadata: Mapping[str, str]) -> Path:
    """Write safetensors under official names. Raises CheckpointError, naming the file, when the disk does not take it.

    An older file of that name stays whole until the new one is.
    """
    try:
        return save_state(network, path, metadata=metadata)
    except (OSError, SafetensorError) as error:
        path.with_name(path.name + ".partial").unlink(missing_ok=True)
        raise CheckpointError(
            f"{path} could not be written: {error}",
            hint="make room and give the same command again: the last checkpoint is whole, and only this is repeated",
        ) from error


def picture(network: DepthAnythingV2, images: Sequence[npt.NDArray[np.uint8]], side: int, path: Path) -> Path:
    """Write a JPEG with one row an image: the image, and its prediction in colours (near is bright)."""
    device = next(network.parameters()).device
    rows = []
    for image in images:
        values = predict(network, image, side, device)
        if network.config.max_depth is not None:
            values = (1 / np.maximum(values, 1e-3)).astype(np.float32)
        low, high = np.percentile(values, [1, 99])
        grey = np.clip((values - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
        both = np.concatenate([image[..., ::-1], cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)], axis=1)
        width = round(both.shape[1] * TILE_HEIGHT / both.shape[0])
        rows.append(cv2.resize(both, (width, TILE_HEIGHT), interpolation=cv2.INTER_AREA))
    widest = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, widest - row.shape[1]), (0, 0))) for row in rows]
    done, data = cv2.imencode(".jpg", np.concatenate(padded), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    path.write_bytes(data.tobytes())
    return path
