"""The DPT decoder of Depth Anything V2 (ours), under the official parameter names.

Tokens of four blocks are projected, brought to strides 3.5, 7, 14 and 28, and fused from coarse to fine.
Feature maps stay channels-last: tokens already are, and both convolution and resizing are faster so on a CPU.

Source: DPT (arXiv 2103.13413), Depth Anything V2 repository, `depth_anything_v2/dpt.py` and `util/blocks.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from .config import PATCH_SIZE, DepthAnythingV2Config


class ResidualConvUnit(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3, same width."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, F, h, w]."""
        return self.conv2(F.relu_(self.conv1(F.relu(x)))) + x


class FeatureFusion(nn.Module):
    """Adds a finer map to the running one, refines it, and enlarges it.

    The coarsest stage has nothing to add, so its `resConfUnit1` (which the official files carry, unused) is not made.
    """

    def __init__(self, features: int, *, has_skip: bool) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, 1)
        if has_skip:
            self.resConfUnit1 = ResidualConvUnit(features)
        self.resConfUnit2 = ResidualConvUnit(features)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """[B, F, h, w] (and `skip` of the same shape) -> [B, F, *size]."""
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        # A 1x1 convolution commutes with bilinear resizing (weights that sum to one), and is 4x cheaper before it.
        return enlarge(self.out_conv(self.resConfUnit2(x)), size)


class Scratch(nn.Module):
    """Container that gives the official names `scratch.*`; it has no forward of its own."""

    def __init__(self, config: DepthAnythingV2Config) -> None:
        super().__init__()
        features = config.features
        for level, channels in enumerate(config.out_channels, start=1):
            self.add_module(f"layer{level}_rn", nn.Conv2d(channels, features, 3, padding=1, bias=False))
        for level in range(1, 5):
            self.add_module(f"refinenet{level}", FeatureFusion(features, has_skip=level < 4))
        self.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 1, 1),
            nn.ReLU(inplace=True) if config.max_depth is None else nn.Sigmoid(),
        )


class DPTHead(nn.Module):
    """Token maps of four blocks -> one map in [0, inf) (relative) or in [0, 1] (metric, before `max_depth`)."""

    def __init__(self, config: DepthAnythingV2Config) -> None:
        super().__init__()
        c1, c2, _, c4 = config.out_channels
        self.projects = nn.ModuleList(nn.Conv2d(config.embed_dim, channels, 1) for channels in config.out_channels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(c1, c1, 4, stride=4),
                nn.ConvTranspose2d(c2, c2, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(c4, c4, 3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch(config)

    def forward(self, taps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """`taps`: four [B, rows*columns, D], shallow first; `grid` = (rows, columns) -> [B, 14*rows, 14*columns]."""
        rows, columns = grid
        scratch = self.scratch
        levels = []
        for index, tokens in enumerate(taps):
            x = tokens.unflatten(1, (rows, columns)).permute(0, 3, 1, 2)  # NHWC in memory: channels-last for free
            x = self.resize_layers[index](self.projects[index](x))
            levels.append(scratch.get_submodule(f"layer{index + 1}_rn")(x))
        fine = levels[0].shape[-2:]
        sizes = [level.shape[-2:] for level in levels[:3]]
        path = None
        for level, size in ((4, sizes[2]), (3, sizes[1]), (2, sizes[0]), (1, (2 * fine[0], 2 * fine[1]))):
            fuse = scratch.get_submodule(f"refinenet{level}")
            path = fuse(levels[3], None, size) if path is None else fuse(path, levels[level - 1], size)
        path = enlarge(scratch.output_conv1(path), (rows * PATCH_SIZE, columns * PATCH_SIZE))
        conv, relu, last, activation = scratch.output_conv2
        # The last convolution may be kept in float32 beside a half-precision network.
        return activation(last(relu(conv(path)).to(last.weight.dtype))).squeeze(1)


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of [B, C, h, w] to `size`, corners aligned."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)
