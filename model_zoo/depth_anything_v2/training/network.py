"""The network as a training step calls it: one call gives the prediction and, where asked for, encoder features."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from ..model import DepthAnythingV2
from .output import MARGIN

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def widen(x: Tensor) -> Tensor:
    """`x` in float32, or as it is where that is wider."""
    return x if x.dtype == torch.float64 else x.float()


class WideConv2d(nn.Conv2d):
    """A convolution that computes in at least float32, under autocast too.

    The last one is such: bfloat16 has steps of 2^-7 between 1 and 2, wider than most differences between neighbours,
    which the gradient term of the loss looks at.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] in any floating type -> [B, D, H, W] float32."""
        with torch.autocast(x.device.type, enabled=False):
            bias = None if self.bias is None else widen(self.bias)
            return nn.functional.conv2d(widen(x), widen(self.weight), bias)


def widen_last(network: DepthAnythingV2) -> None:
    """Compute the last convolution in float32, in place; names and values of the parameters stay."""
    head = network.depth_head.scratch.output_conv2
    old = head[2]
    assert isinstance(old, nn.Conv2d) and old.bias is not None
    last = WideConv2d(old.in_channels, old.out_channels, 1)
    last.weight, last.bias = old.weight, old.bias
    head[2] = last


class TrainedNetwork(nn.Module):
    """Wraps the network so that DDP and FSDP2, which see calls of the root only, cover both outputs.

    Images [B, 3, H, W] -> disparity or metres [B, H, W] float32, and the last block's normalised patch tokens
    [B, H/14 * W/14, D] when `features` is set, else None. `precision` is fp32, bf16 or fp16 (autocast).
    """

    def __init__(self, network: DepthAnythingV2, precision: str = "fp32", *, features: bool = False) -> None:
        super().__init__()
        self.network = network
        self.precision, self.features = precision, features

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """See the class."""
        with autocast(images.device, self.precision):
            taps = self.network.pretrained(images)
            grid = (images.shape[-2] // 14, images.shape[-1] // 14)
            prediction = self.network.depth_head(taps, grid)
        prediction = widen(prediction)
        if self.network.config.max_depth is not None:
            prediction = prediction * self.network.config.max_depth
        return prediction, taps[-1] if self.features else None


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """The autocast of `precision` on `device`; nothing for fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=HALF[precision])


def compile_network(network: DepthAnythingV2) -> None:
    """Compile the encoder's blocks and the decoder, each on its own, in place."""
    for block in network.pretrained.blocks:
        block.compile()
    network.depth_head.compile()


@torch.no_grad()
def close_output_at(network: DepthAnythingV2, low: float, high: float) -> None:
    """Put the last ReLU back in place of `open_output`'s identity, in place.

    Outputs from `low` to `high` end up in [MARGIN, 1 + MARGIN], by one scale and one shift, so pixels keep their order.
    """
    last = network.depth_head.scratch.output_conv2[2]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    span = max(high - low, 1e-6)
    last.weight.div_(span)
    last.bias.sub_(low).div_(span).add_(MARGIN)
    network.depth_head.scratch.output_conv2[3] = nn.ReLU(inplace=True)
