"""Starting weights for a network that has no pretrained encoder and few steps to learn in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..config import PATCH_SIZE
from ..model import DepthAnythingV2

BRIGHTNESS_SHARE = 2 / 3
"""Share of the patch filters that see brightness; the rest see two colour differences."""


def cosine_patch_filters(count: int, size: int = PATCH_SIZE) -> Tensor:
    """Lowest `count` two-dimensional cosines over RGB patches, [count, 3, size, size], with equal response on images.

    There are size * size cosines a colour, so a large `count` gets fewer filters than it asks for.

    Natural images have amplitude ~ 1 / frequency; multiplying it out whitens the tokens, which random filters leave
    dominated by the patch mean. A third of the filters look at blue-yellow and red-green, at their lowest frequencies.
    """
    position = (np.arange(size) + 0.5) * np.pi / size
    basis = np.cos(np.outer(np.arange(size), position))
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    order = sorted(((u, v) for u in range(size) for v in range(size)), key=lambda uv: (uv[0] ** 2 + uv[1] ** 2, uv))
    colours = np.array([[1, 1, 1], [-0.5, -0.5, 1], [1, -1, 0]], np.float64)
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    bright = round(count * BRIGHTNESS_SHARE)
    shares = [bright, (count - bright + 1) // 2, (count - bright) // 2]
    filters = []
    for colour, share, gain in zip(colours, shares, (1.0, 3.0, 3.0), strict=True):
        for u, v in order[:share]:
            weight = gain * (0.5 + np.hypot(u, v)) / size
            filters.append(weight * colour[:, None, None] * np.outer(basis[u], basis[v]))
    return torch.tensor(np.stack(filters), dtype=torch.float32)


def sinusoidal_table(side: int, width: int, amplitude: float = 0.5) -> Tensor:
    """Two-dimensional sine-cosine table [1, 1 + side*side, width] (MAE, arXiv 2111.06377), class row zero."""
    quarter = width // 4
    frequency = 1.0 / 100.0 ** (np.arange(quarter) / quarter)
    phase = np.outer(np.arange(side), frequency)
    axis = np.concatenate([np.sin(phase), np.cos(phase)], axis=1)
    rows = np.repeat(axis[:, None], side, axis=1)
    columns = np.repeat(axis[None], side, axis=0)
    grid = np.concatenate([rows, columns], axis=2).reshape(side * side, -1)
    table = np.zeros((1, 1 + side * side, width), np.float32)
    table[0, 1:, : grid.shape[1]] = amplitude * grid
    return torch.from_numpy(table)


def initialise(model: DepthAnythingV2, seed: int, output_bias: float = 1.0) -> None:
    """Set every weight of a relative model, deterministically.

    The last bias is positive: a last ReLU that starts at zero everywhere has no gradient and never recovers.
    """
    generator = torch.Generator().manual_seed(seed)
    encoder: Any = model.pretrained
    scratch: Any = model.depth_head.scratch
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5 / 2, generator=generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in encoder.blocks:
            # Keys start as queries, so that tokens attend to near and similar ones (mimetic, arXiv 2305.09828),
            # and the residual stream keeps its size through the depth.
            query, key, _ = block.attn.qkv.weight.chunk(3)
            key.copy_(query.mul_(1.4))
            for last in (block.attn.proj, block.mlp.fc2):
                last.weight.mul_((2 * len(encoder.blocks)) ** -0.5 * 2)
        filters = cosine_patch_filters(model.config.embed_dim)
        encoder.patch_embed.proj.weight[: len(filters)].copy_(filters)  # a wide network's others stay random
        encoder.pos_embed.copy_(sinusoidal_table(model.config.table_size, model.config.embed_dim))
        nn.init.normal_(encoder.cls_token, std=0.02, generator=generator)
        for name, unit in scratch.named_modules():
            if name.endswith(("resConfUnit1.conv2", "resConfUnit2.conv2")):
                unit.weight.mul_(0.3)  # residual units start close to the identity
        scratch.layer1_rn.weight.mul_(0.3)  # layout before texture: fine maps start faint
        scratch.layer2_rn.weight.mul_(0.5)
        scratch.output_conv2[2].weight.mul_(0.3)  # spread well below the bias: no dead pixels
        nn.init.constant_(scratch.output_conv2[2].bias, output_bias)
