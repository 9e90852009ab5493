"""Training without the last ReLU, and putting it back.

The loss sees neither scale nor shift of the output, so a network trained from nothing drifts below zero as happily as
above, and every pixel that the last ReLU clips stops learning. Without the ReLU nothing is clipped; afterwards the last
convolution absorbs a scale and a shift that keep the outputs positive, and the ReLU of the architecture
changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from ..model import DepthAnythingV2
from .monitor import predict
from .rendered import RenderedSample

MARGIN = 0.5
"""Room left below the smallest calibration output, as a share of the range."""


def open_output(model: DepthAnythingV2) -> None:
    """Replace the last ReLU by the identity, in place."""
    model.depth_head.scratch.output_conv2[3] = nn.Identity()


def close_output(
    model: DepthAnythingV2, calibration: Sequence[RenderedSample], size: tuple[int, int]
) -> DepthAnythingV2:
    """A copy of an opened `model` with its ReLU, whose outputs on `calibration` lie in [MARGIN, 1 + MARGIN].

    Scale and shift are one pair for all images, so the copy orders pixels as the model does. `size` is (rows, columns).
    """
    closed = copy.deepcopy(model).eval()
    last = closed.depth_head.scratch.output_conv2[2]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    if calibration:
        values = predict(closed, calibration, size)
        low, span = float(values.min()), float(values.max() - values.min())
        with torch.no_grad():
            last.weight.div_(max(span, 1e-6))
            last.bias.sub_(low).div_(max(span, 1e-6)).add_(MARGIN)
    closed.depth_head.scratch.output_conv2[3] = nn.ReLU(inplace=True)
    return closed
