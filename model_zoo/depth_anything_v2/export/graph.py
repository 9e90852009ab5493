"""The network as one graph whose input may have any height and width: what the exporters are given.

`model.DepthAnythingV2` takes sizes as Python numbers, which a trace would turn into constants. Here every size is read
off a tensor, and the positional table is resampled by two small matrices that the graph computes from the size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config import PATCH_SIZE
from ..encoder import TABLE_OFFSET
from ..head import DPTHead, enlarge
from ..model import DepthAnythingV2

CUBIC = -0.75
"""Keys' parameter of PyTorch's bicubic resampling."""


class ExportGraph(nn.Module):
    """`network` (whose weights it shares) in a form that can be traced once for all sizes.

    Args:
        network: the network, in eval mode; in half precision its last convolution may stay in float32.
        size: height and width in pixels, multiples of 14, for a graph of one size; None for any size.
    """

    def __init__(self, network: DepthAnythingV2, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """float32 [B, 3, H, W], ImageNet-normalised RGB -> float32 [B, H, W]: disparity, or metres."""
        encoder, config = self.network.pretrained, self.network.config
        assert encoder.pos_embed is not None and encoder.cls_token is not None
        patches = encoder.patch_embed.proj(images.to(encoder.pos_embed.dtype))
        if self.size is None:
            rows, columns = patches.shape[2], patches.shape[3]
        else:
            rows, columns = (side // PATCH_SIZE for side in self.size)
        table = table_for(encoder.pos_embed, torch.arange(rows), torch.arange(columns), config.table_size)
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([encoder.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1) + table
        taps = []
        for index, block in enumerate(encoder.blocks):
            tokens = block(tokens)
            if index in encoder.taps:
                tap = encoder.norm(tokens[:, 1:]).transpose(1, 2)
                taps.append(tap.reshape(tap.shape[0], config.embed_dim, rows, columns))
        values = decode(self.network.depth_head, taps, rows, columns).float()
        return values if config.max_depth is None else values * config.max_depth


def table_for(table: Tensor, rows: Tensor, columns: Tensor, side: int) -> Tensor:
    """Positional table [1, 1 + side*side, D] -> [1, 1 + len(rows)*len(columns), D], as `encoder.resample_table`.

    `rows` and `columns` count from zero. At the table's own size the matrices are the identity.
    """
    rows, columns = rows.float(), columns.float()
    trained = (rows[-1] == side - 1) & (columns[-1] == side - 1)
    offset = torch.where(trained, torch.zeros(()), torch.full((), TABLE_OFFSET))
    grid = table[0, 1:].float().reshape(side, side, -1)
    down, across = cubic_matrix(rows, side, offset), cubic_matrix(columns, side, offset)
    grid = torch.matmul(down, grid.reshape(side, -1)).reshape(-1, side, grid.shape[2])
    grid = torch.matmul(across, grid)
    return torch.cat([table[:, :1], grid.reshape(1, -1, grid.shape[2]).to(table.dtype)], dim=1)


def cubic_matrix(index: Tensor, side: int, offset: Tensor) -> Tensor:
    """Matrix [n, side] of bicubic resampling from `side` to n samples, by the scale (n + offset) / side.

    `index` is 0, 1 ... n-1. Positions and weights are those of PyTorch's `upsample_bicubic2d`: half-pixel centres,
    Keys' kernel, edges repeated.
    """
    position = (index + 0.5) * (side / (index[-1] + 1 + offset)) - 0.5
    base = torch.floor(position)
    share = position - base
    cells = torch.arange(side, dtype=torch.float32)
    matrix = torch.zeros_like(index)[:, None] * cells
    weights = (_far(share + 1), _near(share), _near(1 - share), _far(2 - share))
    for step, weight in enumerate(weights, start=-1):
        tap = (base + step).clamp(0, side - 1)
        matrix = matrix + (tap[:, None] == cells).float() * weight[:, None]
    return matrix


def decode(head: DPTHead, taps: list[Tensor], rows: int, columns: int) -> Tensor:
    """What `DPTHead.forward` computes, of maps [B, D, rows, columns] instead of tokens."""
    scratch = head.scratch
    levels = []
    for index, tap in enumerate(taps):
        x = head.resize_layers[index](head.projects[index](tap))
        levels.append(scratch.get_submodule(f"layer{index + 1}_rn")(x))
    path = scratch.get_submodule("refinenet4")(levels[3], None, (rows, columns))
    for level, factor in ((3, 2), (2, 4), (1, 8)):
        fuse = scratch.get_submodule(f"refinenet{level}")
        path = fuse(path, levels[level - 1], (factor * rows, factor * columns))
    path = enlarge(scratch.output_conv1(path), (PATCH_SIZE * rows, PATCH_SIZE * columns))
    conv, relu, last, activation = scratch.output_conv2
    return activation(last(relu(conv(path)).to(last.weight.dtype))).squeeze(1)


def _near(distance: Tensor) -> Tensor:
    return ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1


def _far(distance: Tensor) -> Tensor:
    return ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
